"""Heads on training sets that are too small for their defaults."""

import numpy as np
import pytest

from tlbench.core.errors import ConfigError
from tlbench.heads import HEADS, resolve_params

THIN = {
    "one of two classes has one image": np.array([0] * 50 + [1]),
    "a tenth is one image": np.arange(10) % 3,
}
ENOUGH = {
    "one of three classes has one image": np.array([0] * 50 + [1] * 49 + [2]),
    "a tenth is smaller than the number of classes": np.arange(60) % 30,
    "a tenth is two images": np.arange(11) % 2,
}


@pytest.mark.parametrize("k", ["0", "-1", "7"])
def test_knn_refuses_a_k_that_the_training_images_cannot_give(k):
    """The message says how many there are and which parameter to change."""
    knn = HEADS.load("knn")
    with pytest.raises(ConfigError, match=rf"k={k} .*6 training.*knn\.k in head_params.*1 to 6"):
        knn.adapt(resolve_params(knn, {"k": k}), np.zeros(6, dtype=np.int64))


def test_knn_takes_as_many_neighbours_as_there_are_training_images():
    """A vote of all training images is the largest that works."""
    knn = HEADS.load("knn")
    params = resolve_params(knn, {"k": 6})
    assert knn.adapt(params, np.zeros(6, dtype=np.int64)) == (params, ())


@pytest.mark.parametrize("labels", THIN.values(), ids=THIN)
def test_mlp_says_that_it_goes_without_early_stopping(labels):
    """Where no tenth can be held out, the parameters change and a note says so."""
    mlp = HEADS.load("mlp")
    params, notes = mlp.adapt(resolve_params(mlp, {}), labels)
    assert params["early_stopping"] is False
    assert len(notes) == 1
    assert "without early stopping" in notes[0]


@pytest.mark.parametrize("labels", THIN.values(), ids=THIN)
def test_mlp_fits_thin_classes_after_adapting(labels):
    """What scikit-learn refuses with early stopping, it fits with the adapted parameters."""
    mlp = HEADS.load("mlp")
    features = np.eye(3, dtype=np.float32)[labels]
    params = resolve_params(mlp, {"hidden": 8, "learning_rate": 0.1, "max_iter": 1000})
    with pytest.raises(ValueError, match="class|validation"):
        mlp.build(params, 0).fit(features, labels)
    adapted, _ = mlp.adapt(params, labels)
    assert (mlp.build(adapted, 0).fit(features, labels).predict(features) == labels).mean() > 0.9


@pytest.mark.parametrize("labels", ENOUGH.values(), ids=ENOUGH)
def test_mlp_keeps_early_stopping_where_scikit_learn_can_do_it(labels):
    """The rule is no stricter than scikit-learn's own: these fit with early stopping on."""
    mlp = HEADS.load("mlp")
    params = resolve_params(mlp, {"hidden": 8, "learning_rate": 0.1, "max_iter": 1000})
    assert mlp.adapt(params, labels) == (params, ())
    features = np.eye(30, dtype=np.float32)[labels]
    assert mlp.build(params, 0).fit(features, labels).predict(features).shape == labels.shape


def test_mlp_says_nothing_when_it_has_not_changed_anything():
    """A user who turns early stopping off gets no note about it."""
    mlp = HEADS.load("mlp")
    params = resolve_params(mlp, {"early_stopping": "false"})
    assert mlp.adapt(params, np.array([0, 1])) == (params, ())


def test_knn_ranks_by_cosine_and_not_by_distance():
    """A far image in the same direction is nearer than a close one in another."""
    knn = HEADS.load("knn")
    features = np.array([[100, 1], [0.2, 1]], dtype=np.float32)
    fitted = knn.build(resolve_params(knn, {"k": 1}), 0).fit(features, np.array([0, 1]))
    assert fitted.predict(np.array([[1, 0.1]], dtype=np.float32)).tolist() == [0]
