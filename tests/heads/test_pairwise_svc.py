"""The fast way to the linear SVM of LIBSVM gives what scikit-learn's SVC gives."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from tlbench.heads import HEADS, resolve_params
from tlbench.heads.estimators.pairwise import PairwiseLinearSVC

TOLERANCE = 1e-3  # LIBSVM's own: the solutions of two exact ways differ by no more


def overlapping(n_classes, dtype=np.float32, n_images=300, n_features=40):
    """Classes that overlap, of different sizes and in no order."""
    generator = np.random.default_rng(n_classes)
    labels = generator.choice(
        n_classes, n_images, p=np.arange(1, n_classes + 1) * 2 / (n_classes * (n_classes + 1))
    )
    centres = generator.normal(size=(n_classes, n_features))
    features = 0.5 * centres[labels] + generator.normal(size=(n_images, n_features))
    return features.astype(dtype), labels


def fit_both(features, labels, **params):
    return PairwiseLinearSVC(**params).fit(features, labels), SVC(kernel="linear", **params).fit(
        features, labels
    )


CASES = {
    "two classes": (2, {"C": 0.1}),
    "three classes": (3, {"C": 0.1}),
    "ten classes": (10, {"C": 0.1}),
    "weak penalty": (4, {"C": 10.0}),
    "balanced": (5, {"C": 0.1, "class_weight": "balanced"}),
    "weighted": (3, {"C": 0.1, "class_weight": {0: 5.0, 2: 0.2}}),
}


@pytest.mark.parametrize(("n_classes", "params"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_support_vectors_and_coefficients_are_those_of_svc(n_classes, params, dtype):
    """Same rows support, with the same weight: attributes have SVC's names and layout."""
    ours, theirs = fit_both(*overlapping(n_classes, dtype), **params)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_array_equal(ours.n_support_, theirs.n_support_)
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=TOLERANCE)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=TOLERANCE)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=TOLERANCE)


@pytest.mark.parametrize(("n_classes", "params"), CASES.values(), ids=CASES)
def test_predictions_and_scores_are_those_of_svc(n_classes, params):
    """Every new row gets SVC's label, and SVC's score of each class."""
    features, labels = overlapping(n_classes, n_images=600)
    ours, theirs = fit_both(features[:300], labels[:300], **params)
    np.testing.assert_array_equal(ours.predict(features), theirs.predict(features))
    np.testing.assert_allclose(
        ours.decision_function(features), theirs.decision_function(features), atol=TOLERANCE
    )


def test_a_tie_of_votes_goes_to_the_first_class_as_in_svc():
    """Three classes with a vote each: SVC's labels do not look at the scores, nor do ours."""
    angles = 2 * np.pi * np.arange(3) / 3
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    generator = np.random.default_rng(0)
    labels = np.arange(150) % 3
    # each class has a handle towards the next one, which turns the borders: a cycle in the middle
    features = centres[labels] + generator.uniform(0, 2, (150, 1)) * np.roll(centres, -1, 0)[labels]
    ours, theirs = fit_both(features, labels, C=1.0)
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 60)] * 2), axis=-1).reshape(-1, 2)
    votes, _ = ours._votes(ours._values(grid))
    tied = votes.max(axis=1) == 1
    assert tied.sum() > 10
    assert set(ours.predict(grid[tied])) == {0}
    np.testing.assert_array_equal(ours.predict(grid), theirs.predict(grid))


def test_a_pair_that_is_too_large_is_solved_from_its_features_and_says_so():
    """Above the bound on memory the result is the same, and a warning counts the pairs."""
    features, labels = overlapping(4)
    within = PairwiseLinearSVC(C=0.1).fit(features, labels)
    sizes = np.bincount(labels)
    bound = 8 * (sizes[0] + sizes[1]) ** 2  # the smallest pair fits, the other five do not
    with pytest.warns(UserWarning, match=f"5 pairs .* larger than {bound:,} bytes.*slower"):
        beyond = PairwiseLinearSVC(C=0.1, kernel_bytes=int(bound)).fit(features, labels)
    np.testing.assert_array_equal(beyond.support_, within.support_)
    np.testing.assert_allclose(beyond.coef_, within.coef_, atol=TOLERANCE)


def test_no_pair_asks_for_the_kernel_of_all_images(monkeypatch):
    """Memory is bounded by the largest two classes: no solver ever sees more rows than theirs."""
    features, labels = overlapping(5)
    largest = np.sort(np.bincount(labels))[-2:].sum()
    seen = []
    real = SVC.fit
    monkeypatch.setattr(SVC, "fit", lambda self, x, y: (seen.append(x.shape), real(self, x, y))[1])
    PairwiseLinearSVC(C=0.1).fit(features, labels)
    assert len(seen) == 10
    assert max(seen) == (largest, largest)


def test_the_head_builds_it_with_its_parameters():
    """svm-linear is this estimator, at the published C."""
    head = HEADS.load("svm-linear")
    built = head.build(resolve_params(head, {"class_weight": "balanced"}), 0)
    assert isinstance(built, PairwiseLinearSVC)
    assert (built.C, built.class_weight) == (0.1, "balanced")


def test_labels_may_be_words():
    """Predictions are values of the training labels."""
    features, labels = overlapping(3)
    words = np.array(["ant", "bee", "cat"])[labels]
    fitted = PairwiseLinearSVC(C=0.1).fit(features, words)
    np.testing.assert_array_equal(
        fitted.predict(features), SVC(kernel="linear", C=0.1).fit(features, words).predict(features)
    )


def test_a_solver_that_stops_early_warns_like_svc():
    """max_iter reaches LIBSVM, and its warning the caller."""
    features, labels = overlapping(3)
    with pytest.warns(UserWarning, match="max_iter=1"):
        PairwiseLinearSVC(max_iter=1).fit(features, labels)


def test_it_is_a_scikit_learn_estimator():
    """scikit-learn's own checks of an estimator pass, none left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks themselves
        results = check_estimator(PairwiseLinearSVC(), on_fail=None)
    failed = [result["check_name"] for result in results if result["status"] == "failed"]
    assert failed == []


def test_a_clone_has_the_same_parameters():
    """A search over C can copy it."""
    copy = clone(PairwiseLinearSVC(C=3.0, kernel_bytes=5))
    assert (copy.C, copy.kernel_bytes) == (3.0, 5)
