"""A run judged against a baseline: every rule of the policy, and a verdict that fails closed."""

from collections.abc import Iterable, Mapping
from dataclasses import fields

from tlbench import __version__
from tlbench.compare import ComparedRun, predictions_of, ratio_interval
from tlbench.core.errors import GateError
from tlbench.core.hashing import sha256_array
from tlbench.core.units import format_factor, format_seconds
from tlbench.gate.accuracy import checked, judge_accuracy, judge_floors, missing
from tlbench.gate.baseline import drifts_of, machine_of, model_identity, timing_summary
from tlbench.gate.policy import DriftPolicy, LatencyPolicy, Policy
from tlbench.records import (
    Baseline,
    BaselineData,
    BaselineDrift,
    BaselineTiming,
    DatasetInfo,
    GateCheck,
    GatedAccuracy,
    GatedTiming,
    GateVerdict,
    Interval,
    LatencyResult,
    Machine,
    Predictions,
    RunResult,
    entry_name,
    plain_value,
)

_DIGITS = 12  # of a digest, for people
# What two timings must share besides the machine. The precision may differ: whether a conversion
# is slower is what a gate asks.
_MUST_MATCH = ("provider", "threads", "input_shape", "pause_s", "load")
# A model that was never converted has no such drift, and misses nothing.
_CONVERSION = "conversion to "


def judge_run(
    compared: ComparedRun,
    baseline: Baseline,
    policy: Policy | None = None,
    *,
    baseline_file: str = "",
    policy_source: str = "default",
) -> GateVerdict:
    """Return the verdict on a run.

    Parameters
    ----------
    compared : ComparedRun
        The run, or one of its models under test.
    baseline : Baseline
        From `make_baseline` or `tlbench.records.read_baseline`.
    policy : Policy or None
        None for the default.
    baseline_file, policy_source : str
        Where they came from, for the record.

    Returns
    -------
    GateVerdict
        Passed only if every check passed or was skipped by the policy.

    Raises
    ------
    GateError
        If the baseline is damaged, or if the policy leaves nothing to judge.
    ResultError
        If the run is damaged.
    """
    policy = policy or Policy()
    run = compared.run
    compared.check()
    predictions = predictions_of(compared)
    checks: list[GateCheck] = []
    accuracy: list[GatedAccuracy] = []
    if baseline.accuracy:
        same = _same_data(run, predictions, baseline.data)
        checks.append(same)
        if same.outcome == "pass" and predictions is not None:
            accuracy, found = judge_accuracy(predictions, baseline.accuracy, policy.accuracy)
            checks += found
    checks += judge_floors(predictions, policy.accuracy)
    timings, found = _judge_latency(
        compared.timings, machine_of(run.environment), baseline, policy.latency
    )
    checks += found
    checks += _judge_drifts(drifts_of(run), baseline.drifts, policy.drift)
    if not any(
        check.outcome == "fail" or (check.outcome == "pass" and check.rule != "same data")
        for check in checks
    ):
        skipped = "; ".join(f"{one.subject}: {one.text}" for one in checks if one.outcome == "skip")
        raise GateError(
            f"Nothing was judged, so there is no verdict: {skipped or 'no rule applies'}. Save a "
            "baseline with predictions, measure on the baseline's machine, or enable a rule."
        )
    return GateVerdict(
        tlbench_version=__version__,
        passed=all(check.outcome != "fail" for check in checks),
        run=compared.name,
        model=model_identity(compared.model_of()),
        baseline_file=baseline_file,
        baseline_run=baseline.run,
        baseline_model=baseline.model,
        policy_source=policy_source,
        policy=plain_value(policy),
        checks=tuple(checks),
        accuracy=tuple(accuracy),
        timings=tuple(timings),
        warnings=tuple(_warnings(run, baseline)),
    )


def _same_data(
    run: RunResult, predictions: Predictions | None, wanted: BaselineData | None
) -> GateCheck:
    """Return the check that every comparison of accuracies rests on."""
    found, text = run.dataset, ""
    if wanted is None:
        reason = "the baseline has predictions but does not say for what data"
    elif found is None:
        reason = "the run has no accuracy: make it with `tlbench evaluate` or `tlbench run`"
    elif predictions is None:
        reason = "there is no predictions.npz beside the run's run.json"
    else:
        text = f"{wanted.n_test:,} test images, the same in the same order"
        reason = _why_other_data(found, predictions, wanted)
    subject = wanted.name if wanted else "predictions"
    return checked("same data", subject, reason or text, passed=not reason)


