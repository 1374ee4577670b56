"""Learning curves: which rows are drawn, and what the record says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, DataError
from tlbench.heads import (
    HEADS,
    SearchSpace,
    balanced_rows,
    check_sizes,
    evaluate_head,
    learning_curve,
    resolve_params,
    search_parameter,
)

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


def curve(head, train, test, params=(), **options):
    given = {"sizes": (2,), "n_seeds": 2, "features": "backbone", "baseline": False, "seed": 0}
    return learning_curve(
        head, resolve_params(head, dict(params)), train, test, **(given | options)
    )


def test_each_point_is_a_fit_on_the_drawn_rows(data):
    """The count is that of evaluating the head on just these images."""
    head = HEADS.load("centroid")
    params = resolve_params(head, {})
    train, test = data
    found = curve(head, train, test, sizes=(20, 2), n_seeds=3, seed=7)
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
    params = {"hidden": 4, "max_iter": 500, "learning_rate": 0.05}
    found = curve(head, *data, params)
    assert len([note for note in found.notes if "without early stopping" in note]) == 1
    assert found.params["early_stopping"] is True  # as given


SPACE = SearchSpace(parameter="C", values=(1e-4, 1e-2, 1.0))


def test_a_search_sees_the_drawn_images_alone(data):
    """Each point's choice is that of a search on its own rows, and its fit is made with it."""
    train, test = data
    head = HEADS.load("svm-linear")
    found = curve(head, train, test, sizes=(4, 10), space=SPACE)
    for point in found.points:
        rows = balanced_rows(train[1], point.images_per_class, point.seed)
        drawn = train[0][rows], train[1][rows]
        params = resolve_params(head, {})
        alone = search_parameter(head, SPACE, params, *drawn, seed=point.seed)
        assert replace(point.search, elapsed_s=0) == replace(alone, elapsed_s=0)
        fitted = head.build(resolve_params(head, {"C": alone.chosen}), 0).fit(*drawn)
        assert point.n_correct == int((fitted.predict(test[0]) == test[1]).sum())
    assert "C" not in found.params  # each point has its own
    assert any("as few as 2 held-out images" in note for note in found.notes)


def test_one_image_a_class_is_fitted_as_given_and_that_is_said(data):
    """Held out, it could not be found; nothing is chosen and nothing is hidden."""
    head = HEADS.load("svm-linear")
    found = curve(head, *data, {"C": 0.5}, sizes=(1,), space=SPACE)
    plain = curve(head, *data, {"C": 0.5}, sizes=(1,))
    assert [point.search for point in found.points] == [None, None]
    assert [p.n_correct for p in found.points] == [p.n_correct for p in plain.points]
    (note,) = found.notes
    assert note.startswith("3 training images are too few to hold any out for a search")
    assert note.endswith("C keeps the given value, 0.5.")


def test_progress_is_told_for_each_value_and_each_point(data):
    steps = []
    curve(
        HEADS.load("svm-linear"), *data, sizes=(1, 4), space=SPACE, on_fit=lambda: steps.append(1)
    )
    assert len(steps) == 2 * (1 + 4)  # nothing is searched for one image a class


@pytest.mark.parametrize(
    ("size", "n_seeds", "said"),
    [(15, 2, None), (16, 2, "53 % at 16"), (24, 2, "80 % at 24"), (24, 1, None)],
)
def test_draws_that_are_nearly_the_same_images_are_said(data, size, n_seeds, said):
    """24 of 30 images a class: what two draws do not share is too little to differ by."""
    notes = curve(HEADS.load("centroid"), *data, sizes=(2, size), n_seeds=n_seeds).notes
    assert [(said or "?") in note and "at 2 " not in note for note in notes] == [True] * bool(said)


def test_the_share_that_draws_have_in_common_is_that_of_the_draws(data):
    """Of m drawn from M, m / M are expected in another draw: the figure in the note."""
    (_, labels), _ = data
    draws = [set(balanced_rows(labels, 24, seed).tolist()) for seed in range(40)]
    shares = [len(one & two) / 72 for one, two in zip(draws[::2], draws[1::2], strict=True)]
    # hypergeometric: a standard error of 0.005 over 20 pairs, of which this is four
    assert np.mean(shares) == pytest.approx(0.8, abs=0.02)


def test_all_images_of_every_class_have_no_deviation_and_that_is_said(data):
    """Every draw is the whole: a deviation of zero is no certainty."""
    found = curve(HEADS.load("centroid"), *data, sizes=(30,), n_seeds=3)
    assert len({point.n_correct for point in found.points}) == 1
    assert "100 % at 30" in found.notes[0]


def test_a_point_without_anything_to_learn_is_named(data):
    """The draws of one image a class are all alike in features that vary in few images."""
    (_, labels), test = data
    features = np.zeros((90, 6), np.float32)
    with pytest.raises(DataError, match="^1 image per class, seed 0: All 3 training images have"):
        curve(HEADS.load("centroid"), (features, labels), test, sizes=(1,))


@pytest.mark.parametrize(("features", "baseline"), [("backbone", False), ("hog", True)])
def test_the_record_says_what_was_drawn_and_fitted(data, features, baseline):
    head = HEADS.load("centroid")
    found = curve(head, *data, features=features, baseline=baseline, sizes=(3, 2), seed=4)
    assert (found.features, found.head, found.baseline) == (features, "centroid", baseline)
    assert found.params == resolve_params(head, {})
    drawn = [(one.seed, one.images_per_class, one.n_train, one.n_test) for one in found.points]
    assert drawn == [(4, 2, 6, 60), (4, 3, 9, 60), (5, 2, 6, 60), (5, 3, 9, 60)]
    assert {one.search for one in found.points} == {None}
