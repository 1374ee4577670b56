"""Trainings as rows of text: the epochs of one, and what each way to a classifier costs."""

from collections.abc import Sequence

from tlbench.core.units import (
    format_bytes,
    format_count,
    format_factor,
    format_p,
    format_percent,
    format_seconds,
)
from tlbench.model import TrainedEpoch, TrainingRecord
from tlbench.records import TrainingCost
from tlbench.reports.accuracy import SIGNIFICANCE, accuracy_cells, paired_cells
from tlbench.reports.base import Table, table

_MOST_ROWS = 12


def epochs_table(training: TrainingRecord | None) -> Table:
    """Return the epochs of a training, of many of them a dozen from the first to the last."""
    epochs = training.epochs if training else ()
    several = len({epoch.phase for epoch in epochs}) > 1
    last = len(epochs) - 1
    shown = (
        sorted({round(i * last / (_MOST_ROWS - 1)) for i in range(_MOST_ROWS)}) if epochs else []
    )

    def row(number: int, epoch: TrainedEpoch) -> tuple[str, ...]:
        memory = epoch.device_peak_bytes or epoch.peak_rss_bytes
        return (
            str(number + 1),
            *([str(epoch.phase)] if several else []),
            f"{epoch.loss:.3f}",
            format_percent(epoch.accuracy_fraction),
            f"{epoch.validation_loss:.3f}",
            format_percent(epoch.validation_accuracy_fraction),
            format_seconds(epoch.elapsed_s),
            f"{epoch.images_per_s:,.0f}",
            format_bytes(memory),
        )

    columns = (
        ">epoch | "
        + ">phase | " * several
        + ">loss | >accuracy | >validation loss | >accuracy | >time | >images/s | >peak memory"
    )
    return table("Training", columns, (row(i, epochs[i]) for i in shown))


def training_lines(training: TrainingRecord | None) -> list[str]:
    """Return how a network was trained, in a few lines."""
    if training is None:
        return []
    phases = " + ".join(
        str(sum(epoch.phase == phase for epoch in training.epochs))
        for phase in dict.fromkeys(epoch.phase for epoch in training.epochs)
    )
    validation = {
        "test": "the test images, which chose nothing",
        "held out": "a tenth of the train images, held out",
    }
    trained, whole = training.n_trained_parameters, training.n_parameters
    of_whole = f"{format_count(trained)} of {format_count(whole)} parameters"
    layers = f", from {' to '.join(training.trained_layers)}" if training.trained_layers else ""
    settings = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in training.settings.items()
        if value not in (None, False)
    )
    unit = "epoch" if phases == "1" else "epochs"
    how = f"{phases} {unit} in {format_seconds(training.elapsed_s)} on {training.device}"
    lines = [
        f"{how}, {training.software}, {of_whole}{layers}",
        f"Validation: {validation[training.validation]}.",
        f"Settings: {settings}",
    ]
    if training.n_resumed:
        times = "once" if training.n_resumed == 1 else f"{training.n_resumed} times"
        lines.append(f"Resumed {times} from a checkpoint.")
    if training.stopped_early:
        lines.append("Stopped early; the weights are those of the epoch with the lowest loss.")
    return lines


def ways_table(costs: Sequence[TrainingCost]) -> Table:
    """Return the accuracy of each way to a classifier, tested against A on the same images."""

    def row(one: TrainingCost) -> tuple[str, ...]:
        points, p = "", ""
        if one.paired:
            points, p = paired_cells(one.paired)[0], format_p(one.paired.p_value)
        return (one.run, _way(one), *accuracy_cells(one), points, p)

    columns = " | | >accuracy | >95 % interval | >points | >p"
    return table("Ways to a classifier, and difference from A", columns, map(row, costs))


def _way(one: TrainingCost) -> str:
    return one.model if one.n_epochs else f"{one.head} on frozen {one.model}"


def costs_table(costs: Sequence[TrainingCost]) -> Table:
    """Return the training time, the speed and the size of each way to a classifier."""
    has_energy = any(one.energy_j_per_image for one in costs)
    target = costs[0].target_fraction if costs else 0.0

    def row(one: TrainingCost) -> tuple[str, ...]:
        energy = one.energy_j_per_image
        return (
            one.run,
            format_count(one.n_train),
            format_seconds(one.training_s),
            "-" if one.seconds_per_epoch is None else format_seconds(one.seconds_per_epoch),
            "never" if one.seconds_to_target is None else format_seconds(one.seconds_to_target),
            "n/a" if one.per_image_s is None else format_seconds(one.per_image_s),
            *((f"{format_factor(energy)} J" if energy else "n/a",) if has_energy else ()),
            format_bytes(one.size_bytes),
        )

    return table(
        "Costs",
        f" | >train images | >training | >per epoch | >to {format_percent(target)} | >per image | "
        + ">energy | " * has_energy
        + ">size",
        map(row, costs),
    )


def frozen_cost_lines(costs: Sequence[TrainingCost]) -> list[str]:
    """Return what the training time of frozen features consists of."""
    return [
        f"{one.run}: {format_seconds(one.extraction_s or 0)} of extraction and "
        f"{format_seconds(one.fit_s or 0)} of fitting"
        for one in costs
        if one.n_epochs is None
    ]


def transfer_lines(costs: Sequence[TrainingCost]) -> list[str]:
    """Return a sentence for each network on whether frozen features are worth more than it."""
    frozen = next((one for one in costs if one.n_epochs is None), None)
    if frozen is None:
        return []
    return [_sentence(frozen, one, costs[0].run) for one in costs if one.n_epochs is not None]


def transfer_sentence(costs: Sequence[TrainingCost]) -> str | None:
    """Return the answer of a comparison with trained networks in one sentence."""
    lines = transfer_lines(costs)
    if len(lines) <= 1:
        return next(iter(lines), None)
    best = max(costs, key=lambda one: one.accuracy_fraction)
    figure, interval = accuracy_cells(best)
    return (
        f"Of {len(costs)} ways to a classifier, {_way(best)} is the most accurate: {figure} "
        f"{interval}, after {format_seconds(best.training_s)} of training."
    )


def _sentence(frozen: TrainingCost, rival: TrainingCost, reference: str) -> str:
    """Say whether transfer pays; a test on the same images decides, where one of the two is A."""
    points = frozen.accuracy_fraction - rival.accuracy_fraction
    tested = rival.paired if frozen.run == reference else frozen.paired
    if reference in {frozen.run, rival.run} and tested is not None:
        is_clear = tested.p_value <= SIGNIFICANCE
    else:
        low = max(frozen.interval.low, rival.interval.low)
        is_clear = low > min(frozen.interval.high, rival.interval.high)  # they do not overlap
    frozen_s, rival_s = format_seconds(frozen.training_s), format_seconds(rival.training_s)
    difference = f"{100 * abs(points):.1f} points"
    if not is_clear:
        text = f"No clear difference in accuracy between {_way(frozen)} and {rival.model} "
        text += f"({difference}), for {frozen_s} of training against {rival_s}"
    elif points > 0:
        text = f"Transfer pays: {_way(frozen)} is {difference} more accurate than {rival.model}, "
        text += f"for {frozen_s} of training against {rival_s}"
    else:
        text = f"Transfer does not pay: {rival.model} is {difference} more accurate than "
        text += f"{_way(frozen)}, for {rival_s} of training against {frozen_s}"
    if (n := rival.frozen_images_per_class) is not None:
        text += (
            f"; from {format_count(n)} image{'s' * (n > 1)} per class on, frozen features are at "
            f"least as accurate as {rival.model} with {format_count(rival.n_train)} images"
        )
    return text + "."
