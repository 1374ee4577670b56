"""Fitting a head and scoring it: the record, the notes, and what is refused."""

import itertools
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tlbench.core.errors import ConfigError, DataError
from tlbench.heads import HEADS, Head, evaluate_head, fit_head, resolve_params
from tlbench.stats import wilson_interval

X = np.array([[0, 1], [1, 0], [0, 2], [2, 0]], dtype=np.float32)
Y = np.array([0, 1, 0, 1])


class Oracle:
    """An estimator that predicts what it is told, and can warn or fail."""

    def __init__(self, predicted=(), fit_action=lambda: None, predict_action=lambda: None):
        self.predicted = predicted
        self.fit_action = fit_action
        self.predict_action = predict_action

    def fit(self, _features, _labels):
        """Do what was asked for in place of learning."""
        self.fit_action()
        return self

    def predict(self, features):
        """Return the prepared labels."""
        self.predict_action()
        return np.resize(self.predicted or [0], len(features))


def oracle_head(adapt=None, **kwargs):
    extra = {"adapt": adapt} if adapt else {}
    return Head(
        name="oracle",
        summary="",
        defaults={"C": 1.0},
        build=lambda _params, _seed: Oracle(**kwargs),
        **extra,
    )


def evaluate(head=None, arrays=(X, Y, X, Y), params=None, **options):
    head = head or oracle_head()
    given = {"features": "backbone", "baseline": False, "seed": 0} | options
    return evaluate_head(head, resolve_params(head, params or {}), *arrays, **given)


def test_the_record_counts_what_was_right():
    """Counts, accuracy and Wilson's interval follow from the predictions."""
    result = evaluate(oracle_head(predicted=[0, 1, 0, 0])).result
    assert (result.n_train, result.n_test, result.n_correct) == (4, 4, 3)
    assert result.accuracy_fraction == 0.75
    assert (result.interval.low, result.interval.high) == wilson_interval(3, 4)
    assert (result.interval.method, result.interval.confidence_fraction) == ("wilson", 0.95)


def test_the_predictions_are_int64_and_in_the_order_of_the_test_rows():
    """Whatever type the estimator returns, the saved predictions are int64."""
    predictions = evaluate(oracle_head(predicted=[1, 0, 0, 1])).predictions
    assert predictions.dtype == np.int64
    assert predictions.tolist() == [1, 0, 0, 1]


def test_the_record_says_what_was_fitted_on_what():
    """Head, features, baseline flag and every parameter are kept."""
    result = evaluate(params={"C": 3}, features="pixels", baseline=True).result
    assert (result.head, result.features, result.baseline) == ("oracle", "pixels", True)
    assert result.params == {"C": 3.0}


def test_times_come_from_the_clock():
    """Fit and predict are timed apart, and nothing else is."""
    ticks = itertools.accumulate([10.0, 2.5, 0.5])
    result = evaluate(clock=lambda: next(ticks)).result
    assert (result.fit_s, result.predict_s) == (2.5, 0.5)


@pytest.mark.parametrize("phase", ["fit_action", "predict_action"])
def test_blas_has_one_thread_in_fit_and_predict_and_its_own_number_after(phase):
    """The result does not depend on the number of cores, and other code keeps its threads."""

    def threads():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    seen = []
    before = threads()
    evaluate(oracle_head(**{phase: lambda: seen.extend(threads())}))
    assert seen == [1] * len(before)
    assert threads() == before


def test_a_real_head_that_does_not_converge_says_so_in_its_notes(recwarn):
    """The solver's warning is kept in the record, with what to do, and is not shown."""
    rng = np.random.default_rng(0)
    arrays = (rng.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 2) * 2
    result = evaluate(HEADS.load("softmax"), arrays, {"max_iter": 1, "C": 1}).result
    assert len(result.notes) == 1
    assert "did not converge; raise max_iter. Its message" in result.notes[0]
    assert "\n" not in result.notes[0]
    assert len(recwarn) == 0


@pytest.mark.parametrize("phase", ["fit_action", "predict_action"])
def test_any_warning_becomes_a_note(phase):
    """A warning of the fit or of the prediction is kept with its kind."""
    action = {phase: lambda: warnings.warn("the scale is odd", RuntimeWarning, stacklevel=1)}
    assert evaluate(oracle_head(**action)).result.notes == ("RuntimeWarning: the scale is odd",)


def test_a_repeated_warning_is_one_note():
    """One line for each different warning, in the order they came."""

    def warn():
        for text in ("a", "b", "a"):
            warnings.warn(text, UserWarning, stacklevel=1)

    assert evaluate(oracle_head(fit_action=warn)).result.notes == (
        "UserWarning: a",
        "UserWarning: b",
    )


def test_a_warning_is_noted_again_by_the_next_evaluation():
    """Python shows an equal warning once; each result must have its own."""
    head = oracle_head(fit_action=lambda: warnings.warn("odd", UserWarning, stacklevel=1))
    assert [evaluate(head).result.notes for _ in range(2)] == [("UserWarning: odd",)] * 2


def test_what_the_head_had_to_change_is_in_the_record():
    """The parameters are those that were used, and the note says why."""
    head = oracle_head(adapt=lambda params, _labels: ({**params, "C": 9.0}, ("C was raised.",)))
    result = evaluate(head).result
    assert result.params == {"C": 9.0}
    assert result.notes == ("C was raised.",)


