"""The data of every figure, from a run's record: each has its unit, n and intervals in the note.

What draws them, as SVG in a page or as a file, decides on nothing but shape and colour.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tlbench.core.units import format_count, format_percent
from tlbench.records import (
    AccuracyResult,
    CrossValidation,
    Epoch,
    Interval,
    LearningCurve,
    RunResult,
)
from tlbench.reports.accuracy import first_result, title_of

Tone = Literal["main", "baseline", "good", "bad"]
"""What a mark stands for; whoever draws it chooses the colour."""

# Marks that a reader can still tell apart; a longer list is cut and says so.
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """One value with its interval."""

    label: str
    value: float
    low: float
    high: float
    text: str
    tone: Tone = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalFigure:
    """Values with intervals, one below the other."""

    title: str
    axis: str
    rows: tuple[IntervalRow, ...]
    note: str
    percent: bool = True  # fractions that are shown as percent
    reference: float | None = None  # a value to mark, such as 1 for a ratio
    from_zero: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingFigure:
    """The samples of one timing: seconds per call, in the order measured."""

    title: str
    samples_s: tuple[float, ...]
    running_s: tuple[float, ...]  # median of neighbouring calls
    marks: tuple[tuple[str, float], ...]  # percentiles: name and seconds
    interval: Interval | None  # of the median
    slow: tuple[tuple[int, int], ...]  # first and last call of each slow phase
    halves_s: tuple[float, float]  # medians of the first and the second half: drift
    valid: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsFigure:
    """Parts of a whole as one stacked bar; seconds."""

    title: str
    parts: tuple[tuple[str, float], ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points (x, y, low, high) that belong together."""

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    tone: Tone = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFigure:
    """Lines over a common axis."""

    title: str
    x_axis: str
    y_axis: str
    lines: tuple[Line, ...]
    note: str
    percent: bool
    log_x: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionFigure:
    """How many images of each class (line) were predicted as which (column)."""

    title: str
    entry: str  # name of the predictions
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    note: str

    @property
    def largest(self) -> list[tuple[int, int, int]]:
        """True class, predicted class and number of images of each confusion, largest first."""
        cells = [
            (i, j, count)
            for i, line in enumerate(self.counts)
            for j, count in enumerate(line)
            if count and i != j
        ]
        return sorted(cells, key=lambda cell: (-cell[2], cell[:2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """One run: seconds per image and accuracy, each with its interval."""

    label: str
    name: str
    seconds: float
    seconds_interval: Interval | None
    fraction: float
    interval: Interval
    on_front: bool
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoFigure:
    """Accuracy against time; on the front is what no other point beats in both."""

    title: str
    points: tuple[ParetoPoint, ...]
    note: str


def accuracy_figure(run: RunResult) -> IntervalFigure | None:
    """Return the accuracy of every head on every feature set."""
    rows = tuple(
        IntervalRow(
            label=f"{one.head} on {title_of(one)}",
            value=one.accuracy_fraction,
            low=one.interval.low,
            high=one.interval.high,
            text=format_percent(one.accuracy_fraction),
            tone="baseline" if one.baseline else "main",
        )
        for one in run.accuracy
    )
    if not rows:
        return None
    n_test = run.accuracy[0].n_test
    return IntervalFigure(
        title="Accuracy by head",
        axis="correct test images, %",
        rows=rows,
        note=f"n = {format_count(n_test)} test images; whiskers: 95 % Wilson intervals.",
    )


def recall_figure(run: RunResult) -> IntervalFigure | None:
    """Return the recall of each class by the first head, the lowest first."""
    from tlbench.stats import wilson_interval  # it needs numpy, and tlbench list does not

    first = first_result(one for one in run.accuracy if one.per_class)
    if first is None or run.dataset is None:
        return None
    rows = []
    for name, score in zip(run.dataset.classes, first.per_class, strict=False):
        if score.n_test:
            low, high = wilson_interval(score.n_correct, score.n_test)
            share = score.n_correct / score.n_test
            text = f"{format_percent(share)} of {format_count(score.n_test)}"
            row = IntervalRow(label=name, value=share, low=low, high=high, text=text)
            rows.append(row)
    rows.sort(key=lambda row: row.value)
    cut = f" The {_MOST_ROWS} lowest of {len(rows)} classes." if len(rows) > _MOST_ROWS else ""
    sizes = [score.n_test for score in first.per_class if score.n_test]
    low_n, high_n = format_count(min(sizes)), format_count(max(sizes))
    return IntervalFigure(
        title=f"Recall by class, {first.head}",
        axis="images of the class that were found, %",
        rows=tuple(rows[:_MOST_ROWS]),
        note=f"n = {low_n if low_n == high_n else f'{low_n} to {high_n}'} test images of each "
        f"class; whiskers: 95 % Wilson intervals, each for its class alone.{cut}",
    )


def confusion_figure(
    classes: Sequence[str], labels: Iterable[int], predicted: Iterable[int], entry: str
) -> ConfusionFigure:
    """Return the counts of true and predicted classes."""
    counts = [[0] * len(classes) for _ in classes]
    for label, found in zip(labels, predicted, strict=True):
        counts[label][found] += 1
    n_images = sum(map(sum, counts))
    features, _, head = entry.partition(".")
    return ConfusionFigure(
        title=f"Confusion matrix, {head} on {features}",
        entry=entry,
        classes=tuple(classes),
        counts=tuple(map(tuple, counts)),
        note=f"n = {format_count(n_images)} test images. Lines: true class; columns: predicted "
        "class; unit: images. Counts have no interval.",
    )


def learning_figure(curves: Sequence[LearningCurve]) -> LineFigure | None:
    """Return mean accuracy against training images, with the standard deviation over draws."""
    lines = []
    for curve in curves:
        by_size: dict[int, list[float]] = {}
        for point in curve.points:
            by_size.setdefault(point.images_per_class, []).append(point.n_correct / point.n_test)
        points = []
        for size, found in sorted(by_size.items()):
            middle = statistics.mean(found)
            spread = statistics.stdev(found) if len(found) > 1 else 0.0
            points.append((float(size), middle, middle - spread, middle + spread))
        tone: Tone = "baseline" if curve.baseline else "main"
        label = f"{curve.head} on {curve.features}"
        lines.append(Line(label=label, points=tuple(points), tone=tone))
    if not lines:
        return None
    point = curves[0].points[0]
    draws = max(sum(p.images_per_class == point.images_per_class for p in c.points) for c in curves)
    return LineFigure(
        title="Learning curves",
        x_axis="training images of each class",
        y_axis="accuracy, %",
        lines=tuple(lines),
        note=f"n = {format_count(point.n_test)} test images; mean of up to {draws} draws; "
        "whiskers: standard deviation over the draws.",
        percent=True,
        log_x=True,
    )


def fold_figures(results: Sequence[CrossValidation]) -> list[IntervalFigure]:
    """Return the accuracy of each fold, for each head."""
    return [_folds(one) for one in results]


def _folds(one: CrossValidation) -> IntervalFigure:
    from tlbench.stats import wilson_interval

    rows = []
    for number, fold in enumerate(one.folds, start=1):
        low, high = wilson_interval(fold.n_correct, fold.n_test)
        share = fold.n_correct / fold.n_test
        text = f"{format_percent(share)} of {format_count(fold.n_test)}"
        rows.append(
            IntervalRow(
                label=f"fold {number}",
                value=share,
                low=low,
                high=high,
                text=text,
                tone="baseline" if one.baseline else "main",
            )
        )
    mean, deviation = 100 * one.mean_fraction, format_percent(one.deviation_fraction, 2)
    return IntervalFigure(
        title=f"Folds, {one.head} on {one.features}",
        axis="correct images of the fold, %",
        rows=tuple(rows),
        note=f"n = {len(rows)} folds; mean ± SD {mean:.2f} ± {deviation}; whiskers: 95 % Wilson "
        "intervals of each fold.",
        reference=one.mean_fraction,
        from_zero=False,
    )


def training_figures(results: Sequence[AccuracyResult]) -> list[LineFigure]:
    """Return loss and accuracy by epoch, for each head that was trained in epochs."""
    found = []
    for one in results:
        if len(one.curve) > 1:
            name = f"{one.head} on {title_of(one)}"
            n_train = f"n = {format_count(one.n_train)} training images; one training: no interval."
            loss = _epochs(one.curve, "loss", "validation_loss")
            fraction = _epochs(one.curve, "accuracy_fraction", "validation_accuracy_fraction")
            for title, axis, lines in (
                (f"Training loss, {name}", "loss", loss),
                (f"Training accuracy, {name}", "accuracy, %", fraction),
            ):
                found.append(
                    LineFigure(
                        title=title,
                        x_axis="epoch",
                        y_axis=axis,
                        lines=lines,
                        note=n_train,
                        percent=lines is fraction,
                    )
                )
    return found


def _epochs(curve: Sequence[Epoch], train: str, validation: str) -> tuple[Line, ...]:
    lines = []
    names: tuple[tuple[str, str, Tone], ...] = (
        ("training", train, "main"),
        ("validation", validation, "baseline"),
    )
    for label, field, tone in names:
        points = tuple(
            (float(i), value, value, value)
            for i, epoch in enumerate(curve, start=1)
            if (value := getattr(epoch, field)) is not None
        )
        if points:
            lines.append(Line(label=label, points=points, tone=tone))
    return tuple(lines)
