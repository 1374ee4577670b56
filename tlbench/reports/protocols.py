"""Protocols besides the hold-out as rows of text: folds, learning curves, drift, reproduction."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from tlbench.core.units import format_count, format_p, format_percent, format_seconds
from tlbench.records import (
    AccuracyResult,
    CrossValidation,
    FeatureDrift,
    LearningCurve,
    PublishedFigure,
    PublishedSpeed,
    Reproduction,
    RunResult,
    Search,
)
from tlbench.reports.accuracy import format_interval, paired_cells
from tlbench.reports.base import Table, letters_of, table


def cross_validation_table(results: Sequence[CrossValidation]) -> Table:
    """Return mean and deviation over folds, as papers print them, and the interval of the mean."""
    rows = [
        (
            one.features,
            one.head,
            _mean_and_deviation(one.mean_fraction, one.deviation_fraction),
            format_interval(one.interval),
            format_count(len(one.folds)),
        )
        for one in results
    ]
    columns = "features | head | >mean ± SD | >95 % interval | >folds"
    note = "n is in the column folds; the interval is that of the mean, in %."
    return table("Cross-validation", columns, rows, note)


def folds_table(results: Sequence[CrossValidation]) -> Table:
    """Return each fold of each cross-validation."""
    from tlbench.stats import wilson_interval  # it needs numpy, and tlbench list does not

    rows = []
    for one in results:
        for number, fold in enumerate(one.folds, start=1):
            low, high = wilson_interval(fold.n_correct, fold.n_test)
            share = format_percent(fold.n_correct / fold.n_test)
            interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
            counts = format_count(fold.n_train), format_count(fold.n_test)
            rows.append((one.features, one.head, str(number), *counts, share, interval))
    columns = "features | head | >fold | >train | >test | >accuracy | >95 % interval"
    note = "n is in the column test; Wilson intervals, in %."
    return table("Folds", columns, rows, note)


def epochs_table(results: Sequence[AccuracyResult]) -> Table:
    """Return each epoch of each head that was trained in epochs."""
    rows = [
        (
            one.features,
            one.head,
            str(number),
            f"{epoch.loss:.4g}",
            format_percent(epoch.accuracy_fraction),
            "-" if epoch.validation_loss is None else f"{epoch.validation_loss:.4g}",
            "-"
            if epoch.validation_accuracy_fraction is None
            else format_percent(epoch.validation_accuracy_fraction),
        )
        for one in results
        for number, epoch in enumerate(one.curve, start=1)
    ]
    columns = (
        "features | head | >epoch | >loss | >accuracy | >validation loss | >validation accuracy"
    )
    sizes = sorted({one.n_train for one in results if one.curve})
    note = f"n = {' or '.join(map(format_count, sizes)) or '0'} training images; one training."
    return table("Epochs", columns, rows, note)


def learning_curve_table(curves: Sequence[LearningCurve]) -> Table:
    """Return mean and deviation over the draws for each number of images per class."""
    rows = []
    for curve in curves:
        for i, size in enumerate(_sizes(curve)):
            found = [p.n_correct / p.n_test for p in curve.points if p.images_per_class == size]
            deviation = stdev(found) if len(found) > 1 else None
            figures = format_count(size), _mean_and_deviation(mean(found), deviation)
            who = ("", "") if i else (curve.features, curve.head)
            rows.append((*who, *figures, format_count(len(found))))
    columns = "features | head | >images/class | >mean ± SD | >draws"
    note = "n is in the column draws; SD over the draws, in %."
    return table("Learning curve", columns, rows, note)


def _sizes(curve: LearningCurve) -> list[int]:
    return sorted({point.images_per_class for point in curve.points})


def _mean_and_deviation(middle: float, deviation: float | None) -> str:
    if deviation is None:
        return format_percent(middle, 2)
    return f"{100 * middle:.2f} ± {format_percent(deviation, 2)}"


def inner_search_table(folds: Sequence[CrossValidation], curves: Sequence[LearningCurve]) -> Table:
    """Return what the searches inside folds and inside points of a curve chose."""
    all_of: list[tuple[CrossValidation | LearningCurve, str, list[Search | None]]] = []
    all_of += [(one, f"{len(one.folds)} folds", [f.search for f in one.folds]) for one in folds]
    for curve in curves:
        for size in _sizes(curve):
            found = [p.search for p in curve.points if p.images_per_class == size]
            all_of.append((curve, f"{format_count(size)} images/class", found))
    rows = []
    for one, where, some in all_of:
        if searches := [search for search in some if search is not None]:
            time = format_seconds(sum(search.elapsed_s for search in searches))
            rows.append((one.features, one.head, where, _chosen(searches), time))
    columns = "features | head | within | chosen | >total time"
    note = "n is in the column within; a choice of a value has no interval."
    return table("Parameter searches within folds and draws", columns, rows, note)


def _chosen(searches: Sequence[Search]) -> str:
    values = [search.chosen for search in searches]
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return f"{searches[0].parameter}={low}" + (f" to {high}" if high != low else "")


def drift_letters(drifts: Sequence[FeatureDrift]) -> dict[str, str]:
    """Return a letter for each model, the reference first."""
    return letters_of([drift.reference for drift in drifts] + [drift.label for drift in drifts])


def drifted_models_table(drifts: Sequence[FeatureDrift]) -> Table:
    """Return which models the letters stand for."""
    rows = [
        (letter, label, "" if i else "reference; the heads are fitted on its features")
        for i, (label, letter) in enumerate(drift_letters(drifts).items())
    ]
    return table("Models", " | model | ", rows)


def drift_table(drifts: Sequence[FeatureDrift]) -> Table:
    """Return how far the features of each model lie from the reference's."""
    letters = drift_letters(drifts)
    rows = [
        (
            f"{letters[drift.label]} / {letters[drift.reference]}",
            f"{drift.relative_error:.2g}",
            f"{drift.median_cosine:.6f}",
            f"{drift.smallest_cosine:.6f}",
        )
        for drift in {drift.label: drift for drift in drifts}.values()  # the same for every head
    ]
    columns = "models | >relative error | >median cosine | >smallest cosine"
    note = "n = all test images; no unit: norms by norms, and cosines; without intervals."
    return table("Feature drift", columns, rows, note)


