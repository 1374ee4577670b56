"""The choice of a parameter on held-out training images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlbench.errors import ConfigError, DataError
from tlbench.evaluation.search import search_parameter, validation_rows
from tlbench.heads import HEADS, Head, SearchSpace, resolve_params


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
@settings(deadline=None)
def test_a_fifth_of_every_class_is_held_out(labels, seed):
    """Proportional, rounded up or down, and never a class whole that has two images or more."""
    labels = np.array([0, 0, 1, 1, *labels])
    rows = validation_rows(labels, seed)
    assert len(rows) == round(0.2 * len(labels))
    counts, held = np.bincount(labels, minlength=6), np.bincount(labels[rows], minlength=6)
    # a rounding error keeps a share that is whole from being missed by exactly one
    assert (np.abs(held - counts * len(rows) / len(labels)) < 1 + 1e-9).all()
    assert (held < np.maximum(counts, 1)).all()


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
def test_too_few_images_are_refused(labels):
    with pytest.raises(DataError, match="holds a fifth of the training images out"):
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
    found, notes = search(head, space, blobs)
    held_out = validation_rows(labels, 0)
    rest = np.setdiff1d(np.arange(len(labels)), held_out)
    for value, n_correct in zip(found.values, found.n_correct, strict=True):
        fitted = head.build(resolve_params(head, {"C": value}), 0).fit(features[rest], labels[rest])
        expected = int((fitted.predict(features[held_out]) == labels[held_out]).sum())
        # L-BFGS stops within its tolerance: one image on the border may fall to the other side
        assert abs(n_correct - expected) <= 1
    assert found.n_validation == len(held_out) == 60
    assert not any("converge" in note for note in notes)


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
    found, notes = search(*scripted(scores), PLAIN)
    assert found.n_correct == scores
    assert (found.chosen, found.at_edge) == (chosen, edge is not None)
    expected = f"The best C={chosen:.3g} is the {edge} of the values tried"
    assert [expected in note for note in notes] == ([True] if edge else [])


def test_progress_is_told_for_each_value():
    steps = []
    search(*scripted((1, 2, 3)), PLAIN, on_value=lambda: steps.append(1))
    assert len(steps) == 3


def test_solvers_that_did_not_converge_are_counted(blobs):
    """A value that stopped early may be worse than it looks."""
    head = HEADS.load("softmax")
    params = resolve_params(head, {"max_iter": 1})
    _, notes = search_parameter(head, head.search, params, *blobs, seed=0)
    assert any("did not converge for" in note and "of 45 values" in note for note in notes)


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
    assert len(search(head, space, blobs)[0].n_correct) == 2