def test_a_parameter_that_the_estimator_refuses_is_an_error_of_the_user():
    """The message names head and parameters, says what was refused, on one line."""
    with pytest.raises(ConfigError, match=r"'softmax'.*C=-1\.0.*head_params") as caught:
        evaluate(HEADS.load("softmax"), params={"C": -1})
    assert "\n" not in str(caught.value)


def test_more_neighbours_than_images_are_refused_before_the_fit():
    """The default k of ten is too many for four training images."""
    with pytest.raises(ConfigError, match=r"k=10 .*4 training images"):
        evaluate(HEADS.load("knn"))


def test_a_read_only_memory_map_is_evaluated_like_an_array(tmp_path):
    """Features straight from the store give the same predictions."""
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    softmax = HEADS.load("softmax")
    expected = evaluate(softmax).predictions
    np.testing.assert_array_equal(evaluate(softmax, (mapped, Y, mapped, Y)).predictions, expected)


def broken(value, row=2):
    features = X.copy()
    features[row, 1] = value
    return features


def tall_broken(row):
    features = np.arange(3000, dtype=np.float32).reshape(1500, 2)
    features[row, 0] = np.nan
    return features


REFUSED = {
    "nan in train": ((broken(np.nan), Y, X, Y), "train split.*NaN or infinity, first in row 2"),
    "inf in test": ((X, Y, broken(-np.inf), Y), "test split.*NaN or infinity, first in row 2"),
    "nan far down": ((tall_broken(1300), np.arange(1500) % 2, X, Y), "first in row 1300"),
    "no train rows": ((X[:0], Y[:0], X, Y), r"train split.*empty: shape \(0, 2\)"),
    "no test rows": ((X, Y, X[:0], Y[:0]), r"test split.*empty: shape \(0, 2\)"),
    "no columns": ((X[:, :0], Y, X[:, :0], Y), r"empty: shape \(4, 0\)"),
    "three axes": ((X[:, :, None], Y, X, Y), r"shape \(4, 2, 1\)"),
    "labels too short": ((X, Y[:3], X, Y), r"4 rows, but the labels have shape \(3,\)"),
    "widths differ": ((X, Y, X[:, :1], Y), "2 values per image in train, 1 in test"),
    "one class": ((X, Y * 0 + 5, X, Y), "All 4 training images are of class 5"),
    "constant": ((X * 0 + 3, Y, X, Y), "All 4 training images have the same backbone features"),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED.values(), ids=REFUSED)
def test_unusable_features_are_refused(arrays, message):
    """Each kind of damage has a message of its own, before anything is fitted."""

    def must_not_fit():
        raise AssertionError

    with pytest.raises(DataError, match=message):
        evaluate(oracle_head(fit_action=must_not_fit), arrays)


def test_features_that_differ_only_far_down_are_usable():
    """One row that differs is enough, wherever it stands."""
    features = np.ones((1500, 2), dtype=np.float32)
    features[1400] = 2
    labels = np.arange(1500) % 2
    assert evaluate(arrays=(features, labels, X, Y)).result.n_train == 1500


@pytest.mark.parametrize("seed", [0, 3])
def test_a_fitted_head_is_the_one_that_is_evaluated(seed):
    """The same parameters, adapted to the same labels, the same seed, and no warning."""
    head = HEADS.load("mlp")
    rng = np.random.default_rng(5)
    labels = np.arange(60) % 3
    features = rng.normal(size=(60, 4)).astype(np.float32) + labels[:, None]
    params = resolve_params(head, {"max_iter": 5})  # it does not converge
    evaluated = evaluate(head, (features, labels, features, labels), params, seed=seed)
    fitted = fit_head(head, params, features, labels, seed=seed)
    other = fit_head(head, params, features, labels, seed=seed + 1)
    np.testing.assert_array_equal(fitted.predict(features), evaluated.predictions)
    assert np.abs(fitted.predict_proba(features) - other.predict_proba(features)).max() > 1e-3


def test_a_head_is_fitted_with_what_it_adapts():
    head = Head(
        name="noted",
        summary="",
        defaults={"shrink_threshold": 9.0},
        build=lambda params, _seed: HEADS.load("centroid").build(params, 0),
        adapt=lambda params, labels: ({"shrink_threshold": 0.25 * len(labels)}, ("Changed.",)),
    )
    assert fit_head(head, {"shrink_threshold": 9.0}, X, Y, seed=0)[-1].shrink_threshold == 1.0


@pytest.mark.parametrize("row", [0, 1023, 1024, 1400])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_value_that_is_no_number_is_found_wherever_it_is(row, split):
    features = {name: np.random.default_rng(1).random((1500, 2)) for name in ("train", "test")}
    features = {name: found.astype(np.float32) for name, found in features.items()}
    features[split][row, 1] = np.nan
    features[split][1450, 0] = np.inf
    labels = np.arange(1500) % 2
    message = (
        f"^The {split} split's backbone features contain NaN or infinity, first in row {row}\\. "
        "Check the model's precision and preprocessing with `tlbench inspect`\\.$"
    )
    with pytest.raises(DataError, match=message):
        evaluate(arrays=(features["train"], labels, features["test"], labels))
