"""A run's figures for services that draw them over time: Bencher, GitHub, Prometheus, GitLab."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tlbench.core.errors import ResultError, printable
from tlbench.records import AccuracyResult, Interval, LatencyResult, RunResult, entry_name

_NS_PER_S, _MS_PER_S, _MB_PER_BYTE, _PERCENT = 1e9, 1e3, 1e-6, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure with its unit; *low* and *high* are the ends of its 95 % interval, if it has one.

    The labels name what was measured. They are the same in every run of the same configuration, so
    that a service can draw one line through them.
    """

    name: Literal["latency", "throughput", "memory", "energy", "accuracy", "size"]
    unit: Literal["s", "images/s", "bytes", "J", "fraction"]
    labels: Mapping[str, str]
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    verdict: str | None = None  # of a latency

    @property
    def is_better_bigger(self) -> bool:
        """Whether a larger figure is an improvement."""
        return self.name in {"accuracy", "throughput"}

    @property
    def subject(self) -> str:
        """The labels in one line."""
        named = {"batch", "qps", "pause", "repeat"}
        return ", ".join(f"{k} {v}" if k in named else v for k, v in self.labels.items())


def run_metrics(run: RunResult) -> Iterator[Metric]:
    """Yield the figures of a run: accuracies, timings, the size of the file.

    No two have the same name and labels: a second one has the label ``repeat``.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    for metric in _all_metrics(run):
        key = (metric.name, *metric.labels.values())
        seen[key] += 1
        again = {"repeat": str(seen[key])} if seen[key] > 1 else {}
        yield replace(metric, labels={**metric.labels, **again})


def _all_metrics(run: RunResult) -> Iterator[Metric]:
    card = run.model.card
    name = card.backbone if card else run.model.path_name
    precision = card.precision if card else "fp32"
    for one in run.accuracy:
        yield _accuracy(run, one, {"model": name, "precision": precision})
    for timing in run.latency:
        if timing.samples_s:
            yield from _timing(timing, timing.label or name)
    yield Metric(
        name="size",
        unit="bytes",
        labels={"model": name, "precision": precision},
        value=run.model.size_bytes,
    )


def _accuracy(run: RunResult, one: AccuracyResult, model: dict[str, str]) -> Metric:
    dataset = run.dataset.name if run.dataset else ""
    return Metric(
        name="accuracy",
        unit="fraction",
        labels={**model, "dataset": dataset, "entry": entry_name(one)},
        value=one.accuracy_fraction,
        low=one.interval.low,
        high=one.interval.high,
        n=one.n_test,
    )


def _timing(timing: LatencyResult, model: str) -> Iterator[Metric]:
    labels = {
        "model": model,
        "precision": timing.precision,
        "scenario": timing.scenario,
        "batch": str(timing.batch_size),
        "provider": timing.provider.removesuffix("ExecutionProvider").lower(),
        "boundary": timing.boundary,
    }
    if timing.server is not None:
        labels["qps"] = f"{timing.server.qps:g}"
    if timing.pause_s is not None:
        labels["pause"] = f"{timing.pause_s:g} s"
    interval: Interval | None = timing.median_interval
    yield Metric(
        name="latency",
        unit="s",
        labels=labels,
        value=timing.median_s,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        n=len(timing.samples_s),
        verdict=timing.verdict,
    )
    yield Metric(
        name="throughput",
        unit="images/s",
        labels=labels,
        value=timing.images_per_s,
        n=len(timing.samples_s),
    )
    if timing.peak_rss_bytes is not None:
        yield Metric(name="memory", unit="bytes", labels=labels, value=timing.peak_rss_bytes)
    if timing.energy_j_per_image is not None:
        yield Metric(name="energy", unit="J", labels=labels, value=timing.energy_j_per_image)


def render_bencher(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the figures in Bencher's Metric Format: latency in ns, accuracy in percent."""
    del location, width, color
    found: dict[str, dict[str, dict[str, float]]] = {}
    factors = {"s": _NS_PER_S, "fraction": _PERCENT}
    for metric in run_metrics(run):
        factor = factors.get(metric.unit, 1)
        ends = {"value": metric.value, "lower_value": metric.low, "upper_value": metric.high}
        values = {name: end * factor for name, end in ends.items() if end is not None}
        found.setdefault(metric.subject, {})[metric.name] = values
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def render_github_smaller(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return times and sizes for github-action-benchmark's ``customSmallerIsBetter``."""
    del location, width, color
    return _github(run, is_better_bigger=False)


def render_github_bigger(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return accuracies and throughputs for its ``customBiggerIsBetter``."""
    del location, width, color
    return _github(run, is_better_bigger=True)


def _github(run: RunResult, *, is_better_bigger: bool) -> str:
    units = {
        "s": ("ms", _MS_PER_S),
        "fraction": ("%", _PERCENT),
        "bytes": ("MB", _MB_PER_BYTE),
    }
    found = []
    for metric in run_metrics(run):
        if metric.is_better_bigger is not is_better_bigger:
            continue
        unit, factor = units.get(metric.unit, (metric.unit, 1))
        entry: dict[str, object] = {
            "name": f"{metric.name}: {metric.subject}",
            "unit": unit,
            "value": metric.value * factor,
        }
        if metric.low is not None and metric.high is not None:
            entry["range"] = f"{metric.low * factor:.4g} to {metric.high * factor:.4g}"
        about = [f"n = {metric.n}"] if metric.n is not None else []
        about += [metric.verdict] if metric.verdict else []
        entry["extra"] = ", ".join([*about, f"run {run.id}"])
        found.append(entry)
    if not found:  # times and sizes always hold the size of the file
        msg = f"Run {run.id} has no accuracy to report. Measure one with `tlbench evaluate`."
        raise ResultError(msg)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def render_openmetrics(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the figures as OpenMetrics text, in base units: seconds, bytes, joules, ratios."""
    del location, width, color
    families = {
        "accuracy": ("tlbench_accuracy_ratio", "ratio", "Accuracy on the test images."),
        "latency": ("tlbench_latency_seconds", "seconds", "Median time of one call."),
        "throughput": ("tlbench_throughput_images_per_second", "", "Images per second."),
        "memory": ("tlbench_memory_bytes", "bytes", "Peak resident memory of a fresh process."),
        "energy": ("tlbench_energy_joules", "joules", "Energy per image."),
        "size": ("tlbench_model_bytes", "bytes", "Size of the model file."),
    }
    metrics = list(run_metrics(run))
    lines: list[str] = []
    for name, (family, unit, about) in families.items():
        members = [metric for metric in metrics if metric.name == name]
        if not members:
            continue
        lines += [f"# TYPE {family} gauge", *([f"# UNIT {family} {unit}"] if unit else [])]
        lines += [f"# HELP {family} {about}"]
        for metric in members:
            ends = {"estimate": metric.value, "low": metric.low, "high": metric.high}
            lines += [
                f"{family}{{{_labels({**metric.labels, 'statistic': which})}}} {float(end)!r}"
                for which, end in ends.items()
                if end is not None
            ]
    judged = [metric for metric in metrics if metric.verdict]
    if judged:
        family = "tlbench_latency_valid"
        lines += [f"# TYPE {family} gauge", f"# HELP {family} 1 if the timing is VALID, else 0."]
        lines += [f"{family}{{{_labels(m.labels)}}} {int(m.verdict == 'VALID')}" for m in judged]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return printable(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
