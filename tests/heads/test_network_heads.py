"""The heads that are trained in epochs: seeds, curves, and what scikit-learn expects of them."""

import importlib.util
import pickle
import random
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from tlbench.heads import HEADS, Dense, Trained, evaluate_head, resolve_params
from tlbench.heads.estimators.network import NetworkClassifier
from tlbench.heads.training import forward
from tlbench.records import Epoch

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("tensorflow", "tf2onnx")),
        reason="needs tensorflow and tf2onnx: pip install 'tlbench[export]'",
    ),
]
SMALL = {"layers": (Dense(8),), "epochs": 4, "learning_rate": 1e-2, "batch_size": 16}


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    centres = generator.normal(size=(3, 12))
    return (centres[labels] + generator.normal(size=(90, 12))).astype(np.float32), labels


def test_one_seed_gives_one_head_and_another_seed_another(data):
    """Initial weights, dropout and order follow from the seed alone."""
    first, again, other = (
        NetworkClassifier(**SMALL, random_state=seed).fit(*data).predict_proba(data[0])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_fit_leaves_the_global_generators_alone(data):
    """Other code that draws numbers draws the same ones, with or without a fit between."""
    states = []
    for _ in range(2):
        states.append((random.getstate(), str(np.random.get_state())))  # noqa: NPY002 - that one
        NetworkClassifier(**SMALL).fit(*data)
    assert states[0] == states[1]


def test_the_curve_has_every_epoch(data):
    """Loss and accuracy of each epoch are kept; no validation is claimed where there was none."""
    history = NetworkClassifier(**SMALL).fit(*data).history_
    assert len(history) == 4
    assert all(set(epoch) == {"loss", "accuracy_fraction"} for epoch in history)
    assert history[-1]["loss"] < history[0]["loss"]
    assert 0 <= history[0]["accuracy_fraction"] <= 1


def test_held_out_rows_are_watched_and_not_learnt(data):
    """A third held out: its loss is in the curve, and rows whose labels are noise show it."""
    features, labels = data
    fitted = NetworkClassifier(
        **SMALL | {"epochs": 60, "layers": (Dense(64),)}, validation_fraction=1 / 3
    ).fit(features, np.random.default_rng(1).permutation(labels))
    last = fitted.history_[-1]
    # noise can be learnt by heart, and predicted no better than by chance
    assert last["accuracy_fraction"] > 0.9
    assert last["validation_accuracy_fraction"] < 0.6
    assert last["validation_loss"] > last["loss"] + 0.5


def test_the_last_rows_are_held_out_where_asked_for(data):
    """The figures of the curve are those of the last rows, which no step has seen."""
    features, labels = data
    labels = np.concatenate([labels[:70], (labels[70:] + 1) % 3])  # the last rows are wrong
    common = SMALL | {"epochs": 40, "validation_fraction": 0.2, "batch_size": 8}
    last = NetworkClassifier(**common, validation="last").fit(features, labels)
    assert last.history_[-1]["accuracy_fraction"] > 0.9
    assert last.history_[-1]["validation_accuracy_fraction"] < 0.2
    watched = last.score(features[72:], labels[72:])
    assert last.history_[-1]["validation_accuracy_fraction"] == pytest.approx(watched)
    drawn = NetworkClassifier(**common).fit(features, labels)
    assert drawn.history_[-1]["validation_accuracy_fraction"] > 0.4


def test_the_best_epoch_is_kept_where_asked_for(data):
    """Labels of noise: the lowest validation loss is early, and those weights are not the last."""
    features, labels = data
    noise = np.random.default_rng(1).permutation(labels)
    common = SMALL | {"epochs": 40, "layers": (Dense(64),), "validation_fraction": 1 / 3}
    best = NetworkClassifier(**common, keep_best=True).fit(features, noise)
    losses = [epoch["validation_loss"] for epoch in best.history_]
    epochs = int(np.argmin(losses)) + 1
    assert epochs < 40
    until = NetworkClassifier(**common | {"epochs": epochs}).fit(features, noise)
    np.testing.assert_array_equal(best.predict_proba(features), until.predict_proba(features))


def test_the_record_of_a_run_holds_the_curve(data):
    """evaluate_head puts every epoch into the result."""
    dense = HEADS.load("dense")
    params = resolve_params(dense, {"epochs": 3, "validation_fraction": 0.2, "hidden": 8})
    found = evaluate_head(
        dense, params, *data, *data, features="backbone", baseline=False, seed=0
    ).result
    assert len(found.curve) == 3
    assert all(isinstance(epoch, Epoch) for epoch in found.curve)
    assert all(epoch.validation_accuracy_fraction is not None for epoch in found.curve)


def test_probabilities_sum_to_one_and_agree_with_the_labels(data):
    """The label is the class of the largest probability, whatever the labels are."""
    features, labels = data
    words = np.array(["ant", "bee", "cat"])[labels]
    fitted = NetworkClassifier(**SMALL).fit(features, words)
    shares = fitted.predict_proba(features)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)  # float32
    assert (fitted.predict(features) == fitted.classes_[shares.argmax(axis=1)]).all()
    assert fitted.score(features, words) > 0.5


