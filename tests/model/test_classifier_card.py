"""The card of a classifier file survives its JSON; damage and later versions are errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import ModelError
from tlbench.model import (
    ClassifierCard,
    OnnxModel,
    Verification,
    classifier_card,
    encode_classes,
    encode_classifier_card,
)
from tlbench.model.classifier import decode_classifier_card


def make_card(**changes):
    values = {
        "head": "softmax",
        "params": {"C": 0.005, "class_weight": None},
        "classes": ("cat", "dog"),
        "probabilities": "predict_proba of LogisticRegression",
        "arithmetic": "float32",
        "backbone_sha256": "ab" * 32,
        "dataset": "pets",
        "dataset_fingerprint": "cd" * 32,
        "n_train": 10,
        "n_test": 4,
        "n_correct": 3,
        "accuracy_fraction": 0.75,
        "run": "20260131-142530-1f3a",
        "verification": Verification(
            reference="scikit-learn 1.9.1",
            n_images=4,
            max_difference=1e-7,
            runtime="1.31.1",
            provider="cpu",
            batch_size=32,
        ),
    }
    return ClassifierCard(**(values | changes))


@given(st.lists(st.text(), min_size=2).map(tuple))
def test_a_card_survives_its_json(classes):
    """Class names in any script."""
    card = make_card(classes=classes)
    assert decode_classifier_card(encode_classifier_card(card)) == card
    assert json.loads(encode_classes(classes)) == list(classes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"head": 3}', "nonsense"])
def test_a_damaged_card_is_an_error(text):
    with pytest.raises(ModelError, match="card cannot be read.*Fuse it again"):
        decode_classifier_card(text)


def test_a_later_version_is_an_error():
    text = json.dumps({"card_version": 2, "anything": "else"})
    with pytest.raises(ModelError, match="has version 2, this tlbench reads 1"):
        decode_classifier_card(text)


def test_other_files_have_none(tiny_path):
    assert classifier_card(OnnxModel(tiny_path)) is None
