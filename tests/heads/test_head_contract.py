"""What every entry of tlbench.heads must do, built-in or plugin."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tlbench.core.errors import MissingDependencyError
from tlbench.heads import HEADS, Head, check_requirements, resolve_params

MAP = (12, 12, 2)  # what a row of the features below holds, for the heads that need to know
# Published training schedules are for 50,000 images: these are for 120.
QUICK = {"epochs": 10, "learning_rate": 3e-3}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.tensorflow if HEADS.load(name).requires else ())
        for name in HEADS.names()
    ],
)
def head(request):
    head = HEADS.load(request.param)
    try:
        check_requirements(head)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return head


@pytest.fixture(scope="module")
def separable():
    """Three classes around three random centres: 120 rows to learn, 60 to test."""
    rng = np.random.default_rng(0)
    labels = np.arange(180) % 3
    size = int(np.prod(MAP))
    centres = rng.normal(size=(3, size))
    features = (centres[labels] + 0.1 * rng.normal(size=(180, size))).astype(np.float32)
    return features[:120], labels[:120], features[120:], labels[120:]


@pytest.fixture(scope="module")
def noise(separable):
    """Features without anything to learn: labels that differ from 0, 1, 2, and new features."""
    features, _, new, _ = separable
    return features, np.random.default_rng(1).integers(0, 3, len(features)) * 10 + 7, new


@pytest.fixture(scope="module")
def predicted_noise(head, noise):
    """The predictions of one fit on noise: each test below compares its own fit with them."""
    features, labels, new = noise
    return fit(head, features, labels, seed=3).predict(new)


def fit(head, features, labels, seed=0):
    quick = {} if "epochs" not in head.defaults else QUICK
    params, _ = head.adapt(head.lay_out(resolve_params(head, quick), MAP), labels)
    return head.build(params, seed).fit(features, labels)


def test_a_head_is_known_by_its_own_name(head):
    """The entry point has the name that the records will show, and a line for the list."""
    assert isinstance(head, Head)
    assert HEADS.load(head.name) is head
    assert head.summary.endswith(".")
    assert "." not in head.name


def test_the_defaults_survive_json(head):
    """The record of a run keeps every parameter, so each must be a plain JSON value."""
    assert json.loads(json.dumps(dict(head.defaults), allow_nan=False)) == dict(head.defaults)


def test_a_head_learns_what_is_easy(head, separable):
    """Well separated classes are told apart."""
    features, labels, new, expected = separable
    accuracy = np.mean(fit(head, features, labels).predict(new) == expected)
    assert accuracy > 0.9


def test_one_seed_gives_one_result(head, noise, predicted_noise):
    """Two fits with one seed predict the same, on data that is hard enough to differ."""
    features, labels, new = noise
    again = fit(head, features, labels, seed=3).predict(new)
    np.testing.assert_array_equal(again, predicted_noise)


def test_predictions_are_labels_of_the_training_set(predicted_noise):
    """A class without training images is never predicted; labels need not be 0, 1, 2."""
    assert set(predicted_noise.tolist()) <= {7, 17, 27}


def test_a_read_only_memory_map_is_enough(head, noise, predicted_noise, tmp_path):
    """The feature store hands out read-only memory maps of float32."""
    features, labels, new = noise
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    found = fit(head, mapped, labels, seed=3).predict(new)
    np.testing.assert_array_equal(found, predicted_noise)


def test_importing_the_heads_imports_neither_scikit_learn_nor_keras():
    """Listing the heads stays quick: libraries are loaded by the first fit."""
    code = (
        "import sys; from tlbench.heads import HEADS; import tlbench.heads; "
        "list(HEADS.items()); sys.exit('sklearn' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_search_has_a_range_of_its_own_parameter(head, separable):
    """Values are different, in one order, on both sides of the default, and are accepted."""
    space = head.search
    if space is None:
        pytest.skip("nothing is searched for this head")
    assert isinstance(head.defaults[space.parameter], float)
    assert len(space.values) >= 2
    rising = sorted(set(space.values))
    assert space.values in {tuple(rising), tuple(rising[::-1])}
    assert rising[0] < head.defaults[space.parameter] < rising[-1]
    features, labels, *_ = separable
    for value in (space.values[0], space.values[-1]):
        params = resolve_params(head, {space.parameter: value})
        estimator = head.build(params, 0).fit(features, labels)
        if space.warm_argument:
            assert estimator[-1].get_params()[space.warm_argument] == value
            estimator[-1].set_params(warm_start=True)