def drifted_accuracy_table(drifts: Sequence[FeatureDrift]) -> Table:
    """Return the accuracy of heads fitted on the reference's features, on each model's."""
    letters = drift_letters(drifts)
    rows: list[tuple[str, ...]] = []
    for head in dict.fromkeys(drift.head for drift in drifts):
        of_head = [drift for drift in drifts if drift.head == head]
        accuracy = format_percent(of_head[0].reference_fraction)
        rows.append((letters[of_head[0].reference], head, accuracy, "", "", "", ""))
        for drift in of_head:
            accuracy, p_value = format_percent(drift.fraction), format_p(drift.paired.p_value)
            cells = accuracy, *paired_cells(drift.paired), p_value
            rows.append((letters[drift.label], head, *cells))
    columns = " | head | >accuracy | >points | >95 % interval | >lost / gained | >p"
    sizes = sorted({drift.paired.n_images for drift in drifts})
    note = f"n = {' or '.join(map(format_count, sizes)) or '0'} test images, each seen by both."
    return table("Accuracy on drifted features", columns, rows, note)


def published_table(found: Reproduction) -> Table:
    """Return each published figure with what was measured in its place, and the verdict."""
    rows = [
        (
            figure.name,
            _published(figure.published_fraction, figure.published_deviation_fraction),
            _measured(figure),
            format_interval(figure.interval) if figure.interval else "",
            figure.verdict,
        )
        for figure in found.figures
    ]
    columns = "figure | >published | >measured | >95 % interval | verdict"
    note = "n is that of the tables below; the interval is that of the measured figure, in %."
    return table(f"{found.recipe}, row {found.row}", columns, rows, note)


def _published(value: float, deviation: float | None) -> str:
    """Return a figure with the digits it was published with, at most two decimals."""
    text = f"{100 * value:.2f}".rstrip("0").rstrip(".")
    return f"{text} %" if deviation is None else f"{text} ± {100 * deviation:.2f} %"


def _measured(figure: PublishedFigure) -> str:
    if figure.measured_fraction is None:
        return ""
    if figure.measured_deviation_fraction is None:
        return format_percent(figure.measured_fraction)
    return _mean_and_deviation(figure.measured_fraction, figure.measured_deviation_fraction)


def reproduction_lines(run: RunResult, found: Reproduction) -> Mapping[str, Sequence[str]]:
    """Return what the verdicts rest on: titles, each with its lines."""
    of_reason: dict[str, list[str]] = {}
    for figure in found.figures:
        for reason in figure.reasons:
            of_reason.setdefault(reason, []).append(figure.name)
    speeds = [f"published: {_range(one)} per image, {one.name}" for one in found.speeds]
    single = next((one for one in run.latency if one.batch_size == 1), None)
    if speeds and single is not None:
        threads = "1 thread" if single.threads == 1 else f"{single.threads} threads"
        speeds.append(
            f"measured: {format_seconds(single.median_s)} per image, {single.provider}, {threads} "
            "(for information, not judged)"
        )
    return {
        "Reasons": [
            reason if len(names) == len(found.figures) else f"{', '.join(names)}: {reason}"
            for reason, names in of_reason.items()
        ],
        "Weights": [found.weights],
        "Speed": speeds,
        "Published experiment": [found.title, found.protocol, found.source],
        "Notes": found.notes,
    }


def _range(speed: PublishedSpeed) -> str:
    low, high = format_seconds(speed.low_s), format_seconds(speed.high_s)
    return low if low == high else f"{low} to {high}"
