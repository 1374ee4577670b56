"""A small recipe, and runs that answer it."""

from dataclasses import replace

import pytest

from tlbench.recipes import parse_recipe
from tlbench.records import CrossValidation, Fold, Interval, decode_run
from tlbench.stats import wilson_interval

TEXT = """
name = "small-2020"
title = "A small experiment"
protocol = "train on some, test on others"

[source]
text = "Nobody, 2020"
url = "https://example.org"

[[rows]]
name = "own"
backbone = "efficientnet-lite0"
dataset = "digits"
n_train = 898
n_test = 899
heads.softmax.C = 0.01
heads.centroid = {}
export.pooling = "avg"
baselines = ["pixels"]
folds = 3

[[rows.figures]]
name = "softmax"
fraction = 0.9
head = "softmax"

[[rows.figures]]
name = "pixels"
fraction = 0.95
rounding_fraction = 0.01
features = "pixels"
head = "softmax"

[[rows.figures]]
name = "folds"
fraction = 0.9
deviation_fraction = 0.01
head = "softmax"
protocol = "folds"
"""


@pytest.fixture
def text():
    return TEXT


@pytest.fixture
def recipe():
    return parse_recipe(TEXT.encode(), "small.toml")


@pytest.fixture
def make_run(golden_path):
    """Return a function that makes a run on 898 + 899 digits with an accuracy of each kind."""
    golden = decode_run(golden_path.read_bytes(), "golden")

    def make(*, n_correct=810, n_test=899, fold_fractions=(0.89, 0.90, 0.91), backbone=None):
        low, high = wilson_interval(n_correct, n_test)
        first = replace(
            golden.accuracy[0],
            head="softmax",
            n_test=n_test,
            n_correct=n_correct,
            accuracy_fraction=n_correct / n_test,
            interval=Interval(low=low, high=high, method="wilson"),
        )
        folds = tuple(
            Fold(n_train=1198, n_test=599, n_correct=round(599 * fraction), fit_s=1.0)
            for fraction in fold_fractions
        )
        mean = sum(fold_fractions) / len(fold_fractions)
        spread = sum((x - mean) ** 2 for x in fold_fractions) / (len(fold_fractions) - 1)
        return replace(
            golden,
            reproduction=None,
            config=replace(golden.config, requested={"head_params": []}),
            model=replace(
                golden.model,
                card=replace(golden.model.card, backbone=backbone or "efficientnet-lite0"),
            ),
            dataset=replace(golden.dataset, n_train=898, n_test=n_test),
            accuracy=(first, replace(first, features="pixels", baseline=True)),
            cross_validation=(
                CrossValidation(
                    features="backbone",
                    head="softmax",
                    params={},
                    seed=0,
                    folds=folds,
                    mean_fraction=mean,
                    deviation_fraction=spread**0.5,
                    interval=Interval(low=mean - 0.01, high=mean + 0.01, method="t over folds"),
                    baseline=False,
                ),
            ),
        )

    return make


@pytest.fixture(scope="session")
def golden_path():
    from pathlib import Path

    from tlbench.records.run import SCHEMA_VERSION

    return Path(__file__).parents[1] / "golden" / f"run-v{SCHEMA_VERSION}.json"
