"""Where a warning begins: the last case without it, and the first one with it."""

import numpy as np
import pytest

from tlbench.records import AccuracyResult, DatasetInfo, Interval, SkippedImage
from tlbench.workflows import RunConfig
from tlbench.workflows.steps.warnings import _about_features, run_warnings


def result(n_test, **changes):
    values = {
        "features": "backbone",
        "head": "softmax",
        "params": {},
        "n_train": 100,
        "n_test": n_test,
        "n_correct": n_test // 2,
        "accuracy_fraction": 0.5,
        "interval": Interval(low=0.48, high=0.52, method="wilson"),
        "fit_s": 1.0,
        "predict_s": 1.0,
        "baseline": False,
    }
    return AccuracyResult(**values | changes)


def dataset(**changes):
    values = {"name": "digits", "source": "", "fingerprint": "", "n_train": 1, "n_test": 1}
    return DatasetInfo(classes=(), **values | changes)


def said(*accuracy, data=None, **options):
    return run_warnings(RunConfig(), data, (), accuracy=accuracy, **options)


def test_ten_thousand_images_need_no_warning():
    """The widest interval of all heads is the one that is told."""
    assert said(result(10_000)) == ()
    wide = result(9_999, head="knn", interval=Interval(low=0.45, high=0.52, method="wilson"))
    for order in ((result(9_999), wide), (wide, result(9_999))):
        (text,) = said(*order)
        assert text == (
            "9,999 test images: accuracies are known to about ±3.5 points; smaller differences "
            "are noise"
        )


@pytest.mark.parametrize(("n_dead", "is_said"), [(24, False), (25, True)])
def test_a_quarter_of_constant_features_is_said(n_dead, is_said):
    features = np.random.default_rng(0).normal(size=(7, 100)).astype(np.float32)
    features[:, :n_dead] = 3
    expected = (
        "25 of 100 features (25.0 %) are constant over all training images: dead channels, lost "
        "precision or nearly identical images"
    )
    assert _about_features(features) == [expected] * is_said


@pytest.mark.parametrize(
    ("unlearnable", "shown"),
    [
        (("ant", "bee", "cat"), "ant, bee, cat"),
        (("ant", "bee", "cat", "dog"), "ant, bee, cat, ..."),
    ],
)
def test_three_classes_are_named(unlearnable, shown):
    assert said(data=dataset(), unlearnable=unlearnable) == (
        f"{len(unlearnable)} classes have no training image ({shown}): no head can predict them",
    )


def test_what_was_left_out_comes_with_the_first_reason():
    skipped = tuple(
        SkippedImage(split="train", index=i, reason=f"Cannot decode {i}.png") for i in range(3)
    )
    (text,) = said(data=dataset(skipped=skipped))
    assert text.startswith("3 unreadable images were left out, the first: Cannot decode 0.png")


def test_each_head_is_named_with_its_notes():
    first = result(10_000, notes=("It did not converge.",))
    assert said(first) == ("softmax on backbone: It did not converge.",)
    (stored,) = said(result(10_000, from_store=True))
    assert stored.startswith("heads fitted in an earlier run were not fitted again")
    (starred,) = said(result(10_000, fitted_on="fp32"))
    assert starred.startswith("backbone*: the head was fitted on fp32 features")


def test_a_head_that_some_features_lack_is_named():
    """The sets that it was not fitted on, in the order of the run."""
    accuracy = (
        result(10_000, head="conv"),
        result(10_000),
        result(10_000, features="pixels", baseline=True),
        result(10_000, features="hog", baseline=True),
    )
    assert said(*accuracy) == (
        "conv was not fitted on pixels and hog features: it needs a feature map, not a vector",
    )
