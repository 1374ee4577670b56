"""In what two results differ that must be alike to be compared.

Machine, provider and threads are not among it: how much they matter is what a comparison asks.
"""

import json
from collections.abc import Iterable
from typing import Any

from tlbench.compare.compared_run import ComparedRun
from tlbench.model import ModelCard
from tlbench.records import AccuracyResult, LatencyResult, Mismatch, ModelInfo

_DIGITS = 12  # of a digest, for people

_Row = tuple[str, object, object]  # name, of the reference, of the other


def timing_differences(
    sides: tuple[ComparedRun, ComparedRun], results: tuple[LatencyResult, LatencyResult]
) -> tuple[Mismatch, ...]:
    """Return in what two timings are unlike: empty if they may be compared.

    Parameters
    ----------
    sides : tuple of ComparedRun
        The reference's run and the other's.
    results : tuple of LatencyResult
        One of each.
    """
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
    rows += _model_rows(sides[0].model_of(one.label), sides[1].model_of(two.label))
    return _differences(rows)


def accuracy_differences(
    sides: tuple[ComparedRun, ComparedRun], results: tuple[AccuracyResult, AccuracyResult]
) -> tuple[Mismatch, ...]:
    """Return in what two accuracies are unlike: empty if they may be compared.

    Parameters
    ----------
    sides : tuple of ComparedRun
        The reference's run and the other's.
    results : tuple of AccuracyResult
        One of each.
    """
    one, two = results
    rows: list[_Row] = [
        ("features", one.features, two.features),
        ("head", one.head, two.head),
        ("dataset", _dataset(sides[0]), _dataset(sides[1])),
        ("train images", one.n_train, two.n_train),
        ("test images", one.n_test, two.n_test),
        *_param_rows(one, two),
    ]
    if not (one.baseline and two.baseline):  # a feature baseline has no part in the model
        first, second = sides[0].model_of(), sides[1].model_of()
        rows.append(("precision", _precision(first), _precision(second)))
        rows += _model_rows(first, second)
    return _differences(rows)


def _differences(rows: Iterable[_Row]) -> tuple[Mismatch, ...]:
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


def _dataset(side: ComparedRun) -> str:
    found = side.run.dataset
    return "none" if found is None else f"{found.name} {found.fingerprint[:_DIGITS]}"


def _param_rows(one: AccuracyResult, two: AccuracyResult) -> list[_Row]:
    """Return a row for each parameter of either head."""
    names = dict.fromkeys([*one.params, *two.params])
    return [
        (f"parameter {name}", _param(one.params, name), _param(two.params, name)) for name in names
    ]


def _param(params: dict[str, Any], name: str) -> str:
    # As JSON, in which both came: 1 and true are not alike, and the order of keys does not count.
    return json.dumps(params[name], sort_keys=True) if name in params else "absent"


def _precision(model: ModelInfo) -> str:
    return model.card.precision if model.card else "unknown"


def _model_rows(one: ModelInfo, two: ModelInfo) -> list[_Row]:
    """Return what tells two models apart: nothing for one file, else what their cards say.

    Two exports of one network have different bytes where the versions of their exporter differ.
    """
    if one.sha256 == two.sha256:
        return []
    if one.card is None or two.card is None:
        return [("model file", _file(one), _file(two))]
    first, second = _card_facts(one.card), _card_facts(two.card)
    return [(name, first[name], second[name]) for name in first]


def _file(model: ModelInfo) -> str:
    kind = "with a card" if model.card else "without a card"
    return f"{model.path_name} {model.sha256[:_DIGITS]} {kind}"


def _card_facts(card: ModelCard) -> dict[str, str]:
    digest = card.weights.sha256
    return {
        "backbone": card.backbone,
        # Random ones have no file: their origin names the seed.
        "weights": f"{card.weights.kind} {digest[:_DIGITS] if digest else card.weights.origin}",
        "input size": _shape(card.input_size),
        "resize": card.resize,
        "preprocessing": card.preprocessing,
        "layer": card.layer,
        "pooling": card.pooling,
        "features": _shape(card.feature_shape),
        "classes": str(card.n_classes or "none"),
    }
