"""What the heads of epochs refuse before anything is trained; no library is needed to find out."""

from importlib import metadata

import numpy as np
import pytest

from tlbench.core.errors import ConfigError, MissingDependencyError
from tlbench.heads import HEADS, Dense, check_requirements, resolve_params
from tlbench.heads.estimators.network import NetworkClassifier

TRAINED = ("dense", "conv", "cnn4")


def lay_out(name, features, **overrides):
    head = HEADS.load(name)
    return head.lay_out(resolve_params(head, overrides), features)


@pytest.mark.parametrize("name", ["conv", "cnn4"])
def test_a_vector_is_refused_with_the_way_to_a_map(name):
    """Pooled features have no height and width: the message says how to get unpooled ones."""
    with pytest.raises(ConfigError, match=rf"'{name}'.*vectors of 1280.*pooling='none'.*pixels"):
        lay_out(name, (1280,))


@pytest.mark.parametrize("name", ["conv", "cnn4"])
def test_the_shape_of_the_map_is_kept_among_the_parameters(name):
    """The record of a run shows what a row of features held."""
    assert lay_out(name, (32, 32, 3))["shape"] == "32x32x3"


def test_features_of_unknown_shape_need_the_shape_from_the_user():
    """A model without a card says nothing of it; the parameter does."""
    with pytest.raises(ConfigError, match="of unknown shape"):
        lay_out("conv", None)
    assert lay_out("conv", None, shape="3x3x20")["shape"] == "3x3x20"


@pytest.mark.parametrize("text", ["3x3", "3x0x2", "3x3x2x1", "big", "3"])
def test_a_shape_that_is_none_is_refused_with_an_example(text):
    """The message shows the right form."""
    with pytest.raises(ConfigError, match="shape=8x8x2048"):
        lay_out("conv", (3, 3, 2), shape=text)


def test_a_shape_of_another_size_is_refused():
    """A map of 18 values cannot be in rows of 20."""
    with pytest.raises(ConfigError, match="shape=3x3x2, 18 values; these features have 20"):
        lay_out("conv", (20,), shape="3x3x2")


@pytest.mark.parametrize(("name", "side"), [("conv", 1), ("cnn4", 9)])
def test_a_map_that_is_too_small_is_refused(name, side):
    """A convolution of 2 x 2 needs two cells each way; cnn4 needs ten."""
    with pytest.raises(ConfigError, match=f"at least {side + 1} x {side + 1} cells"):
        lay_out(name, (side, side, 5))
    assert lay_out(name, (side + 1, side + 1, 5))["shape"] == f"{side + 1}x{side + 1}x5"


def test_dense_takes_features_of_any_shape():
    """A row is all that it sees."""
    assert lay_out("dense", (3, 3, 5)) == lay_out("dense", (45,)) == lay_out("dense", None)


@pytest.mark.parametrize("name", TRAINED)
def test_a_missing_library_is_named_with_its_extra(name, monkeypatch):
    """The message says what to install; nothing is imported to find out."""

    def version(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(
        MissingDependencyError, match=rf"'{name}' needs tensorflow.*pip install 'tlbench\[export\]'"
    ):
        check_requirements(HEADS.load(name))


@pytest.mark.parametrize("name", TRAINED)
def test_holding_out_more_than_the_classes_can_spare_is_refused(name):
    """At least one image a class must be left."""
    head = HEADS.load(name)
    params = resolve_params(head, {"validation_fraction": 0.5})
    with pytest.raises(ConfigError, match="leaves 5 of 10 training images for 6 classes"):
        head.adapt(params, np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3]))
    assert head.adapt(params, np.arange(12) % 6) == (params, ())


@pytest.mark.parametrize("name", TRAINED)
def test_holding_out_whole_classes_is_refused(name):
    """Images in the order of their classes: the last fifth would be all there is of one."""
    head = HEADS.load(name)
    params = resolve_params(head, {"validation_fraction": 0.2, "validation": "last"})
    with pytest.raises(ConfigError, match="last 2 training .* all images of 1 of the 5"):
        head.adapt(params, np.arange(10) // 2)
    assert head.adapt(params, np.arange(10) % 5) == (params, ())
    assert head.adapt({**params, "validation": "random"}, np.arange(10) // 2)[1] == ()


WRONG = {
    "shape": ({"shape": (2, 2, 2)}, "needs rows of 8 values, these have 4"),
    "optimizer": ({"optimizer": "sgd"}, "must be 'rmsprop' or 'adam', got 'sgd'"),
    "learning_rate": ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
    "epochs": ({"epochs": 0}, "must be at least 1"),
    "batch_size": ({"batch_size": 0}, "must be at least 1"),
    "validation_fraction": ({"validation_fraction": 1}, r"in \[0, 1\), got 1"),
    "validation": ({"validation": "first"}, "must be 'random' or 'last', got 'first'"),
    "rules": ({"rules": "keras-1"}, "must be 'keras-3' or 'keras-2', got 'keras-1'"),
    "keep_best": ({"keep_best": True}, "validation_fraction must be above 0"),
}


@pytest.mark.parametrize(("params", "message"), WRONG.values(), ids=WRONG)
def test_a_parameter_that_makes_no_sense_is_refused(params, message):
    """Each has a message of its own, before the library is asked for."""
    with pytest.raises(ValueError, match=message):
        NetworkClassifier((Dense(2),), **params).fit(np.eye(4, dtype=np.float32), [0, 1, 0, 1])


WORDS = {
    "hidden": ("dense", {"hidden": 0}, "hidden must be a whole number of at least 1, got 0"),
    "dropout": ("dense", {"dropout": 1}, "dropout must be at least 0 and below 1, got 1"),
    "activation": ("conv", {"activation": "tanh", "shape": "3x3x2"}, "linear or relu, got 'tanh'"),
    "validation": (
        "dense",
        {"validation": "first"},
        "must be random or last, got 'first'",
    ),
    "rules": ("dense", {"rules": "2"}, "rules must be keras-3 or keras-2, got '2'"),
}


@pytest.mark.parametrize(("name", "overrides", "message"), WORDS.values(), ids=WORDS)
def test_a_head_refuses_layers_that_cannot_be(name, overrides, message):
    """The message names the parameter and what it may be."""
    head = HEADS.load(name)
    with pytest.raises(ConfigError, match=message):
        head.build(resolve_params(head, overrides), 0)
