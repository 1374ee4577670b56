"""Learning curves: which rows are drawn, and what the record says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.errors import ConfigError
from tlbench.evaluation import evaluate_head
from tlbench.evaluation.protocols import balanced_rows, check_sizes, learning_curve
from tlbench.heads import HEADS, resolve_params

CLASSES = ("ant", "bee", "cat")


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_each_class_gives_as_many_and_smaller_draws_are_inside(labels, size, seed):
    """Balanced whatever the proportions of the whole, and nested for one seed."""
    labels = np.array([0, 1, 2] * 3 + labels)
    rows = balanced_rows(labels, size, seed)
    assert np.bincount(labels[rows], minlength=3).tolist() == [size] * 3
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(balanced_rows(labels, max(1, size - 1), seed)) <= set(rows)


def test_draws_differ():
    """Another seed is another draw."""
    labels = np.arange(300) % 3
    draws = {tuple(balanced_rows(labels, 5, seed)) for seed in range(5)}
    assert len(draws) == 5


def test_a_class_without_images_is_left_out():
    """It cannot be learnt, and is no reason to refuse the others."""
    labels = np.array([0, 0, 2, 2])
    check_sizes([2], labels, CLASSES)
    assert balanced_rows(labels, 2, 0).tolist() == [0, 1, 2, 3]


def test_more_images_than_the_smallest_class_has_are_refused():
    """The message names the class and what it has."""
    with pytest.raises(ConfigError, match="asks for 3 .*class 'bee' has 2. Ask for 2 or fewer"):
        check_sizes([1, 3], np.array([0, 0, 0, 1, 1, 2, 2, 2]), CLASSES)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    features = (rng.normal(size=(3, 6))[labels] + 2 * rng.normal(size=(150, 6))).astype(np.float32)
    return (features[:90], labels[:90]), (features[90:], labels[90:])


def test_each_point_is_a_fit_on_the_drawn_rows(data):
    """The count is that of evaluating the head on just these images."""
    head = HEADS.load("centroid")
    params = resolve_params(head, {})
    train, test = data
    found = learning_curve(
        head,
        params,
        train,
        test,
        sizes=(20, 2),
        n_seeds=3,
        features="backbone",
        baseline=False,
        seed=7,
    )
    assert [(p.seed, p.images_per_class) for p in found.points] == [
        (seed, size) for seed in (7, 8, 9) for size in (2, 20)
    ]
    for point in found.points:
        rows = balanced_rows(train[1], point.images_per_class, point.seed)
        alone = evaluate_head(
            head,
            params,
            train[0][rows],
            train[1][rows],
            *test,
            features="backbone",
            baseline=False,
            seed=point.seed,
        ).result
        assert (point.n_train, point.n_test) == (alone.n_train, 60)
        assert point.n_correct == alone.n_correct


def test_notes_of_the_fits_are_kept(data):
    """A tenth of six images cannot be held out: the network says so, once."""
    head = HEADS.load("mlp")
    found = learning_curve(
        head,
        resolve_params(head, {"hidden": 4, "max_iter": 500, "learning_rate": 0.05}),
        *data,
        sizes=(2,),
        n_seeds=2,
        features="backbone",
        baseline=False,
        seed=0,
    )
    assert len([note for note in found.notes if "without early stopping" in note]) == 1
    assert found.params["early_stopping"] is True  # as given
