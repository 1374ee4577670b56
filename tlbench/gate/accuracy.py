"""Accuracy rules: entry by entry, on the same images or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
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
    Outcome,
    Predictions,
    Sensitivity,
    unpack_labels,
)
from tlbench.stats import DropTest, images_needed, mcnemar_p, smallest_drop

POWER = 0.95

# What "finer" means: the next of these below what could have been found.
_LADDER = (0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001)
_CLEARLY = 0.9
# Where nothing could have been found at all.
_FIRST_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAccuracy:
    """The figures of the entries that both have, and the checks of all."""

    figures: tuple[GatedAccuracy, ...]
    checks: tuple[GateCheck, ...]


def outcome_of(passed: bool) -> Outcome:  # noqa: FBT001 - the value to be named
    """Return "pass" or "fail"."""
    return "pass" if passed else "fail"


def judge_accuracy(
    predictions: Predictions, baseline: tuple[BaselineAccuracy, ...], policy: AccuracyPolicy
) -> JudgedAccuracy:
    """Judge every entry of the baseline.

    Parameters
    ----------
    predictions : Predictions
        Of the run, for the same images as the baseline's: the caller has made sure.
    baseline : tuple of BaselineAccuracy
    policy : AccuracyPolicy

    Raises
    ------
    GateError
        If the baseline is damaged.
    """
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
            known = ", ".join(predictions.entries) or "none"
            text = f"in the baseline, not in the run, which has: {known}"
            checks.append(GateCheck(rule="present", subject=one.entry, outcome="fail", text=text))
            continue
        first = unpack_labels(one.predictions, f"The baseline's predictions {one.entry}")
        figure = _figure(one.entry, predictions.labels, first, found, test)
        figures.append(figure)
        checks += _checks(figure, test, policy)
    return JudgedAccuracy(figures=tuple(figures), checks=tuple(checks))


def _figure(
    entry: str, labels: LabelArray, first: LabelArray, second: LabelArray, test: DropTest | None
) -> GatedAccuracy:
    paired = paired_difference(labels, first, second)
    p_value = None
    if test is not None:
        p_value = mcnemar_p(
            paired.only_first_correct, paired.only_second_correct, alternative=test.alternative
        )
    return GatedAccuracy(
        entry=entry,
        baseline_fraction=float(np.mean(first == labels)),
        run_fraction=float(np.mean(second == labels)),
        paired=paired,
        n_differing=int(np.count_nonzero(first != second)),
        p_value=p_value,
        alpha=test.alpha if test else None,
        sensitivity=_sensitivity(
            paired.only_first_correct + paired.only_second_correct, paired.n_images, test
        )
        if test
        else None,
    )


@lru_cache(maxsize=1024)
def _sensitivity(n_disagreeing: int, n_images: int, test: DropTest) -> Sensitivity:
    disagreement = n_disagreeing / n_images
    smallest = smallest_drop(test, n_images, disagreement, power=POWER)
    below = _FIRST_STEP if smallest is None else smallest
    finer = next((step for step in _LADDER if _is_finer(step, below, test)), None)
    needed = images_needed(test, disagreement, finer, power=POWER) if finer else None
    return Sensitivity(
        n_images=n_images,
        disagreement_fraction=disagreement,
        power_fraction=POWER,
        smallest_drop_fraction=smallest,
        finer_drop_fraction=finer if needed else None,
        finer_n_images=needed,
    )


def _is_finer(step: float, below: float, test: DropTest) -> bool:
    return test.negligible_fraction < step < _CLEARLY * below


def _checks(
    figure: GatedAccuracy, test: DropTest | None, policy: AccuracyPolicy
) -> list[GateCheck]:
    paired = figure.paired
    drop, points = -paired.difference_fraction, format_points(paired.difference_fraction)
    checks: list[GateCheck] = []

    def add(rule: str, text: str, *, passed: bool) -> None:
        check = GateCheck(rule=rule, subject=figure.entry, outcome=outcome_of(passed), text=text)
        checks.append(check)

    if test is not None:
        rejected = test.rejects(
            paired.only_first_correct, paired.only_second_correct, paired.n_images
        )
        assert figure.p_value is not None
        text = (
            f"{points} points, p {format_p(figure.p_value)} ({policy.test}); fails at p up to "
            f"{test.alpha:.2g} and more than {policy.negligible_points:g} points lost"
        )
        add("no significant drop", text, passed=not rejected)
    if policy.max_drop_points is not None:
        limit = policy.max_drop_points
        # The tolerance undoes rounding: ten of 1,000 images are one point, and not more.
        passed = drop <= limit / 100 + 1e-12
        add("largest drop", f"{points} points; at most {limit:g} may be lost", passed=passed)
    if policy.must_find_points is not None:
        limit = policy.must_find_points
        found = figure.sensitivity.smallest_drop_fraction if figure.sensitivity else None
        passed = found is not None and 100 * found <= limit + 1e-9
        smallest = "no drop" if found is None else f"drops from {100 * found:.2g} points"
        text = f"finds {smallest} with 95 % power; must find {limit:g} points"
        add("fine enough", text, passed=passed)
    return checks


def judge_floors(
    predictions: Predictions | None, policy: AccuracyPolicy, note: Callable[[GateCheck], None]
) -> None:
    """Judge the floors, of whatever entries the policy names."""
    for entry, percent in policy.floors_percent.items():
        found = predictions.entries.get(entry) if predictions else None
        if predictions is None or found is None:
            known = ", ".join(predictions.entries) if predictions else "none"
            text = f"at least {percent:g} % wanted, and the run has no such entry, but: {known}"
            note(GateCheck(rule="floor", subject=entry, outcome="fail", text=text))
            continue
        n_correct, n = int(np.count_nonzero(found == predictions.labels)), len(found)
        passed = n_correct >= percent / 100 * n - 1e-9
        text = (
            f"{format_percent(n_correct / n, 2)} ({format_count(n_correct)} of "
            f"{format_count(n)}); at least {percent:g} %"
        )
        note(GateCheck(rule="floor", subject=entry, outcome=outcome_of(passed), text=text))
