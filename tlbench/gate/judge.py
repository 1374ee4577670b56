"""A run held against a baseline: every rule of the policy, and a verdict that fails closed."""

from tlbench import __version__
from tlbench.compare import ComparedRun, predictions_of
from tlbench.core.errors import GateError
from tlbench.core.hashing import sha256_array
from tlbench.gate.accuracy import JudgedAccuracy, judge_accuracy, judge_floors
from tlbench.gate.baseline import drifts_of, machine_of, model_identity
from tlbench.gate.drift import judge_drifts
from tlbench.gate.latency import judge_latency
from tlbench.gate.policy import Policy
from tlbench.records import (
    Baseline,
    BaselineData,
    DatasetInfo,
    GateCheck,
    GateVerdict,
    Predictions,
    RunResult,
    entry_name,
    plain_value,
)

_DIGITS = 12  # of a digest, for people


def judge_run(
    side: ComparedRun,
    baseline: Baseline,
    policy: Policy | None = None,
    *,
    baseline_file: str = "",
    policy_source: str = "default",
) -> GateVerdict:
    """Judge a run.

    Parameters
    ----------
    side : ComparedRun
        The run, or one candidate of it.
    baseline : Baseline
    policy : Policy or None
        None: the default.
    baseline_file, policy_source : str
        Where they came from, for the record.

    Returns
    -------
    GateVerdict
        Passed only if every check passed or was left out by the policy.

    Raises
    ------
    GateError
        If the baseline is damaged, or if the policy leaves nothing to judge.
    ResultError
        If the run is damaged.
    """
    policy = policy or Policy()
    run = side.run
    side.check()
    predictions = predictions_of(side)
    checks: list[GateCheck] = []
    judged = JudgedAccuracy(figures=(), checks=())
    if baseline.accuracy:
        same = _same_data(run, predictions, baseline.data)
        checks.append(same)
        if same.outcome == "pass" and predictions is not None:
            judged = judge_accuracy(predictions, baseline.accuracy, policy.accuracy)
            checks += judged.checks
    judge_floors(predictions, policy.accuracy, checks.append)
    timings, latency_checks = judge_latency(
        side.timings,
        machine_of(run.environment),
        baseline.latency,
        baseline.machine,
        policy.latency,
    )
    checks += latency_checks
    checks += judge_drifts(drifts_of(run), baseline.drifts, policy.drift)
    if not any(
        check.outcome == "fail" or (check.outcome == "pass" and check.rule != "same data")
        for check in checks
    ):
        skipped = "; ".join(f"{one.subject}: {one.text}" for one in checks if one.outcome == "skip")
        msg = (
            f"Nothing was judged, which is no pass: {skipped or 'no rule applies'}. Save a "
            "baseline with predictions, measure on the baseline's machine, or switch a rule on."
        )
        raise GateError(msg)
    return GateVerdict(
        tlbench_version=__version__,
        passed=all(check.outcome != "fail" for check in checks),
        run=side.name,
        model=model_identity(side.model_of()),
        baseline_file=baseline_file,
        baseline_run=baseline.run,
        baseline_model=baseline.model,
        policy_source=policy_source,
        policy=plain_value(policy),
        checks=tuple(checks),
        accuracy=judged.figures,
        timings=tuple(timings),
        warnings=tuple(_cautions(run, baseline)),
    )


def _same_data(
    run: RunResult, predictions: Predictions | None, wanted: BaselineData | None
) -> GateCheck:
    """Return the check on which every comparison of accuracies rests."""
    found, text = run.dataset, ""
    if wanted is None:
        reason = "the baseline has predictions and does not say of what data"
    elif found is None:
        reason = "the run has no accuracy: make it with tlbench evaluate or tlbench run"
    elif predictions is None:
        reason = "there is no predictions.npz beside the run's run.json"
    else:
        text = f"{wanted.n_test:,} test images, the same in the same order"
        reason = _why_other(found, predictions, wanted)
    return GateCheck(
        rule="same data",
        subject=wanted.name if wanted else "predictions",
        outcome="fail" if reason else "pass",
        text=reason or text,
    )


def _why_other(found: DatasetInfo, predictions: Predictions, wanted: BaselineData) -> str:
    """Return in what the data differ; empty if in nothing. Names may differ: some are paths."""
    n_test = len(predictions.labels)
    if n_test < wanted.n_test:
        return f"fewer images: {n_test:,} of the baseline's {wanted.n_test:,}"
    if found.fingerprint != wanted.fingerprint:
        return (
            f"other data: {found.name} {found.fingerprint[:_DIGITS]} with {found.n_train:,} train "
            f"and {n_test:,} test images, the baseline's are {wanted.name} "
            f"{wanted.fingerprint[:_DIGITS]} with {wanted.n_train:,} and {wanted.n_test:,}"
        )
    if n_test != wanted.n_test or sha256_array(predictions.index) != wanted.index_sha256:
        return "other images of the test split than the baseline's, or in another order"
    if sha256_array(predictions.labels) != wanted.labels_sha256:
        return "other labels than the baseline's"
    return ""


def _cautions(run: RunResult, baseline: Baseline) -> list[str]:
    """Return what differs and does not fail, but may explain a failure."""
    params = {one.entry: one.params for one in baseline.accuracy}
    found = []
    for result in run.accuracy:
        before = params.get(entry_name(result))
        if before is None:
            continue
        names = dict.fromkeys([*before, *result.params])
        changed = [
            f"{name} {before.get(name)} -> {result.params.get(name)}"
            for name in names
            if before.get(name) != result.params.get(name)
        ]
        if changed:
            found.append(f"{entry_name(result)}: parameters changed: {', '.join(changed)}")
    libraries = baseline.libraries, run.environment.libraries
    changed = [
        f"{name} {libraries[0].get(name, 'none')} -> {libraries[1].get(name, 'none')}"
        for name in sorted({*libraries[0], *libraries[1]})
        if libraries[0].get(name) != libraries[1].get(name)
    ]
    if changed:
        found.append(f"libraries changed since the baseline: {', '.join(changed)}")
    extra = [entry_name(one) for one in run.accuracy if not one.baseline]
    extra = [name for name in extra if name not in params]
    if extra and baseline.accuracy:
        found.append(f"not in the baseline, so not judged: {', '.join(extra)}")
    return found
