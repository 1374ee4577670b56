"""Accuracy rules: entry by entry, on the same images or not at all."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from tlbench.compare import paired_difference
from tlbench.core.arrays import LabelArray
from tlbench.core.units import format_count, format_p, format_percent, format_points
from tlbench.gate.policy import AccuracyPolicy
from tlbench.records import (
    BaselineAccuracy,
    GateCheck,
    GatedAccuracy,
    Predictions,
    Sensitivity,
    unpack_labels,
)
from tlbench.stats import DropTest, images_needed, mcnemar_p, smallest_drop

POWER = 0.95

# "Finer" means the largest of these that is clearly below the smallest drop that can be found.
_LADDER = (0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001)
_CLEARLY = 0.9
# Where no drop at all can be found.
_FIRST_STEP = 0.05


def checked(rule: str, subject: str, text: str, *, passed: bool) -> GateCheck:
    """Return the check of a rule that was applied."""
    return GateCheck(rule=rule, subject=subject, outcome="pass" if passed else "fail", text=text)


def missing(subject: str, known: Iterable[str]) -> GateCheck:
    """Return the failed check of something that the baseline has and the run lacks."""
    text = f"in the baseline but not in the run, which has: {', '.join(known) or 'none'}"
    return checked("present", subject, text, passed=False)


def judge_accuracy(
    predictions: Predictions, baseline: tuple[BaselineAccuracy, ...], policy: AccuracyPolicy
) -> tuple[list[GatedAccuracy], list[GateCheck]]:
    """Return figures and checks of every entry of the baseline, whose images are the same."""
    figures: list[GatedAccuracy] = []
    checks: list[GateCheck] = []
    test = None
    if policy.test != "none":
        test = DropTest(
            alpha=policy.alpha / len(baseline),  # Bonferroni: all entries together keep alpha
            alternative="drop" if policy.test == "one-sided" else "two-sided",
            negligible_fraction=policy.negligible_points / 100,
        )
    for one in baseline:
        found = predictions.entries.get(one.entry)
        if found is None:
            checks.append(missing(one.entry, predictions.entries))
            continue
        first = unpack_labels(one.predictions, f"The baseline's predictions {one.entry}")
        figure = _figure(one.entry, predictions.labels, first, found, test)
        figures.append(figure)
        checks += _checks(figure, test, policy)
    return figures, checks


def _figure(
    entry: str, labels: LabelArray, first: LabelArray, second: LabelArray, test: DropTest | None
) -> GatedAccuracy:
    paired = paired_difference(labels, first, second)
    p_value = sensitivity = None
    if test is not None:
        lost, gained = paired.only_first_correct, paired.only_second_correct
        p_value = mcnemar_p(lost, gained, alternative=test.alternative)
        sensitivity = _sensitivity(lost + gained, paired.n_images, test)
    return GatedAccuracy(
        entry=entry,
        baseline_fraction=float(np.mean(first == labels)),
        run_fraction=float(np.mean(second == labels)),
        paired=paired,
        n_differing=int(np.count_nonzero(first != second)),
        p_value=p_value,
        alpha=test.alpha if test else None,
        sensitivity=sensitivity,
    )


@lru_cache(maxsize=1024)
def _sensitivity(n_disagreeing: int, n_images: int, test: DropTest) -> Sensitivity:
    disagreement = n_disagreeing / n_images
    smallest = smallest_drop(test, n_images, disagreement, power=POWER)
    limit = _CLEARLY * (_FIRST_STEP if smallest is None else smallest)
    finer = next((step for step in _LADDER if test.negligible_fraction < step < limit), None)
    needed = images_needed(test, disagreement, finer, power=POWER) if finer else None
    return Sensitivity(
        n_images=n_images,
        disagreement_fraction=disagreement,
        power_fraction=POWER,
        smallest_drop_fraction=smallest,
        finer_drop_fraction=finer if needed else None,
        finer_n_images=needed,
    )


def _checks(
    figure: GatedAccuracy, test: DropTest | None, policy: AccuracyPolicy
) -> list[GateCheck]:
    paired = figure.paired
    points = format_points(paired.difference_fraction)
    checks: list[GateCheck] = []
    if test is not None:
        rejected = test.rejects(
            paired.only_first_correct, paired.only_second_correct, paired.n_images
        )
        assert figure.p_value is not None
        text = (
            f"{points} points, p {format_p(figure.p_value)} ({policy.test}); fails if p is at most "
            f"{test.alpha:.2g} and more than {policy.negligible_points:g} points are lost"
        )
        checks.append(checked("no significant drop", figure.entry, text, passed=not rejected))
    if policy.max_drop_points is not None:
        limit = policy.max_drop_points
        # The tolerance undoes rounding: ten of 1,000 images are one point, and not more.
        passed = -paired.difference_fraction <= limit / 100 + 1e-12
        text = f"{points} points; at most {limit:g} may be lost"
        checks.append(checked("largest drop", figure.entry, text, passed=passed))
    if policy.must_find_points is not None:
        limit = policy.must_find_points
        found = figure.sensitivity.smallest_drop_fraction if figure.sensitivity else None
        passed = found is not None and 100 * found <= limit + 1e-9
        smallest = "no drop" if found is None else f"drops from {100 * found:.2g} points"
        text = f"finds {smallest} with 95 % power; must find {limit:g} points"
        checks.append(checked("fine enough", figure.entry, text, passed=passed))
    return checks


def judge_floors(predictions: Predictions | None, policy: AccuracyPolicy) -> list[GateCheck]:
    """Return the checks of the floors, for whatever entries the policy names."""
    checks: list[GateCheck] = []
    for entry, percent in policy.floors_percent.items():
        found = predictions.entries.get(entry) if predictions else None
        if predictions is None or found is None:
            known = ", ".join(predictions.entries) if predictions else "none"
            text = f"must be at least {percent:g} %, but the run has no such entry, only: {known}"
            checks.append(checked("floor", entry, text, passed=False))
            continue
        n_correct, n = int(np.count_nonzero(found == predictions.labels)), len(found)
        text = (
            f"{format_percent(n_correct / n, 2)} ({format_count(n_correct)} of "
            f"{format_count(n)}); at least {percent:g} %"
        )
        passed = n_correct >= percent / 100 * n - 1e-9
        checks.append(checked("floor", entry, text, passed=passed))
    return checks
