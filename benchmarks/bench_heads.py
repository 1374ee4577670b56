"""Fit and predict of every registered head on synthetic features; BLAS on one thread, as ever."""

import warnings

import numpy as np
import pytest
from alternate import run_warm
from threadpoolctl import threadpool_limits

from tlbench.evaluation import BLAS_THREADS
from tlbench.heads import HEADS, resolve_params

N_TRAIN, N_TEST, N_FEATURES, N_CLASSES = 1000, 1000, 1280, 10


@pytest.fixture(scope="module")
def split():
    """Classes that overlap, so that solvers have to work: about as separable as CNN codes."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((N_CLASSES, N_FEATURES))
    labels = generator.integers(0, N_CLASSES, N_TRAIN + N_TEST)
    noise = generator.standard_normal((N_TRAIN + N_TEST, N_FEATURES))
    features = np.maximum(0.15 * centres[labels] + noise, 0).astype(np.float32)
    return features[:N_TRAIN], labels[:N_TRAIN], features[N_TRAIN:], labels[N_TRAIN:]


@pytest.fixture(params=HEADS.names())
def head(request, note):
    found = HEADS.load(request.param)
    note(
        head=found.name,
        params=resolve_params(found, {}),
        n_train=N_TRAIN,
        n_test=N_TEST,
        n_features=N_FEATURES,
        n_classes=N_CLASSES,
        blas_threads=BLAS_THREADS,
    )
    return found


def fitted(head, split):
    train, labels, _, _ = split
    params, _ = head.adapt(resolve_params(head, {}), labels)
    estimator = head.build(params, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a solver that stops at its limit: the time is still one
        return estimator.fit(train, labels)


def test_fit(benchmark, head, split):
    """Seconds to fit 1,000 rows of 1,280 features."""
    fitted(head, split)  # loads the libraries that the limit has to reach
    with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        run_warm(benchmark, lambda: fitted(head, split))


def test_predict(benchmark, note, head, split):
    """Seconds to predict 1,000 rows."""
    _, _, test, labels = split
    estimator = fitted(head, split)
    with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        predicted = run_warm(benchmark, lambda: estimator.predict(test))
    accuracy = float(np.mean(predicted == labels))
    note(accuracy_fraction=accuracy)
    assert accuracy > 2 / N_CLASSES
