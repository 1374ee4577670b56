"""What a way to a classifier gives and costs: a head on frozen features, or a trained network."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean, median

from tlbench.compare.compared_run import ComparedRun, letter_of
from tlbench.compare.effect import PairedRuns, paired_difference
from tlbench.core.errors import ComparisonError
from tlbench.records import (
    AccuracyResult,
    LearningCurve,
    PairedDifference,
    RunResult,
    TrainingCost,
    derive,
    entry_name,
)


def has_rivals(runs: Sequence[ComparedRun]) -> bool:
    """Tell whether one of the runs is of a network that tlbench trained, and accuracy is there."""
    return any(compared.run.is_training for compared in runs) and all(
        answer_of(compared.run) for compared in runs
    )


def answer_of(run: RunResult) -> AccuracyResult | None:
    """Return the result that a report of the run gives as its answer."""
    return next((one for one in run.accuracy if not one.baseline and not one.fitted_on), None)


def training_costs(runs: Sequence[ComparedRun], *, allow_unlike: bool) -> tuple[TrainingCost, ...]:
    """Return a row for each run; nothing unless there are rivals among them.

    Raises
    ------
    ComparisonError
        If the runs are of different images, and *allow_unlike* is False.
    """
    if not has_rivals(runs):
        return ()
    if not allow_unlike:
        _check_data(runs)
    answers = [answer for compared in runs if (answer := answer_of(compared.run))]
    target = min(answer.accuracy_fraction for answer in answers)
    frozen = [compared.run for compared in runs if not compared.run.is_training]
    return tuple(
        _cost(compared.run, answer, letter_of(i), target, frozen, _paired(runs[0], compared, i))
        for i, (compared, answer) in enumerate(zip(runs, answers, strict=True))
    )


def _check_data(runs: Sequence[ComparedRun]) -> None:
    datasets = [compared.run.dataset for compared in runs]
    names = [f"{one.name} {one.fingerprint[:12]}" if one else "none" for one in datasets]
    for i, name in enumerate(names):
        if name != names[0]:
            raise ComparisonError(
                f"These runs are not comparable: A was measured on the dataset {names[0]}, "
                f"{letter_of(i)} on {name}. Measure both on the same images, with the same limits "
                "and the same seed, or pass allow_unlike=True to compare them nevertheless."
            )


def _paired(reference: ComparedRun, compared: ComparedRun, i: int) -> PairedDifference | None:
    """Return the difference of the two answers image by image, if both kept their predictions."""
    if i == 0:
        return None
    predictions = PairedRuns.opened(reference, compared, (letter_of(0), letter_of(i))).predictions
    first, second = answer_of(reference.run), answer_of(compared.run)
    if predictions is None or first is None or second is None:
        return None
    one, two = (
        found.entries[entry_name(answer)]
        for found, answer in zip(predictions, (first, second), strict=True)
    )
    return paired_difference(predictions[0].labels, one, two)


def _cost(  # noqa: PLR0917 - what a row is made of
    run: RunResult,
    answer: AccuracyResult,
    letter: str,
    target: float,
    frozen: Sequence[RunResult],
    paired: PairedDifference | None,
) -> TrainingCost:
    card = run.model.card
    training = run.training if run.is_training else None
    trained_s = run.training.elapsed_s if run.training else 0.0
    extraction_s = next((one.elapsed_s for one in run.extraction if one.split == "train"), None)
    fit_s = answer.fit_s + (answer.search.elapsed_s if answer.search else 0.0)
    single = next((one for one in run.latency if one.scenario == "single"), None)
    # A head on the features of a network that was itself trained here costs that training, too.
    frozen_s = trained_s + fit_s + (extraction_s or 0.0)
    return derive(
        TrainingCost,
        answer,
        run=letter,
        model=card.backbone if card else run.model.path_name,
        n_epochs=len(training.epochs) if training else None,
        training_s=trained_s if training else frozen_s,
        seconds_per_epoch=training.seconds_per_epoch if training else None,
        extraction_s=None if training else extraction_s,
        fit_s=None if training else fit_s,
        target_fraction=target,
        seconds_to_target=training.seconds_to(target) if training else frozen_s,
        per_image_s=median(single.samples_s) / single.batch_size if single else None,
        energy_j_per_image=single.energy_j_per_image if single else None,
        size_bytes=run.model.size_bytes,
        paired=paired,
        frozen_images_per_class=_needed(frozen, answer.accuracy_fraction) if training else None,
    )


def _needed(frozen: Sequence[RunResult], accuracy_fraction: float) -> int | None:
    """Return from how many images per class on frozen features are as accurate, on average.

    None without a learning curve of the answer, or if no point of it and none after reaches that.
    """
    for run in frozen:
        answer = answer_of(run)
        for curve in run.learning_curves:
            if answer is None or (curve.features, curve.head) != (answer.features, answer.head):
                continue
            return _first_above(curve, accuracy_fraction)
    return None


def _first_above(curve: LearningCurve, accuracy_fraction: float) -> int | None:
    by_size: dict[int, list[float]] = defaultdict(list)
    for point in curve.points:
        by_size[point.images_per_class].append(point.n_correct / point.n_test)
    needed = None
    for size in sorted(by_size, reverse=True):
        if mean(by_size[size]) < accuracy_fraction:
            break
        needed = size
    return needed
