"""Where runs differ: mismatches forbid a comparison of results, properties may explain one."""
# Machine, provider and threads are properties: how much they matter is what a comparison asks.

import json
from collections.abc import Iterable, Sequence

from tlbench.compare.compared_run import ComparedRun
from tlbench.model import ModelCard
from tlbench.records import AccuracyResult, LatencyResult, Mismatch, ModelInfo, RunProperty

_UNKNOWN = "unknown"
_DIGITS = 12  # of a digest, for people
_SCIKIT_LEARN = "scikit-learn"


def timing_mismatches(
    runs: tuple[ComparedRun, ComparedRun],
    results: tuple[LatencyResult, LatencyResult],
    *,
    of_models: bool = True,
) -> tuple[Mismatch, ...]:
    """Return where timings of reference and candidate do not match: empty if comparable.

    Without *of_models* their models may differ, as those of rivals do.
    """
    found = _mismatches(*map(_timing_values, results))
    if not of_models:
        return found
    models = [run.model_of(one.label) for run, one in zip(runs, results, strict=True)]
    return found + _mismatches(*_model_values(*models))


def _timing_values(result: LatencyResult) -> dict[str, str]:
    load = result.server
    return {
        "scenario": result.scenario,
        "batch size": str(result.batch_size),
        "boundary": result.boundary,
        "precision": result.precision,
        "input shape": _shape(result.input_shape),
        "pause": "none" if result.pause_s is None else f"{result.pause_s:g} s",
        "load": f"{load.qps:g}/s within {load.latency_bound_s:g} s" if load else "none",
    }


def accuracy_mismatches(
    runs: tuple[ComparedRun, ComparedRun],
    results: tuple[AccuracyResult, AccuracyResult],
    *,
    of_models: bool = True,
) -> tuple[Mismatch, ...]:
    """Return where accuracies of reference and candidate do not match: empty if comparable.

    Without *of_models* their models may differ, and how these were trained.
    """
    values = [_accuracy_values(*pair) for pair in zip(runs, results, strict=True)]
    if not of_models:
        data = ("features", "head", "dataset")
        return _mismatches(*({name: one[name] for name in data} for one in values))
    found = _mismatches(*values)
    if all(result.baseline for result in results):  # a feature baseline does not depend on it
        return found
    models = [run.model_of() for run in runs]
    if not any(map(_saw_squares, runs, models)):  # otherwise every fit gives the same features
        found += _mismatches(*({"fit": _fit(model)} for model in models))
    precisions = (model.card.precision if model.card else _UNKNOWN for model in models)
    found += _mismatches(*({"precision": precision} for precision in precisions))
    return found + _mismatches(*_model_values(*models))


def _saw_squares(compared: ComparedRun, model: ModelInfo) -> bool:
    """Tell whether a centred crop has left nothing out, so that the images are known as square."""
    shares = [one.cropped_fraction for one in compared.run.extraction]
    crops = model.card is not None and model.card.fit == "crop"
    return crops and bool(shares) and all(share == 0 for share in shares)


def _fit(model: ModelInfo) -> str:
    if model.card is None:
        return _UNKNOWN
    fraction = model.card.crop_fraction
    return model.card.fit if fraction in {None, 1} else f"{model.card.fit} {fraction:g}"


def _accuracy_values(compared: ComparedRun, result: AccuracyResult) -> dict[str, str]:
    data = compared.run.dataset
    return {
        "features": result.features,
        "head": result.head,
        "dataset": f"{data.name} {data.fingerprint[:_DIGITS]}" if data else "none",
        "train images": str(result.n_train),
        "test images": str(result.n_test),
    } | {
        # As JSON, which both came from: 1 and true differ, and the order of keys does not count.
        f"parameter {name}": json.dumps(value, sort_keys=True)
        for name, value in result.params.items()
    }


def _mismatches(one: dict[str, str], two: dict[str, str]) -> tuple[Mismatch, ...]:
    pairs = {name: (one.get(name, "absent"), two.get(name, "absent")) for name in one | two}
    return tuple(
        Mismatch(name=name, reference=first, other=second)
        for name, (first, second) in pairs.items()
        if first != second
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _model_values(one: ModelInfo, two: ModelInfo) -> tuple[dict[str, str], dict[str, str]]:
    """Return what tells two models apart: nothing for one file, else what their cards say."""
    # Exports of one network by different versions of an exporter have different bytes.
    if one.sha256 == two.sha256:
        return {}, {}
    if one.card and two.card:
        return _card_values(one.card), _card_values(two.card)
    first, second = (
        f"{model.path_name} {model.sha256[:_DIGITS]} {'with' if model.card else 'without'} a card"
        for model in (one, two)
    )
    return {"model file": first}, {"model file": second}


def _card_values(card: ModelCard) -> dict[str, str]:
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
    found = [_properties(compared) for compared in runs]
    return tuple(
        RunProperty(name=name, values=tuple(one[name] for one in found))
        for name in found[0]
        if name != _SCIKIT_LEARN or any(compared.accuracy for compared in runs)
    )


def _properties(compared: ComparedRun) -> dict[str, str]:
    run, timings = compared.run, compared.timings
    machine, libraries = run.environment, run.environment.libraries
    models = (compared.model_of(label) for label in compared.labels or (None,))
    power = machine.on_ac_power
    return {
        "CPU": machine.cpu,
        "processors": f"{machine.cpus_usable} of {machine.cpus_total}"
        + (f", CPU quota of {machine.cpu_quota:g}" if machine.cpu_quota is not None else ""),
        "GPU": _joined(f"{gpu.name}, driver {gpu.driver}" for gpu in machine.gpus) or "none",
        # of the features where nothing was timed
        "provider": _joined(one.provider for one in timings or run.extraction) or _UNKNOWN,
        "threads": _joined(str(one.threads) for one in timings)
        or str(run.config.effective.get("threads", _UNKNOWN)),
        "settings": _joined(
            sorted(f"{name}={value}" for one in timings for name, value in one.settings.items())
        )
        or _UNKNOWN,
        # The build for GPUs is a package of its own.
        "ONNX Runtime": _joined(
            f"{name} {libraries[name]}"
            for name in ("onnxruntime-gpu", "onnxruntime")
            if name in libraries
        )
        or _UNKNOWN,
        "governor": machine.governor or _UNKNOWN,
        "mains power": _UNKNOWN if power is None else "yes" if power else "no",
        "OS": machine.os,
        "Python": machine.python,
        "model file": _joined(f"{one.path_name} {one.sha256[:_DIGITS]}" for one in models),
        "tlbench": run.tlbench_version,
        _SCIKIT_LEARN: libraries.get(_SCIKIT_LEARN, _UNKNOWN),
    }


def _joined(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
