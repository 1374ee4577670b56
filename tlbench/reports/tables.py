"""What a report says, as rows of text: shared by every laid-out format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tlbench.core.units import format_count, format_percent, format_seconds
from tlbench.records import AccuracyResult, ExtractionResult, Interval, RunResult


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; ``right`` says for each column whether it is aligned to the right."""

    title: str
    columns: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


def title_parts(run: RunResult) -> list[str]:
    """Return what was measured: backbone, weights, precision, provider, data."""
    card = run.model.card
    parts = [card.backbone if card else run.model.path_name]
    if card is not None:
        kinds = {"imagenet": "imagenet weights", "random": "random weights"}
        parts.append(kinds.get(card.weights.kind, f"weights of {card.weights.origin}"))
        parts.append(card.precision)
    effective = run.config.effective
    parts.append(f"{run.config.requested['provider']}, {effective['threads']} threads")
    if run.dataset is not None:
        n_train, n_test = format_count(run.dataset.n_train), format_count(run.dataset.n_test)
        parts.append(f"{run.dataset.name} ({n_train} train, {n_test} test)")
    return parts


def format_interval(interval: Interval) -> str:
    """Return an interval of accuracies in percent: ``[85.1, 89.3]``."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def headline(run: RunResult) -> list[tuple[str, str, str]]:
    """Return the answer: the best head on the backbone, then the same head on each baseline.

    Each row is who, accuracy with interval, and what to make of it.
    """
    ours = [result for result in run.accuracy if not result.baseline and not result.fitted_on]
    if not ours:
        return []
    best = max(ours, key=lambda result: result.accuracy_fraction)
    single = next((result for result in run.latency if result.batch_size == 1), None)
    speed = f"{format_seconds(single.median_s)} an image" if single else ""
    if single is not None and single.verdict is not None:
        speed += f", {single.verdict}"
    rows = [(f"{best.head} on backbone", _accuracy(best), speed)]
    rows += [
        (f"the same, fitted on {other.fitted_on}", _accuracy(other), "")
        for other in run.accuracy
        if other.fitted_on and other.head == best.head
    ]
    rows += [
        (f"{other.features}, same head", _accuracy(other), _verdict_on_transfer(best, other))
        for other in run.accuracy
        if other.baseline and other.head == best.head
    ]
    return rows


def _accuracy(result: AccuracyResult) -> str:
    return f"{format_percent(result.accuracy_fraction)} {format_interval(result.interval)}"


def _verdict_on_transfer(ours: AccuracyResult, other: AccuracyResult) -> str:
    points = 100 * (ours.accuracy_fraction - other.accuracy_fraction)
    overlap = ours.interval.low <= other.interval.high and other.interval.low <= ours.interval.high
    if overlap:
        return f"no clear difference: {points:+.1f} points"
    return f"transfer {'helps' if points > 0 else 'loses'}: {points:+.1f} points"


def accuracy_table(results: Iterable[AccuracyResult]) -> Table:
    """Return every head on every kind of features; a star: fitted on another precision's."""
    return Table(
        "Accuracy",
        ("features", "head", "accuracy", "95 % interval", "fit", "predict"),
        (False, False, True, True, True, True),
        tuple(
            (
                f"{result.features}*" if result.fitted_on else result.features,
                result.head,
                format_percent(result.accuracy_fraction),
                format_interval(result.interval),
                format_seconds(result.fit_s),
                format_seconds(result.predict_s),
            )
            for result in results
        ),
    )


def format_rate(value: float) -> str:
    """Return images per second with at least three digits."""
    return format_count(value) if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def extraction_table(
    results: Iterable[ExtractionResult], letters: Mapping[str, str] | None = None
) -> Table:
    """Return the passes through the network, decoding included; *letters* stand for labels."""
    letters = letters or {}
    return Table(
        "Features",
        ("split", "images", "features", "an image", "images/s", ""),
        (False, True, True, True, True, False),
        tuple(
            (
                " ".join((*filter(None, [letters.get(result.label or "")]), result.split)),
                format_count(result.n_images),
                format_count(result.n_features),
                format_seconds(result.elapsed_s / result.n_images),
                format_rate(result.images_per_s),
                "from the store" if result.from_store else "",
            )
            for result in results
        ),
    )
