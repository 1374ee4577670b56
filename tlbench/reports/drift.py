"""What a report says about features of several models: their distance, and what it costs."""

from collections.abc import Sequence
from string import ascii_uppercase

from tlbench.core.units import format_percent
from tlbench.records import FeatureDrift
from tlbench.reports.tables import Table


def drift_letters(drifts: Sequence[FeatureDrift]) -> dict[str, str]:
    """Return a letter for each model, the reference first; labels may be long paths."""
    labels = [drift.reference for drift in drifts] + [drift.label for drift in drifts]
    names = [*ascii_uppercase, *map(str, range(len(ascii_uppercase), len(labels)))]
    return dict(zip(dict.fromkeys(labels), names, strict=False))


def drifted_models(drifts: Sequence[FeatureDrift]) -> list[str]:
    """Return which models the letters stand for."""
    models = [f"{letter}  {label}" for label, letter in drift_letters(drifts).items()]
    return [*models, "The heads are fitted on the features of A."] if models else []


def drift_table(drifts: Sequence[FeatureDrift]) -> Table:
    """Return how far the features of each model lie from the reference's."""
    letters = drift_letters(drifts)
    once = {drift.label: drift for drift in drifts}  # the same for every head
    return Table(
        "Drift",
        ("features", "relative error", "median cosine", "smallest cosine"),
        (False, True, True, True),
        tuple(
            (
                f"{letters[drift.label]} / {letters[drift.reference]}",
                f"{drift.relative_error:.2g}",
                f"{drift.median_cosine:.6f}",
                f"{drift.smallest_cosine:.6f}",
            )
            for drift in once.values()
        ),
    )


def drifted_accuracy_table(drifts: Sequence[FeatureDrift]) -> Table:
    """Return what a head fitted on the reference's features makes of each model's."""
    letters = drift_letters(drifts)
    rows: list[tuple[str, ...]] = []
    for head in dict.fromkeys(drift.head for drift in drifts):
        of_head = [drift for drift in drifts if drift.head == head]
        first = of_head[0]
        accuracy = format_percent(first.reference_fraction)
        rows.append((letters[first.reference], head, accuracy, "", "", "", ""))
        rows += [_row(letters[drift.label], drift) for drift in of_head]
    return Table(
        "To accuracy",
        ("", "head", "accuracy", "points", "95 %", "lost, won", "p"),
        (False, False, True, True, True, True, True),
        tuple(rows),
    )


def _row(letter: str, drift: FeatureDrift) -> tuple[str, ...]:
    paired = drift.paired
    return (
        letter,
        drift.head,
        format_percent(drift.fraction),
        f"{100 * paired.difference_fraction:+.1f}",
        f"[{100 * paired.interval.low:+.1f}, {100 * paired.interval.high:+.1f}]",
        f"{paired.only_first_correct}, {paired.only_second_correct}",
        f"{paired.p_value:.2g}",
    )
