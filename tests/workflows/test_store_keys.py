"""What determines a fitted head is in its key: each part, changed alone, makes another entry."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tlbench.features import content_key
from tlbench.heads import HEADS, resolve_params
from tlbench.workflows import GivenObjects, ProtocolConfig, run_benchmark
from tlbench.workflows.steps import accuracy
from tlbench.workflows.steps.features import FeatureSet


@pytest.fixture
def fitting(tiny_path):
    """A head to be fitted, without any features."""
    head = HEADS.load("softmax")
    labels = np.arange(30, dtype=np.int64) % 3
    features = FeatureSet(name="backbone", identity="a" * 64, matrices=lambda: None)
    context = SimpleNamespace(
        config=SimpleNamespace(seed=0, protocol=ProtocolConfig(), given=GivenObjects()),
        dataset=SimpleNamespace(classes=("a", "b", "c")),
    )
    return accuracy._Task(
        context=context,
        heads=(head,),
        shapes={"backbone": {"softmax": resolve_params(head, {})}},
        sets=(features,),
        train=SimpleNamespace(labels=labels[:20]),
        test=SimpleNamespace(labels=labels[20:]),
    )


def key(fitting, **changes):
    """Return the key of the first head on the first feature set, after changes to the task."""
    fitting = replace(fitting, **changes)
    return content_key(fitting.key_parts(fitting.sets[0], fitting.heads[0]))


def _with(namespace, **changes):
    return SimpleNamespace(**(vars(namespace) | changes))


CHANGES = {
    "features": lambda task: {"sets": (replace(task.sets[0], identity="b" * 64),)},
    "training labels": lambda task: {"train": SimpleNamespace(labels=task.train.labels[::-1])},
    "test labels": lambda task: {"test": SimpleNamespace(labels=task.test.labels[::-1])},
    "classes": lambda task: {
        "context": _with(task.context, dataset=SimpleNamespace(classes=("a", "b", "c", "d")))
    },
    "head": lambda task: {
        "heads": (replace(task.heads[0], name="other"),),
        "shapes": {"backbone": {"other": task.shapes["backbone"]["softmax"]}},
    },
    "parameters": lambda task: {
        "shapes": {"backbone": {"softmax": task.shapes["backbone"]["softmax"] | {"C": 2.0}}}
    },
    "seed": lambda task: {
        "context": _with(task.context, config=_with(task.context.config, seed=7))
    },
    "search": lambda task: {
        "context": _with(
            task.context, config=_with(task.context.config, protocol=ProtocolConfig(search=True))
        )
    },
    "a library that the head needs": lambda task: {
        "heads": (replace(task.heads[0], requires=("numpy",)),)
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_part_of_a_fitted_heads_key_counts_alone(fitting, change):
    assert key(fitting) == key(fitting)
    assert key(fitting, **change(fitting)) != key(fitting)


@pytest.mark.parametrize("part", ["parameter", "values"])
def test_another_search_is_another_head(fitting, part):
    """The values that were tried, and the parameter that they are of."""
    protocol = ProtocolConfig(search=True)
    context = _with(fitting.context, config=_with(fitting.context.config, protocol=protocol))
    (head,) = fitting.heads
    other = {"parameter": "tol", "values": head.search.values[1:]}[part]
    changed = replace(head, search=replace(head.search, **{part: other}))
    assert key(fitting, context=context, heads=(changed,)) != key(fitting, context=context)


@pytest.mark.parametrize("library", ["scikit-learn", "tlbench"])
def test_another_version_fits_again(fitting, monkeypatch, library):
    before, version = key(fitting), accuracy.metadata.version
    monkeypatch.setattr(
        accuracy.metadata, "version", lambda name: "9.9" if name == library else version(name)
    )
    assert key(fitting) != before


@pytest.mark.parametrize("constant", ["_RECORD_VERSION", "VALIDATION_FRACTION"])
def test_what_the_code_fixes_is_in_the_key(fitting, monkeypatch, constant):
    """Of records that gained figures, and of the images that a search holds out."""
    protocol = ProtocolConfig(search=True)
    context = _with(fitting.context, config=_with(fitting.context.config, protocol=protocol))
    before = key(fitting, context=context)
    monkeypatch.setattr(accuracy, constant, 0.3)
    assert key(fitting, context=context) != before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"folds": 3}, {"folds": 4}),
        ({"curve": (1, 2), "curve_seeds": 2}, {"curve": (1, 3), "curve_seeds": 2}),
        ({"curve": (1, 2), "curve_seeds": 2}, {"curve": (1, 2), "curve_seeds": 3}),
    ],
    ids=["folds", "sizes", "draws"],
)
def test_another_protocol_is_measured_again(config, first, second):
    """The stored folds and curves are those of the same numbers of folds, images and draws."""
    config = replace(config, baselines=(), protocol=ProtocolConfig(**first))
    before = run_benchmark(config).result
    after = run_benchmark(replace(config, protocol=ProtocolConfig(**second))).result
    assert after.cross_validation != before.cross_validation or (
        [point for curve in after.learning_curves for point in curve.points]
        != [point for curve in before.learning_curves for point in curve.points]
    )
