"""Fit and predict of every registered head on synthetic features; BLAS on one thread, as ever.

The heads of published experiments with many images are timed again on 10,000 rows, beside
scikit-learn's exact but slower way to the same head.
"""

import warnings

import numpy as np
import pytest
from alternate import THREADS, run_warm
from peers import tensorflow_on
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from tlbench.core.errors import MissingDependencyError
from tlbench.heads import BLAS_THREADS, HEADS, check_requirements, resolve_params
from tlbench.heads.classical import SOFTMAX_C

N_TRAIN, N_TEST, N_FEATURES, N_CLASSES = 1000, 1000, 1280, 10
MAP = (16, 16, 5)  # 1,280 values, for the heads that need a map
EPOCHS = {"epochs": 3, "learning_rate": 1e-3}  # of those that are trained in epochs

MANY, WIDE = 10_000, 2048
# At this distance of the centres six of ten images are found: nothing is easy for a solver.
HARD = 0.06


def overlapping(n_train, n_test, n_features, distance):
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((N_CLASSES, n_features))
    labels = generator.integers(0, N_CLASSES, n_train + n_test)
    noise = generator.standard_normal((n_train + n_test, n_features))
    features = np.maximum(distance * centres[labels] + noise, 0).astype(np.float32)
    return features[:n_train], labels[:n_train], features[n_train:], labels[n_train:]


@pytest.fixture(scope="module")
def split():
    """Classes that overlap, so that solvers have to work: about as separable as CNN codes."""
    return overlapping(N_TRAIN, N_TEST, N_FEATURES, 0.15)


@pytest.fixture(params=HEADS.names())
def head(request, note):
    found = HEADS.load(request.param)
    try:
        check_requirements(found)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    if "tensorflow" in found.requires:
        tensorflow_on(THREADS)
    note(
        head=found.name,
        params=params_of(found),
        n_train=N_TRAIN,
        n_test=N_TEST,
        n_features=N_FEATURES,
        n_classes=N_CLASSES,
        blas_threads=BLAS_THREADS,
    )
    return found


def params_of(head):
    quick = EPOCHS if "epochs" in head.defaults else {}
    return head.lay_out(resolve_params(head, quick), MAP)


def fitted(head, split):
    train, labels, _, _ = split
    params, _ = head.adapt(params_of(head), labels)
    estimator = head.build(params, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a solver that stops at its limit: the time is still one
        return estimator.fit(train, labels)


def test_fit(benchmark, head, split):
    """Seconds to fit 1,000 rows of 1,280 features; three epochs of a head that has epochs."""
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
    if "shape" not in head.defaults:  # neighbours on a map are alike, and these values are not
        assert accuracy > 2 / N_CLASSES


def exact_softmax():
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=SOFTMAX_C, tol=1e-8, max_iter=20_000)
    )


def exact_fast_svm():
    return make_pipeline(Normalizer(), LinearSVC(C=1.0, tol=1e-8, max_iter=20_000, random_state=0))


def exact_svm():
    return SVC(kernel="linear", C=0.1)


EXACT = {"softmax": exact_softmax, "svm-linear-fast": exact_fast_svm, "svm-linear": exact_svm}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("way", ["head", "exact"])
def test_fit_many(benchmark, note, name, way):
    """Seconds to fit 10,000 rows: of 2,048 features, of 1,280 for the SVM with a kernel."""
    n_features = N_FEATURES if name == "svm-linear" else WIDE
    train, labels, test, expected = overlapping(MANY, MANY, n_features, HARD)
    head = HEADS.load(name)

    def fit():
        if way == "head":
            return head.build(resolve_params(head, {}), 0).fit(train, labels)
        return EXACT[name]().fit(train.astype(np.float64), labels)

    with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        estimator = benchmark.pedantic(fit, rounds=1)
        accuracy = float(np.mean(estimator.predict(test) == expected))
    note(head=name, way=way, n_train=MANY, n_test=MANY, n_features=n_features)
    note(blas_threads=BLAS_THREADS, accuracy_fraction=accuracy)
    assert accuracy > 0.4
