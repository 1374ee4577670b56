"""What an evaluated head says besides its accuracy."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from tlbench.heads import HEADS, Head, evaluate_head, resolve_params
from tlbench.heads.score import calibration_error


@pytest.fixture(scope="module")
def blobs():
    """Eight classes that overlap, 20 values each: 400 rows to learn, 200 to test."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 8
    centres = rng.normal(size=(8, 20))
    features = (centres[labels] + 1.5 * rng.normal(size=(600, 20))).astype(np.float32)
    return features[:400], labels[:400], features[400:], labels[400:]


def evaluate(head, arrays, **options):
    given = {"features": "backbone", "baseline": False, "seed": 0} | options
    return evaluate_head(head, resolve_params(head, {}), *arrays, **given)


def fitted(head, arrays):
    return head.build(resolve_params(head, {}), 0).fit(*arrays[:2])


@pytest.mark.parametrize("name", ["softmax", "svm-linear", "svm-linear-fast", "knn", "centroid"])
def test_metrics_are_those_of_the_predictions(blobs, name):
    """Macro F1 and the counts of classes follow from what is saved in predictions.npz."""
    done = evaluate(HEADS.load(name), blobs)
    expected = f1_score(blobs[3], done.predictions, average="macro")
    assert done.result.metrics.macro_f1_fraction == pytest.approx(expected, abs=1e-12)  # rounding
    assert sum(one.n_correct for one in done.result.per_class) == done.result.n_correct
    assert [one.n_test for one in done.result.per_class] == [25] * 8
    assert done.result.notes == ()  # asking for scores warns of nothing


def test_top5_of_a_head_with_probabilities(blobs):
    """Softmax ranks by probability."""
    result = evaluate(HEADS.load("softmax"), blobs).result
    probabilities = fitted(HEADS.load("softmax"), blobs).predict_proba(blobs[2])
    assert result.metrics.top5_fraction == top_k_accuracy_score(blobs[3], probabilities, k=5)
    assert result.metrics.top5_fraction >= result.accuracy_fraction


@pytest.mark.parametrize("name", ["svm-linear", "svm-linear-fast"])
def test_top5_of_a_head_with_a_decision_function(blobs, name):
    """A support vector machine ranks by distance, one class against the rest."""
    result = evaluate(HEADS.load(name), blobs).result
    scores = fitted(HEADS.load(name), blobs).decision_function(blobs[2])
    assert result.metrics.top5_fraction == top_k_accuracy_score(blobs[3], scores, k=5)


@pytest.mark.parametrize("name", ["svm-linear", "svm-linear-fast"])
def test_without_probabilities_there_is_no_calibration_error(blobs, name):
    """A distance is not a confidence."""
    metrics = evaluate(HEADS.load(name), blobs).result.metrics
    assert metrics.calibration_error_fraction is None
    assert metrics.calibration_bins is None


def test_calibration_error_of_probabilities(blobs):
    """Fifteen bins, as published."""
    metrics = evaluate(HEADS.load("softmax"), blobs).result.metrics
    probabilities = fitted(HEADS.load("softmax"), blobs).predict_proba(blobs[2])
    correct = probabilities.argmax(axis=1) == blobs[3]
    expected = calibration_error(probabilities.max(axis=1), correct, 15)
    assert metrics.calibration_error_fraction == expected > 0
    assert metrics.calibration_bins == 15


def test_five_classes_have_no_top5(blobs):
    """It would be 100 % whatever the head."""
    arrays = (blobs[0], blobs[1] % 5, blobs[2], blobs[3] % 5)
    assert evaluate(HEADS.load("softmax"), arrays).result.metrics.top5_fraction is None


def test_a_class_without_images_is_counted(blobs):
    """The dataset says how many classes there are, not the labels that happen to be left."""
    result = evaluate(HEADS.load("centroid"), blobs, n_classes=10).result
    assert len(result.per_class) == 10
    assert result.per_class[9].accuracy_fraction is None


@pytest.mark.parametrize(("n_known", "is_ranked"), [(2, False), (5, False), (6, True)])
@pytest.mark.parametrize("name", ["softmax", "svm-linear"])
def test_a_head_that_knows_five_classes_or_fewer_has_no_top5(blobs, name, n_known, is_ranked):
    """Whatever it learnt, the classes it knows would all be among the first five."""
    arrays = (blobs[0], blobs[1] % n_known, blobs[2], blobs[3])
    metrics = evaluate(HEADS.load(name), arrays, n_classes=8).result.metrics
    assert (metrics.top5_fraction is not None) == is_ranked


def test_groups_are_scored_by_the_group_of_the_predicted_class(blobs):
    """A confusion within a group is no error of the group."""
    group_of = np.arange(8) // 4
    done = evaluate(HEADS.load("centroid"), blobs, groups={"halves": group_of})
    (grouped,) = done.result.grouped
    n_correct = int((group_of[blobs[3]] == group_of[done.predictions]).sum())
    assert (grouped.grouping, grouped.n_groups, grouped.n_correct) == ("halves", 2, n_correct)
    assert grouped.accuracy_fraction == n_correct / 200 > done.result.accuracy_fraction
    assert grouped.interval.low < grouped.accuracy_fraction < grouped.interval.high


class Scorer:
    """An estimator with the scores it is given."""

    def __init__(self, scores):
        self.scores = scores

    def fit(self, _features, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, features):
        return np.zeros(len(features), dtype=np.int64)

    def predict_proba(self, features):
        return np.full((len(features), len(self.classes_)), self.scores)


def scorer_head(scores):
    return Head(name="scorer", summary="", defaults={}, build=lambda _params, _seed: Scorer(scores))


def test_scores_that_are_not_finite_are_noted_and_not_used(blobs):
    """A figure from NaN would look like a figure."""
    result = evaluate(scorer_head(np.nan), blobs).result
    assert result.metrics.top5_fraction is None
    assert result.metrics.calibration_error_fraction is None
    assert result.notes == (
        "The head's scores are not finite: no top-5 accuracy and no calibration error.",
    )


def test_scores_are_not_in_the_times(blobs):
    """Fit and predict are timed; what the further figures need is asked for afterwards."""
    ticks = itertools.count()
    result = evaluate(scorer_head(0.125), blobs, clock=lambda: float(next(ticks))).result
    assert (result.fit_s, result.predict_s) == (1, 1)
    assert next(ticks) == 3