def test_a_fitted_head_is_used_where_there_is_no_keras(data, tmp_path):
    """Predictions are numpy's: a pickled head predicts without the library that trained it."""
    fitted = NetworkClassifier(**SMALL).fit(*data)
    (tmp_path / "head.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "features.npy", data[0])
    code = (
        "import pickle, sys, numpy as np\n"
        "head = pickle.load(open('head.pickle', 'rb'))\n"
        "np.save('predictions.npy', head.predict(np.load('features.npy')))\n"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "predictions.npy"), fitted.predict(data[0]))


def test_training_prints_nothing(data, capfd):
    """Neither progress bars nor notes of the libraries reach the terminal."""
    NetworkClassifier(**SMALL).fit(*data)
    assert capfd.readouterr() == ("", "")


def test_a_training_that_diverges_says_what_to_lower(data):
    """A loss that is no number is an error, not a head."""
    features, labels = data
    with pytest.raises(ValueError, match="loss is (nan|inf) in epoch .*lower learning_rate"):
        NetworkClassifier(**SMALL | {"learning_rate": 1e30, "epochs": 30}).fit(features, labels)


class SoftmaxTrainer:
    """A trainer of networks without hidden layers: full-batch gradient descent in numpy."""

    def train(self, spec, examples, validation):
        assert (validation, len(spec.layers)) == (None, 1)
        rows, codes = examples
        targets = np.eye(spec.layers[-1].units, dtype=np.float32)[codes]
        kernel = np.random.default_rng(spec.seed).normal(0, 0.1, (rows.shape[1], targets.shape[1]))
        weights, history = (kernel.astype(np.float32), np.zeros(targets.shape[1], np.float32)), []
        for _ in range(spec.epochs):
            shares = forward(rows, spec.shape, spec.layers, [weights])
            history.append({"loss": float(-np.log(shares[targets == 1] + 1e-7).mean())})
            slope = (shares - targets) * spec.learning_rate / len(rows)
            weights = weights[0] - rows.T @ slope, weights[1] - slope.sum(axis=0)
        return Trained(weights=(weights,), history=tuple(history))


def test_it_is_a_scikit_learn_estimator(monkeypatch):
    """scikit-learn's own checks of an estimator pass, none left out.

    They fit about a hundred networks, each of which Keras would trace for a second: numpy does it.
    """
    fake = types.SimpleNamespace(load=lambda _name: SoftmaxTrainer())
    monkeypatch.setattr("tlbench.heads.estimators.network.TRAINERS", fake)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks themselves
        estimator = NetworkClassifier(epochs=100, learning_rate=0.5)
        results = check_estimator(estimator, on_fail=None)
    failed = [result["check_name"] for result in results if result["status"] == "failed"]
    assert failed == []


@pytest.mark.parametrize("name", ["check_fit_idempotent", "check_fit2d_1feature"])
def test_it_is_one_when_keras_trains_it(name):
    """Two of the checks that depend on the training: it repeats itself, and takes one column."""
    estimator = NetworkClassifier((Dense(4),), epochs=2)
    checks = {check.func.__name__: check for _, check in estimator_checks_generator(estimator)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks themselves
        checks[name](estimator)


def test_a_clone_has_the_same_layers():
    """A cross-validation copies it for each fold."""
    copy = clone(NetworkClassifier(**SMALL))
    assert copy.get_params() == NetworkClassifier(**SMALL).get_params()
    assert copy.set_params(epochs=9).epochs == 9
