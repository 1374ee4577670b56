"""The card travels inside the file: what is written is read again, and nothing else is."""

import json

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tlbench.core.errors import ModelError
from tlbench.model import (
    CARD_KEY,
    Conversion,
    Drift,
    ImageSample,
    ModelCard,
    OnnxModel,
    Parity,
    Preprocess,
    Weights,
    decode_card,
    encode_card,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SIZES = st.integers(1, 10_000)
CARDS = st.builds(
    ModelCard,
    backbone=TEXT,
    source=TEXT,
    weights=st.builds(
        Weights,
        kind=st.sampled_from(["imagenet", "random", "file"]),
        sha256=st.none() | TEXT,
        origin=TEXT,
        licence=TEXT,
    ),
    input_size=st.tuples(SIZES, SIZES),
    resize=TEXT,
    preprocessing=TEXT,
    layer=TEXT,
    pooling=st.sampled_from(["avg", "max", "none"]),
    feature_shape=st.lists(SIZES, min_size=1, max_size=3).map(tuple),
    n_classes=st.none() | SIZES,
    precision=st.sampled_from(["fp32", "fp16", "int8"]),
    opset=st.integers(1, 30),
    parity=st.builds(
        Parity,
        reference=TEXT,
        n_images=SIZES,
        max_abs=FINITE,
        max_rel=FINITE,
        min_cosine=FINITE,
    ),
    exported_by=TEXT,
    preprocess=st.none()
    | st.builds(
        Preprocess,
        fit=st.sampled_from(["crop", "squash", "pad"]),
        crop_fraction=st.none() | FINITE,
        pad_colour=st.none() | st.tuples(SIZES, SIZES, SIZES),
        size=st.tuples(SIZES, SIZES),
        interpolation=st.sampled_from(["bilinear", "bicubic", "nearest"]),
        antialias=st.booleans(),
        mean=st.tuples(FINITE, FINITE, FINITE),
        std=st.tuples(FINITE, FINITE, FINITE),
    ),
    conversion=st.none()
    | st.builds(
        Conversion,
        precision=TEXT,
        method=TEXT,
        software=st.dictionaries(TEXT, TEXT, max_size=2),
        source_sha256=TEXT,
        images=st.builds(
            ImageSample,
            dataset=TEXT,
            fingerprint=TEXT,
            seed=SIZES,
            n_calibration=SIZES,
            n_held_out=SIZES,
        ),
        reduce_range=st.none() | st.booleans(),
        kept_in_float=st.lists(TEXT, max_size=2).map(tuple),
        drift=st.builds(
            Drift, n_images=SIZES, min_cosine=FINITE, mean_cosine=FINITE, median_rel=FINITE
        ),
    ),
)
CARD = ModelCard(
    backbone="tiny",
    source="the tests",
    weights=Weights(kind="random", sha256=None, origin="seed 0", licence="none"),
    input_size=(8, 6),
    resize="bilinear",
    preprocessing="x / 255",
    layer="last",
    pooling="none",
    feature_shape=(2, 3, 4),
    opset=17,
    parity=Parity(reference="numpy", n_images=4, max_abs=1e-6, max_rel=1e-7, min_cosine=1.0),
    exported_by="the tests",
)


def _save_with_card(path, text):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
    )
    model = helper.make_model(graph, ir_version=8)
    model.metadata_props.add(key="author", value="somebody")
    model.metadata_props.add(key=CARD_KEY, value=text)
    onnx.save(model, path)
    return path


def _changed(**changes):
    return json.dumps(json.loads(encode_card(CARD)) | changes)


@given(CARDS)
def test_round_trip(card):
    """What is written is read again, to the last digit of a float."""
    assert decode_card(encode_card(card)) == card


@given(CARDS)
def test_card_is_json(card):
    """Other programs can read the card with any JSON parser."""
    document = json.loads(encode_card(card))
    assert document["card_version"] == 1
    assert document["weights"]["kind"] == card.weights.kind


def test_card_is_found_among_other_metadata(tmp_path):
    """The card comes out of the file as it went in."""
    path = _save_with_card(tmp_path / "model.onnx", encode_card(CARD))
    assert OnnxModel(path).card == CARD


def test_number_of_features_is_the_product_of_their_shape():
    """Unpooled features are flattened: each place of the map counts."""
    assert CARD.n_features == 24


def test_a_card_from_before_conversions_is_read():
    """The field came later: a card without it is one of an fp32 file."""
    document = json.loads(encode_card(CARD))
    del document["conversion"]
    assert decode_card(json.dumps(document)) == CARD


def test_additional_fields_are_ignored():
    """A field that a later tlbench adds within this version does no harm."""
    assert decode_card(_changed(colour="green")) == CARD


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut off"),
        pytest.param("[]", id="list"),
        pytest.param("{}", id="no fields"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param(_changed(opset="17"), id="text for a number"),
        pytest.param(_changed(input_size=[8]), id="one size"),
        pytest.param(_changed(pooling="sum"), id="unknown pooling"),
        pytest.param(_changed(parity=None), id="no parity"),
    ],
)
def test_damaged_card_is_refused(tmp_path, text):
    """The message says that it is the card, and what to do."""
    with pytest.raises(ModelError, match="card cannot be read.*Export the backbone again"):
        _ = OnnxModel(_save_with_card(tmp_path / "model.onnx", text)).card


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_changed(card_version=2), id="same fields"),
        pytest.param('{"card_version": 2, "network": "tiny"}', id="other fields"),
    ],
)
def test_later_version_is_refused(text):
    """Whatever a later version holds, the advice is to upgrade and not to export again."""
    with pytest.raises(ModelError, match="version 2.*reads 1.*Upgrade"):
        decode_card(text)


@given(st.text(max_size=50))
def test_any_text_is_a_card_or_refused(text):
    """No text ends in a traceback."""
    with pytest.raises(ModelError):
        decode_card(text)


def test_a_card_without_a_fit_is_of_a_file_that_squashes():
    """Files of earlier versions have no such field, and a graph that squashes."""
    document = json.loads(encode_card(CARD))
    del document["preprocess"]
    card = decode_card(json.dumps(document))
    assert (card.preprocess, card.fit, card.crop_fraction) == (None, "squash", None)


@pytest.mark.parametrize(
    ("fit", "fraction", "size", "cropped"),
    [
        ("crop", 1.0, (20, 20), 0.0),
        ("crop", 1.0, (20, 40), 0.5),
        ("crop", 0.5, (1, 1), 0.0),
        ("crop", 0.5, (10, 10), 0.75),
        ("squash", None, (20, 40), 0.0),
        ("pad", None, (20, 40), 0.0),
    ],
)
def test_share_of_the_area_that_is_cropped(fit, fraction, size, cropped):
    one = Preprocess(
        fit=fit,
        crop_fraction=fraction,
        size=(8, 8),
        interpolation="bilinear",
        antialias=False,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )
    assert one.cropped_fraction(*size) == cropped
