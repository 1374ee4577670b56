"""Where runs differ: mismatches make two results incomparable, properties may explain a difference.

Machine, provider and threads cannot be mismatches: how much they matter is what a comparison asks.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tlbench.compare.compared_run import ComparedRun
from tlbench.machine import Environment
from tlbench.model import ModelCard
from tlbench.records import AccuracyResult, LatencyResult, Mismatch, ModelInfo, RunProperty

_UNKNOWN = "unknown"
_DIGITS = 12  # of a digest, for people

_Row = tuple[str, object, object]  # name, value in the reference, value in the candidate


def timing_mismatches(
    runs: tuple[ComparedRun, ComparedRun], results: tuple[LatencyResult, LatencyResult]
) -> tuple[Mismatch, ...]:
    """Return where timings of reference and candidate do not match: empty if comparable."""
    one, two = results
    rows: list[_Row] = [
        ("scenario", one.scenario, two.scenario),
        ("batch size", one.batch_size, two.batch_size),
        ("boundary", one.boundary, two.boundary),
        ("precision", one.precision, two.precision),
        ("input shape", _shape(one.input_shape), _shape(two.input_shape)),
        ("pause", _seconds(one.pause_s), _seconds(two.pause_s)),
    ]
    if one.server is not None or two.server is not None:  # the load decides how long a queue is
        rows.append(("load", _load(one), _load(two)))
    rows += _model_rows(runs[0].model_of(one.label), runs[1].model_of(two.label))
    return _mismatches(rows)


def accuracy_mismatches(
    runs: tuple[ComparedRun, ComparedRun], results: tuple[AccuracyResult, AccuracyResult]
) -> tuple[Mismatch, ...]:
    """Return where accuracies of reference and candidate do not match: empty if comparable."""
    one, two = results
    params = [
        (f"parameter {name}", _param(one.params, name), _param(two.params, name))
        for name in dict.fromkeys([*one.params, *two.params])
    ]
    rows: list[_Row] = [
        ("features", one.features, two.features),
        ("head", one.head, two.head),
        ("dataset", _dataset(runs[0]), _dataset(runs[1])),
        ("train images", one.n_train, two.n_train),
        ("test images", one.n_test, two.n_test),
        *params,
    ]
    if not (one.baseline and two.baseline):  # a feature baseline does not depend on the model
        first, second = runs[0].model_of(), runs[1].model_of()
        rows.append(("precision", _precision(first), _precision(second)))
        rows += _model_rows(first, second)
    return _mismatches(rows)


def _mismatches(rows: Iterable[_Row]) -> tuple[Mismatch, ...]:
    return tuple(
        Mismatch(name=name, reference=str(one), other=str(two))
        for name, one, two in rows
        if one != two
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"


def _load(result: LatencyResult) -> str:
    load = result.server
    return "none" if load is None else f"{load.qps:g}/s within {load.latency_bound_s:g} s"


def _dataset(compared: ComparedRun) -> str:
    found = compared.run.dataset
    return "none" if found is None else f"{found.name} {found.fingerprint[:_DIGITS]}"


def _param(params: dict[str, Any], name: str) -> str:
    # As JSON, which both came from: 1 and true differ, and the order of keys does not count.
    return json.dumps(params[name], sort_keys=True) if name in params else "absent"


def _precision(model: ModelInfo) -> str:
    return model.card.precision if model.card else _UNKNOWN


def _model_rows(one: ModelInfo, two: ModelInfo) -> list[_Row]:
    """Return what tells two models apart: nothing for one file, else what their cards say.

    Exports of one network by different versions of an exporter have different bytes.
    """
    if one.sha256 == two.sha256:
        return []
    if one.card is None or two.card is None:
        return [("model file", _file(one), _file(two))]
    first, second = _card_properties(one.card), _card_properties(two.card)
    return [(name, first[name], second[name]) for name in first]


def _file(model: ModelInfo) -> str:
    card = "with a card" if model.card else "without a card"
    return f"{model.path_name} {model.sha256[:_DIGITS]} {card}"


def _card_properties(card: ModelCard) -> dict[str, str]:
    digest = card.weights.sha256
    return {
        "backbone": card.backbone,
        # Random weights have no file: their origin names the seed.
        "weights": f"{card.weights.kind} {digest[:_DIGITS] if digest else card.weights.origin}",
        "input size": _shape(card.input_size),
        "resize": card.resize,
        "preprocessing": card.preprocessing,
        "layer": card.layer,
        "pooling": card.pooling,
        "features": _shape(card.feature_shape),
        "classes": str(card.n_classes or "none"),
    }


def run_properties(runs: Sequence[ComparedRun]) -> tuple[RunProperty, ...]:
    """Return every property of machine and settings, whether or not the runs differ in it."""
    properties: list[tuple[str, Callable[[ComparedRun], str]]] = [
        ("CPU", lambda one: one.run.environment.cpu),
        ("processors", lambda one: _processors(one.run.environment)),
        ("GPU", lambda one: _gpus(one.run.environment)),
        ("provider", _providers),
        ("threads", _threads),
        ("settings", _settings),
        ("ONNX Runtime", _onnxruntime),
        ("governor", lambda one: one.run.environment.governor or _UNKNOWN),
        ("mains power", lambda one: _yes_no(one.run.environment.on_ac_power)),
        ("OS", lambda one: one.run.environment.os),
        ("Python", lambda one: one.run.environment.python),
        ("model file", _files),
        ("tlbench", lambda one: one.run.tlbench_version),
    ]
    if any(one.accuracy for one in runs):
        properties.append(
            (
                "scikit-learn",
                lambda one: one.run.environment.libraries.get("scikit-learn", _UNKNOWN),
            )
        )
    return tuple(RunProperty(name=name, values=tuple(map(of, runs))) for name, of in properties)


def _processors(found: Environment) -> str:
    return f"{found.cpus_usable} of {found.cpus_total}"


def _gpus(found: Environment) -> str:
    return _joined(f"{gpu.name}, driver {gpu.driver}" for gpu in found.gpus) or "none"


def _yes_no(value: bool | None) -> str:  # noqa: FBT001 - the value to be written
    return _UNKNOWN if value is None else "yes" if value else "no"


def _onnxruntime(compared: ComparedRun) -> str:
    """Return version and build: the one for GPUs is a package of its own."""
    versions = compared.run.environment.libraries
    names = ("onnxruntime-gpu", "onnxruntime")
    return _joined(f"{name} {versions[name]}" for name in names if name in versions) or _UNKNOWN


def _providers(compared: ComparedRun) -> str:
    """Return the providers of the timings, or of the features where nothing was timed."""
    used = compared.timings or compared.run.extraction
    return _joined(result.provider for result in used) or _UNKNOWN


def _threads(compared: ComparedRun) -> str:
    threads = _joined(str(result.threads) for result in compared.timings)
    return threads or str(compared.run.config.effective.get("threads", _UNKNOWN))


def _settings(compared: ComparedRun) -> str:
    pairs = (f"{name}={value}" for one in compared.timings for name, value in one.settings.items())
    return _joined(sorted(pairs)) or _UNKNOWN


def _files(compared: ComparedRun) -> str:
    models = (compared.model_of(label) for label in compared.labels or (None,))
    return _joined(f"{model.path_name} {model.sha256[:_DIGITS]}" for model in models)


def _joined(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