def _why_other_data(found: DatasetInfo, predictions: Predictions, wanted: BaselineData) -> str:
    """Return how the data differ; empty if they do not. Names may differ: some are paths."""
    n_test = len(predictions.labels)
    if n_test < wanted.n_test:
        return f"fewer images: {n_test:,} of the baseline's {wanted.n_test:,}"
    if found.fingerprint != wanted.fingerprint:
        return (
            f"other data: {found.name} {found.fingerprint[:_DIGITS]} with {found.n_train:,} train "
            f"and {n_test:,} test images, but the baseline has {wanted.name} "
            f"{wanted.fingerprint[:_DIGITS]} with {wanted.n_train:,} and {wanted.n_test:,}"
        )
    if n_test != wanted.n_test or sha256_array(predictions.index) != wanted.index_sha256:
        return "other images than in the baseline's test split, or another order"
    if sha256_array(predictions.labels) != wanted.labels_sha256:
        return "other labels than in the baseline"
    return ""


def _judge_latency(
    results: tuple[LatencyResult, ...], machine: Machine, baseline: Baseline, policy: LatencyPolicy
) -> tuple[list[GatedTiming], list[GateCheck]]:
    """Return figures and checks of every timing of the baseline."""
    if not policy.judge:
        return [], []
    figures: list[GatedTiming] = []
    checks: list[GateCheck] = []
    found = {_timing_name(one): one for one in map(timing_summary, results)}
    other_machine = _differences(baseline.machine, machine, [f.name for f in fields(Machine)])
    for one in baseline.latency:
        name = _timing_name(one)
        two = found.get(name)
        if two is None:
            checks.append(missing(name, found))
            continue
        interval = ratio_interval(two.median_interval, one.median_interval)
        reason = (
            f"another machine ({other_machine})" if other_machine else _why_not(one, two, interval)
        )
        if reason or interval is None:
            text, outcome = f"not judged: {reason}", policy.not_judged
            checks.append(GateCheck(rule="latency", subject=name, outcome=outcome, text=text))
            continue
        before, now = one.median_s, two.median_s
        ratio = now / before
        figures.append(
            GatedTiming(name=name, baseline_s=before, run_s=now, ratio=ratio, interval=interval)
        )
        text = (
            f"{format_seconds(now)} against {format_seconds(before)}: "
            f"{format_factor(ratio)} times [{format_factor(interval.low)}, "
            f"{format_factor(interval.high)}]; fails if the whole interval is above "
            f"{policy.max_ratio:g}"
        )
        checks.append(checked("latency", name, text, passed=interval.low <= policy.max_ratio))
    return figures, checks


def _timing_name(one: BaselineTiming) -> str:
    """Return ``single batch 1``, with the boundary unless it is the usual one."""
    boundary = "" if one.boundary == "numpy->numpy" else f" {one.boundary}"
    return f"{one.scenario} batch {one.batch_size}{boundary}"


def _differences(one: object, two: object, names: Iterable[str]) -> str:
    return "; ".join(
        f"{name} {getattr(one, name)} against {getattr(two, name)}"
        for name in names
        if getattr(one, name) != getattr(two, name)
    )


def _why_not(one: BaselineTiming, two: BaselineTiming, interval: Interval | None) -> str:
    """Return why timings of one machine cannot be compared, the baseline's values first."""
    if differences := _differences(one, two, _MUST_MATCH):
        return differences
    for whose, timing in (("baseline", one), ("run", two)):
        if timing.verdict == "INVALID":
            return f"the timing of the {whose} is INVALID"
    return "" if interval else "too few independent samples for an interval, or a queue"


def _judge_drifts(
    found: tuple[BaselineDrift, ...], baseline: tuple[BaselineDrift, ...], policy: DriftPolicy
) -> list[GateCheck]:
    """Return the checks of every drift that the run knows, and of those that it lacks."""
    if not policy.judge:
        return []
    before = {one.name: one.smallest_cosine for one in baseline}
    checks = []
    for one in found:
        was = f" (baseline {before[one.name]:.4f})" if one.name in before else ""
        text = f"{one.smallest_cosine:.4f}{was}; at least {policy.smallest_cosine:g}"
        passed = one.smallest_cosine >= policy.smallest_cosine
        checks.append(checked("smallest cosine", one.name, text, passed=passed))
    known = {one.name for one in found}
    lacking = [name for name in before if name not in known and not name.startswith(_CONVERSION)]
    return checks + [missing(name, sorted(known)) for name in lacking]


def _warnings(run: RunResult, baseline: Baseline) -> list[str]:
    """Return what differs and does not fail, but may explain a failure."""
    params = {one.entry: one.params for one in baseline.accuracy}
    warnings = []
    for result in run.accuracy:
        name = entry_name(result)
        if name in params and (changed := _changes(params[name], result.params)):
            warnings.append(f"{name}: parameters changed: {changed}")
    if changed := _changes(baseline.libraries, run.environment.libraries):
        warnings.append(f"libraries changed since the baseline: {changed}")
    names = (entry_name(one) for one in run.accuracy if not one.baseline)
    extra = [name for name in names if name not in params]
    if extra and baseline.accuracy:
        warnings.append(f"not in the baseline, so not judged: {', '.join(extra)}")
    return warnings


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )
