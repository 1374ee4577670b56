"""The choice of a parameter on held-out training images."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, DataError
from tlbench.heads import (
    HEADS,
    Head,
    SearchSpace,
    resolve_params,
    search_notes,
    search_parameter,
    validation_rows,
)
from tlbench.records import Search


@pytest.fixture(scope="module")
def blobs():
    """Four classes that overlap, 30 values each, 300 rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 4
    features = rng.normal(size=(4, 30))[labels] + 3 * rng.normal(size=(300, 30))
    return features.astype(np.float32), labels


def search(head, space, data, **options):
    return search_parameter(head, space, resolve_params(head, {}), *data, **({"seed": 0} | options))


@given(st.lists(st.integers(0, 5), min_size=12, max_size=200), st.integers(0, 2**32 - 1))
def test_a_fifth_of_every_class_is_held_out(labels, seed):
    """Proportional, rounded up or down, and never a class whole that has two images or more."""
    labels = np.array([0, 0, 1, 1, *labels])
    rows = validation_rows(labels, seed)
    counts, held = np.bincount(labels, minlength=6), np.bincount(labels[rows], minlength=6)
    spared = np.where(counts > 1, counts, 0)
    assert len(rows) == min(round(0.2 * len(labels)), spared.sum() // 2)
    # a rounding error keeps a share that is whole from being missed by exactly one
    assert (np.abs(held - spared * len(rows) / spared.sum()) < 1 + 1e-9).all()
    assert (held < np.maximum(counts, 1)).all()


def test_the_last_image_of_a_class_is_not_held_out():
    """Forty classes of one image: nothing could find those that are held out."""
    labels = np.array([0, 0, 0, 0, *range(1, 41)])
    rows = validation_rows(labels, 0)
    assert labels[rows].tolist() == [0, 0]


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], list(range(10))])
def test_too_few_images_are_refused(labels):
    with pytest.raises(DataError, match="holds out a fifth of the training images"):
        validation_rows(np.array(labels), 0)


@pytest.mark.parametrize("name", ["softmax", "svm-linear"])
def test_each_value_is_scored_on_the_held_out_images(blobs, name):
    """As a fit from nothing on the other images scores it, whether the search was warm or not."""
    head = HEADS.load(name)
    features, labels = blobs
    # Strong penalties: the solution is unique and the tolerance of the solver leaves no image open.
    space = SearchSpace(
        parameter="C", values=(1e-4, 1e-3, 1e-2), warm_argument=head.search.warm_argument
    )
    found = search(head, space, blobs)
    held_out = validation_rows(labels, 0)
    rest = np.setdiff1d(np.arange(len(labels)), held_out)
    for value, n_correct in zip(found.values, found.n_correct, strict=True):
        fitted = head.build(resolve_params(head, {"C": value}), 0).fit(features[rest], labels[rest])
        expected = int((fitted.predict(features[held_out]) == labels[held_out]).sum())
        # L-BFGS stops within its tolerance: one image on the border may fall to the other side
        assert abs(n_correct - expected) <= 1
    assert found.n_validation == len(held_out) == 60
    assert found.n_unconverged == 0


class Threshold:
    """An estimator that is right on as many held-out images as its value says."""

    def __init__(self, n_right):
        self.n_right = n_right

    def fit(self, _features, _labels):
        return self

    def predict(self, features):
        """Images carry their label as their only feature."""
        labels = features[:, 0].astype(np.int64)
        return np.where(np.arange(len(labels)) < self.n_right, labels, 1 - labels)


def scripted(scores):
    """A head that gets scores[i] images right with the i-th value."""
    values = tuple(float(10**i) for i in range(len(scores)))
    head = Head(
        name="scripted",
        summary="",
        defaults={"C": 1.0},
        build=lambda params, _seed: Threshold(scores[values.index(params["C"])]),
    )
    return head, SearchSpace(parameter="C", values=values)


LABELS = np.arange(100) % 2
PLAIN = (LABELS[:, None].astype(np.float32), LABELS)


@pytest.mark.parametrize(
    ("scores", "chosen", "edge"),
    [
        ((5, 9, 7), 10.0, None),
        ((5, 9, 9), 10.0, None),  # the stronger penalty of equals
        ((9, 5, 5), 1.0, "first"),
        ((5, 7, 9), 100.0, "last"),
        ((7, 7, 7), 1.0, "first"),
    ],
)
def test_the_best_value_is_chosen_and_an_edge_is_said(scores, chosen, edge):
    """At an edge a better value may lie outside; of equal ones the first is taken."""
    found = search(*scripted(scores), PLAIN)
    notes = search_notes([found])
    assert found.n_correct == scores
    assert (found.chosen, found.at_edge) == (chosen, edge is not None)
    expected = f"The best value, C={chosen:.3g}, is the {edge} of those tried"
    assert [expected in note for note in notes[:-1]] == ([True] if edge else [])
    assert notes[-1].startswith("Values were compared on 20 held-out images")


def test_progress_is_told_for_each_value():
    steps = []
    search(*scripted((1, 2, 3)), PLAIN, on_value=lambda: steps.append(1))
    assert len(steps) == 3


def test_solvers_that_did_not_converge_are_counted(blobs):
    """A value that stopped early may be worse than it looks."""
    head = HEADS.load("softmax")
    params = resolve_params(head, {"max_iter": 1})
    found = search_parameter(head, head.search, params, *blobs, seed=0)
    assert 0 < found.n_unconverged <= 45
    said = f"did not converge for {found.n_unconverged} of 45 values"
    assert any(said in note for note in search_notes([found]))


def test_a_search_takes_time_of_its_own():
    """From before the first value to after the last; the fit with the choice comes later."""
    ticks = itertools.count(5)
    found = search(*scripted((1, 2, 3)), PLAIN, clock=lambda: float(next(ticks)))
    assert found.elapsed_s == 1
    assert next(ticks) == 7


def test_several_searches_are_summed_up():
    """Folds that agree are said once, with how many of them they are."""
    first, last, inner, tied = (
        search(*scripted(scores), PLAIN) for scores in ((9, 5, 5), (5, 7, 9), (5, 9, 7), (5, 9, 9))
    )
    edges, few = search_notes([first, inner, last, first])
    assert edges.startswith(
        "The best value, C=1 or C=100, is the first or last of those tried in 3 of"
    )
    assert few.startswith("Values were compared on as few as 20 held-out images")
    assert few.endswith("20 held-out images: chance decides between close ones.")
    (few,) = search_notes([inner, tied])
    assert "up to 2 of them did equally well, and the first of these" in few


def test_many_held_out_images_are_nothing_to_be_said():
    """A hundred tell values apart that differ by some points."""
    labels = np.arange(500) % 2
    found = search(*scripted((5, 90, 7)), (labels[:, None].astype(np.float32), labels))
    assert found.n_validation == 100
    assert search_notes([found]) == ()


def test_a_refused_parameter_is_the_users(blobs):
    head = HEADS.load("softmax")
    with pytest.raises(ConfigError, match="Head 'softmax' cannot be fitted with"):
        search(head, SearchSpace(parameter="C", values=(-1.0, 1.0)), blobs)


def test_a_warm_search_works_without_steps_before_the_last(blobs):
    """A plugin's head may have nothing to standardise."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    head = Head(
        name="bare",
        summary="",
        defaults={"C": 1.0},
        build=lambda params, _seed: make_pipeline(LogisticRegression(C=params["C"], max_iter=1000)),
    )
    space = SearchSpace(parameter="C", values=(1e-4, 1e-2), warm_argument="C")
    assert len(search(head, space, blobs).n_correct) == 2


def test_a_head_adapts_to_the_images_that_a_value_is_fitted_on():
    """Without those that are held out: a limit by their number would be that of other images."""
    seen = []

    def adapt(params, labels):
        seen.append(np.asarray(labels))
        return params, ()

    softmax = HEADS.load("softmax")
    labels = np.arange(40) % 2
    features = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    space = SearchSpace(parameter="C", values=(0.1, 1.0))
    params = resolve_params(softmax, {})
    search_parameter(replace(softmax, adapt=adapt), space, params, features, labels, seed=3)
    rest = np.setdiff1d(np.arange(40), validation_rows(labels, 3))
    assert 0 < len(rest) < 40
    for found in seen:
        np.testing.assert_array_equal(found, labels[rest])
    assert seen


@pytest.mark.parametrize(("n_validation", "is_said"), [(100, False), (99, True)])
def test_notes_of_one_search_and_of_several(n_validation, is_said):
    search = Search(
        parameter="C",
        values=(0.1, 1.0, 10.0),
        n_correct=(50, 60, 55),
        n_validation=n_validation,
        n_unconverged=0,
        chosen=1.0,
        at_edge=False,
        elapsed_s=1.0,
    )
    expected = "Values were compared on 99 held-out images: chance decides between close ones."
    assert search_notes([search]) == (expected,) * is_said
    at_edge = replace(search, n_validation=100, chosen=10.0, at_edge=True)
    said = "is the last of those tried{}: a better one may lie beyond."
    assert search_notes([at_edge]) == (f"The best value, C=10, {said.format('')}",)
    several = search_notes([at_edge, replace(search, n_validation=100)])
    assert several == (f"The best value, C=10, {said.format(' in 1 of 2 searches')}",)
    unconverged = search_notes([replace(search, n_unconverged=1), search])
    assert unconverged[0] == "The solver did not converge for 1 of 6 values tried."
