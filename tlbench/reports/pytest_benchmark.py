"""A run's latencies as a file of pytest-benchmark, for its ``compare`` and other readers.

pytest-benchmark itself is not needed here; a test compares the statistics with those it computes.
"""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from tlbench.core.errors import ResultError
from tlbench.machine import Environment
from tlbench.records import LatencyResult, RunResult, plain_value

# The release whose format this is; older ones define ``hd15iqr`` differently.
_FORMAT_VERSION = "5.3.1"
# Fields of the records that the file repeats under their own names.
_PARAMS = ("scenario", "batch_size", "provider", "precision", "boundary")
_TIMES = ("images_per_s", "create_s", "first_s", "cpu_s_per_image")
_EXTRA = ("threads", "input_shape", *_TIMES, "verdict")
_ACCURACY = ("features", "head", "n_test", "accuracy_fraction", "interval")


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return a document that ``pytest-benchmark compare FILE...`` reads.

    Results of one scenario and batch size are one group, which a comparison puts into one table.
    """
    del location, width, color
    if not run.latency:
        msg = f"Run {run.id} has no latency to report. Measure one with `tlbench latency`."
        raise ResultError(msg)
    commit = run.environment.git_commit or "unversioned"
    document = {
        "machine_info": _machine_info(run.environment),
        "commit_info": {"id": commit.removesuffix("-dirty"), "dirty": commit.endswith("-dirty")},
        "benchmarks": [_benchmark(run, result) for result in run.latency],
        "datetime": run.created_at,
        "version": _FORMAT_VERSION,
    }
    return json.dumps(document, indent=4) + "\n"


def _machine_info(environment: Environment) -> dict[str, Any]:
    implementation, _, version = environment.python.partition(" ")
    return {
        "machine": environment.machine,
        "system": environment.os.partition("-")[0],
        "python_implementation": implementation,
        "python_version": version,
        "cpu": {"brand_raw": environment.cpu, "count": environment.cpus_total},
        "tlbench": plain_value(environment),
    }


def _benchmark(run: RunResult, result: LatencyResult) -> dict[str, Any]:
    card = run.model.card
    params = {name: getattr(result, name) for name in _PARAMS}
    case = "-".join(map(str, params.values()))
    name = f"{card.backbone if card else run.model.path_name}[{case}]"
    return {
        "group": f"{result.scenario}, batch {result.batch_size}",
        "name": name,
        "fullname": f"{run.model.path_name}::{name}",
        "params": params,
        "param": case,
        "extra_info": {
            **params,
            "run": run.id,
            "tlbench_version": run.tlbench_version,
            "model_sha256": run.model.sha256,
            **{name: getattr(result, name) for name in _EXTRA},
            "accuracy": [
                {name: plain_value(getattr(one, name)) for name in _ACCURACY}
                for one in run.accuracy
            ],
        },
        # tlbench warms up before it counts, and leaves the garbage collector alone.
        "options": {"disable_gc": False, "timer": "perf_counter", "warmup": bool(result.warmup_s)},
        "stats": sample_statistics(result.samples_s) | {"data": result.samples_s, "iterations": 1},
    }


def sample_statistics(samples_s: Sequence[float]) -> dict[str, Any]:
    """Return the statistics of one or more samples as pytest-benchmark defines and names them.

    Seconds, but for the counts and ``ops``, rounds per second. For an odd number of samples, the
    quartiles are Wikipedia's method 3. Outliers lie beyond one standard deviation from the mean, or
    beyond Tukey's fences at 1.5 interquartile ranges; ``ld15iqr`` and ``hd15iqr`` lie within these.
    """
    ordered = sorted(samples_s)
    rounds, total = len(ordered), sum(samples_s)
    mean = statistics.mean(samples_s)
    stddev = statistics.stdev(samples_s) if rounds > 1 else 0
    q1, q3 = _lower_quartile(ordered), _lower_quartile(ordered[::-1])
    iqr = q3 - q1
    low, high = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    inside = [sample for sample in ordered if low <= sample <= high]
    stddev_outliers = sum(not mean - stddev <= sample <= mean + stddev for sample in ordered)
    iqr_outliers = rounds - len(inside)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": stddev,
        "rounds": rounds,
        "median": statistics.median(ordered),
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": iqr_outliers,
        "stddev_outliers": stddev_outliers,
        "outliers": f"{stddev_outliers};{iqr_outliers}",
        "ld15iqr": inside[0],
        "hd15iqr": inside[-1],
        "ops": rounds / total if total else 0,
        "total": total,
    }


def _lower_quartile(ordered: Sequence[float]) -> float:
    """Return the quartile next to the first element; of reversed samples it is the upper one."""
    n, (k, rest) = len(ordered), divmod(len(ordered), 4)
    if n == 1:
        return ordered[0]
    if n % 2 == 0:
        return statistics.median(ordered[: n // 2])
    if rest == 1:
        return 0.25 * ordered[k - 1] + 0.75 * ordered[k]
    return 0.75 * ordered[k] + 0.25 * ordered[k + 1]
