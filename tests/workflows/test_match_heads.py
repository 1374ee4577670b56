"""Heads that need a map of features, in a run: told the shape, left out, or refused early."""

import importlib.util
from dataclasses import replace
from importlib import metadata

import onnx
import pytest
from onnx import helper

from tlbench.core.errors import ConfigError, MissingDependencyError
from tlbench.core.progress import Silent
from tlbench.features import BASELINES
from tlbench.heads import Head
from tlbench.model import CARD_KEY, OnnxModel, decode_card, encode_card
from tlbench.records import decode_run, encode_run
from tlbench.workflows import run_benchmark
from tlbench.workflows.steps.heads import feature_shapes, match_heads

needs_keras = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("tensorflow", "tf2onnx")),
        reason="needs tensorflow and tf2onnx: pip install 'tlbench[export]'",
    ),
]


def needs_map(params, shape):
    if shape is None or len(shape) != 3:
        raise ConfigError("No map.")
    return {**params, "shape": str(shape)}


MAP_HEAD = Head(name="m", summary=".", defaults={}, build=lambda *_: None, lay_out=needs_map)
ANY_HEAD = Head(name="a", summary=".", defaults={}, build=lambda *_: None)
SHAPES = {"backbone": (1280,), "pixels": (32, 32, 3), "hog": None}


def test_a_head_is_left_out_where_there_is_no_map_and_the_user_told(recorder):
    """One warning for each kind of features without it; on the others it has the shape."""
    laid_out = match_heads([MAP_HEAD, ANY_HEAD], {"m": {}, "a": {"C": 1}}, SHAPES, recorder)
    assert laid_out == {
        "backbone": {"a": {"C": 1}},
        "pixels": {"m": {"shape": "(32, 32, 3)"}, "a": {"C": 1}},
        "hog": {"a": {"C": 1}},
    }
    assert recorder.warnings == [
        "m is left out on backbone features. No map.",
        "m is left out on hog features. No map.",
    ]


def test_a_head_that_fits_nowhere_is_an_error():
    """Nothing would be measured of it."""
    with pytest.raises(ConfigError, match="No map"):
        match_heads([ANY_HEAD, MAP_HEAD], {"m": {}, "a": {}}, {"backbone": (3,)}, Silent())


def test_shapes_come_from_the_card_and_the_baselines(tiny_model):
    """The card knows the backbone's, a baseline its own; HOG's cells have no place in a row."""
    baselines = [BASELINES.load("pixels"), BASELINES.load("hog")]
    expected = {"backbone": (16,), "pixels": (32, 32, 3), "hog": None}
    assert feature_shapes(tiny_model, baselines) == expected


@pytest.fixture
def config(config):
    """The quick run, with a head that needs a map and learns little from few images."""
    return replace(
        config,
        heads=("cnn4",),
        head_params=("epochs=1", "filters=4", "hidden=8"),
        limit_train=60,
        limit_test=30,
    )


@pytest.fixture
def without(monkeypatch):
    """Pretend that a distribution is absent, or of another version."""
    original = metadata.version

    def pretend(name, other=None):
        def version(asked):
            if asked != name:
                return original(asked)
            if other is None:
                raise metadata.PackageNotFoundError(asked)
            return other

        monkeypatch.setattr(metadata, "version", version)

    return pretend


def test_a_missing_library_is_found_before_the_network_runs(config, network_calls, without):
    """No minutes of extraction for a head that cannot be fitted."""
    without("tensorflow")
    with pytest.raises(MissingDependencyError, match=r"'cnn4' needs .*pip install 'tlbench\[ex"):
        run_benchmark(config)
    assert network_calls == []


class TestWithKeras:
    pytestmark = needs_keras

    def test_pooled_features_are_refused_before_the_network_runs(self, config, network_calls):
        """Without a baseline that is a map there is nothing to fit the head on."""
        with pytest.raises(ConfigError, match=r"vectors of 16.*pooling='none'"):
            run_benchmark(replace(config, baselines=()))
        assert network_calls == []

    def test_the_rival_is_fitted_on_pixels_alone(self, config, recorder):
        """The network from scratch needs no backbone: one result, with its curve, and a warning."""
        result = run_benchmark(config, recorder).result
        (found,) = result.accuracy
        assert (found.features, found.params["shape"], len(found.curve)) == (
            "pixels",
            "32x32x3",
            1,
        )
        assert decode_run(encode_run(result), "a test").accuracy == result.accuracy
        assert any("left out on backbone" in message for message in recorder.warnings)

    def test_a_head_on_some_of_the_features_is_in_the_cautions(self, config):
        """Who reads the saved run sees what was left out, too."""
        result = run_benchmark(replace(config, heads=("cnn4", "centroid"))).result
        assert len(result.accuracy) == 3
        assert any("cnn4 was not fitted on backbone features" in c for c in result.warnings)

    def test_unpooled_features_are_a_map(self, config, tiny_path, tmp_path):
        """The card of a backbone exported without pooling tells the head the shape."""
        path = unpooled(tiny_path, tmp_path / "unpooled.onnx")
        changed = replace(
            config, model=str(path), heads=("conv",), head_params=("epochs=1",), baselines=()
        )
        (found,) = run_benchmark(changed).result.accuracy
        assert (found.features, found.params["shape"]) == ("backbone", "8x8x16")
        assert found.curve[0].validation_loss is not None

    def test_another_release_of_keras_is_another_result(self, config, without):
        """The stored predictions are those of one release of the library."""
        first, second = (run_benchmark(config).result.accuracy[0] for _ in range(2))
        assert (first.from_store, second.from_store) == (False, True)
        assert second.curve == first.curve
        without("keras", "0.0")
        assert not run_benchmark(config).result.accuracy[0].from_store


def unpooled(source, path):
    """Copy the tiny backbone without its pooling: features are 8 x 8 x 16, flattened."""
    model = OnnxModel(source)
    proto, card = model.proto, model.card
    (pool,) = (node for node in proto.graph.node if node.op_type == "GlobalAveragePool")
    pool.op_type = "Transpose"
    pool.attribute.append(helper.make_attribute("perm", [0, 2, 3, 1]))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 8 * 8 * 16
    del proto.metadata_props[:]
    changed = replace(card, feature_shape=(8, 8, 16), pooling="none")
    proto.metadata_props.add(key=CARD_KEY, value=encode_card(changed))
    assert decode_card(encode_card(changed)) == changed
    onnx.save(proto, path)
    return path
