"""Figures besides accuracy, held against scikit-learn's and against their definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from tlbench.heads import Head, evaluate_head
from tlbench.heads.score import calibration_error, class_scores, top_k_hits

N_CLASSES = 7
LABELS = st.integers(0, N_CLASSES - 1)
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60).map(
    lambda pairs: np.array(pairs, dtype=np.int64).T
)


@given(PAIRS)
def test_class_counts_are_those_of_the_confusion_matrix(pair):
    """Rows, columns and diagonal of scikit-learn's table."""
    labels, predictions = pair
    table = confusion_matrix(labels, predictions, labels=range(N_CLASSES))
    scores = class_scores(labels, predictions, N_CLASSES)
    assert [score.n_test for score in scores] == table.sum(axis=1).tolist()
    assert [score.n_correct for score in scores] == np.diag(table).tolist()
    assert [score.n_predicted for score in scores] == table.sum(axis=0).tolist()


class Fixed:
    """An estimator that predicts what it is given."""

    def __init__(self, predictions):
        self.predictions = predictions

    def fit(self, _features, _labels):
        return self

    def predict(self, _features):
        return self.predictions


@given(PAIRS)
def test_macro_f1_is_the_mean_over_the_classes_with_images_or_predictions(pair):
    """F1 of a class is 2 hits / (images + predictions); a class with only one of these has 0."""
    labels, predictions = pair
    head = Head(name="fixed", summary="", defaults={}, build=lambda *_: Fixed(predictions))
    train = np.eye(2, dtype=np.float32), np.array([0, 1])
    test = np.ones((len(labels), 2), dtype=np.float32), labels
    found = evaluate_head(
        head,
        {},
        *train,
        *test,
        features="backbone",
        baseline=False,
        seed=0,
        n_classes=N_CLASSES,
    ).result
    sizes = [(one.n_correct, one.n_test + one.n_predicted) for one in found.per_class]
    scores = [2 * hits / size for hits, size in sizes if size]
    # rounding of a mean of at most seven ratios
    assert found.metrics.macro_f1_fraction == pytest.approx(np.mean(scores), abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_top_k_is_scikit_learns(k, seed):
    """Without ties there is one definition."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(40 * N_CLASSES).reshape(40, N_CLASSES).astype(np.float64)
    labels = rng.integers(0, N_CLASSES, 40)
    columns = np.arange(N_CLASSES)
    expected = top_k_accuracy_score(labels, scores, k=k, labels=columns)
    assert top_k_hits(scores, columns, labels, k).mean() == expected


@given(st.integers(0, 2**32 - 1), st.integers(2, N_CLASSES))
def test_more_places_never_lose_an_image(seed, n_levels):
    """Ties or not: who is among the first k is among the first k + 1, and all are among all."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, n_levels, (30, N_CLASSES)).astype(np.float64)
    labels = rng.integers(0, N_CLASSES, 30)
    hits = [top_k_hits(scores, np.arange(N_CLASSES), labels, k) for k in range(1, N_CLASSES + 1)]
    assert all((few <= more).all() for few, more in itertools.pairwise(hits))
    assert [int(hit.sum()) for hit in hits][-1] == 30
    np.testing.assert_array_equal(hits[0], scores.argmax(axis=1) == labels)


def test_of_equal_scores_the_lower_class_comes_first():
    """Neighbours that vote for few classes leave the others at zero: not all of them are hits."""
    scores = np.zeros((4, 4))
    labels = np.array([0, 1, 2, 3])
    hits = top_k_hits(scores, np.arange(4), labels, 2)
    assert hits.tolist() == [True, True, False, False]


def test_a_class_that_the_head_does_not_know_is_a_miss():
    """A class without training images has no column, wherever it stands."""
    scores = np.zeros((3, 2))
    assert top_k_hits(scores, np.array([1, 3]), np.array([0, 3, 5]), 2).tolist() == [
        False,
        True,
        False,
    ]


def _calibration_error(confidences, correct, n_bins):
    """Guo's definition, word for word."""
    total = 0.0
    for i in range(n_bins):
        inside = (confidences > i / n_bins) & (confidences <= (i + 1) / n_bins)
        if inside.any():
            gap = correct[inside].mean() - confidences[inside].mean()
            total += inside.mean() * abs(gap)
    return total


@given(
    st.lists(st.tuples(st.floats(1e-6, 1), st.booleans()), min_size=1, max_size=80),
    st.integers(1, 20),
)
def test_calibration_error_is_guos(pairs, n_bins):
    """Bins of equal width with their upper ends; the same sum in another order."""
    confidences = np.array([pair[0] for pair in pairs])
    correct = np.array([pair[1] for pair in pairs])
    expected = _calibration_error(confidences, correct, n_bins)
    # rounding may put a confidence on an edge of a third into either bin: keep off the edges
    if (np.abs(confidences * n_bins - np.round(confidences * n_bins)) > 1e-9).all():
        assert calibration_error(confidences, correct, n_bins) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 40, 700]))
def test_calibration_error_is_the_weighted_gap_of_scikit_learns_curve(seed, n_images):
    """Its bins have their upper ends too, and it leaves empty ones out: they weigh nothing."""
    rng = np.random.default_rng(seed)
    confidences = rng.uniform(0.1, 1, n_images)
    correct = rng.random(n_images) < 0.7 * confidences
    found, said = calibration_curve(correct, confidences, n_bins=15)
    counts = np.histogram(confidences, bins=np.linspace(0, 1, 16))[0]
    gaps = np.abs(found - said) * counts[counts > 0] / n_images
    # rounding of sums
    assert calibration_error(confidences, correct) == pytest.approx(gaps.sum(), abs=1e-12)


@pytest.mark.parametrize(("n_images", "most"), [(100, 0.1), (1017, 0.035), (10_000, 0.012)])
def test_simulated_bias_of_the_calibration_error(n_images, most):
    """A head that is right as often as it says has an error all the same: chance, in each bin."""
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        confidences = rng.beta(4, 1, n_images)
        errors.append(calibration_error(confidences, rng.random(n_images) < confidences))
    print(f"calibrated, {n_images} images: {100 * np.mean(errors):.1f} %")
    assert most / 3 < np.mean(errors) < most


@pytest.mark.parametrize(
    ("confidences", "correct", "expected"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [True, False], 0.5),
        ([0.75] * 4, [True, True, True, False], 0.0),
        ([0.1, 0.9], [True, False], 0.9),  # one too modest, one too sure: gaps do not cancel
        ([0.0, 0.5], [False, True], 0.25),
    ],
)
def test_calibration_error_of_plain_cases(confidences, correct, expected):
    """Right as often as it says: no error."""
    found = calibration_error(np.array(confidences), np.array(correct))
    assert found == pytest.approx(expected, abs=1e-12)  # sums of decimal fractions


def test_an_edge_belongs_to_the_bin_below():
    """With two bins, one half and a quarter share a bin; their gaps cancel."""
    confidences, correct = np.array([0.5, 0.25]), np.array([True, False])
    assert calibration_error(confidences, correct, 2) == pytest.approx(0.125)
    assert calibration_error(confidences + 1e-9, correct, 2) == pytest.approx(0.375)


def test_a_confidence_that_rounding_puts_above_one_is_in_the_last_bin():
    """A softmax in float32 can sum to more than 1."""
    above = np.array([np.nextafter(np.float32(1), np.float32(2)), 0.95])
    found = calibration_error(above, np.array([False, True]))
    assert found == pytest.approx(abs(0.5 - above.mean()))
