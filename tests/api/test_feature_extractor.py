"""The transformer obeys scikit-learn's rules, as far as they apply to images."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import _yield_all_checks
from sklearn.utils.validation import validate_data

import tlbench
from tlbench.core.errors import ConfigError, DataError, UnknownNameError
from tlbench.sklearn import FeatureExtractor


class OnRows(FeatureExtractor):
    """The transformer behind a door for tables, which is all that scikit-learn's checks know.

    Each row of numbers becomes a grey image of one line.
    """

    def fit(self, X, y=None):  # noqa: N803 - scikit-learn's own name
        return super().fit(self._images(X, reset=True), y)

    def transform(self, X):  # noqa: N803 - scikit-learn's own name
        return super().transform(self._images(X, reset=not hasattr(self, "backbone_")))

    def _images(self, table, *, reset):
        table = validate_data(self, table, reset=reset)
        return (np.abs(table) * 20).astype(np.uint8)[:, np.newaxis, :, np.newaxis]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


TABLES = "about tables of numbers; what is no image is refused in test_what_is_no_image_is_refused"
WIDTH = "about the number of columns; images of every size are taken"
LEFT_OUT = {
    "check_n_features_in": WIDTH,
    "check_n_features_in_after_fitting": WIDTH,
    "check_fit2d_1feature": WIDTH,
    "check_fit1d": TABLES,
    "check_fit2d_predict1d": TABLES,
    "check_estimators_dtypes": TABLES,
    "check_complex_data": TABLES,
    "check_dtype_object": TABLES,
    "check_estimators_nan_inf": TABLES,
    "check_estimators_empty_data_messages": "no images have no features: "
    "test_no_images_have_no_rows",
    "check_estimator_sparse_tag": TABLES,
    "check_estimator_sparse_array": TABLES,
    "check_estimator_sparse_matrix": TABLES,
    "check_transformer_data_not_an_array": TABLES,
    "check_array_api_input": "images are arrays of numpy, or become one",
}
CHECKS = list(_yield_all_checks(OnRows(), legacy=True))


def name_of(check):
    return getattr(check, "func", check).__name__


def test_every_check_that_is_left_out_exists():
    """A check that scikit-learn renames is run until somebody decides."""
    assert set(LEFT_OUT) <= {name_of(check) for check in CHECKS}


@pytest.mark.parametrize(
    "check", [one for one in CHECKS if name_of(one) not in LEFT_OUT], ids=name_of
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_check(check, tiny_path):
    """Parameters, cloning, pickling, idempotence, order and subsets of the images, and more."""
    check("OnRows", OnRows(tiny_path))


@pytest.fixture
def extractor(tiny_path):
    return FeatureExtractor(tiny_path, batch_size=7, threads=1)


def test_features_are_those_of_the_backbone(extractor, tiny_path, pictures):
    """Nothing is learnt and nothing added."""
    expected = tlbench.load_backbone(tiny_path, batch_size=7).features(pictures)
    np.testing.assert_array_equal(extractor.fit_transform(pictures), expected)


def test_a_transform_needs_no_fit(extractor, pictures):
    """And leaves nothing behind."""
    found = extractor.transform(pictures)
    assert vars(extractor).keys() == extractor.get_params().keys()
    np.testing.assert_array_equal(found, extractor.fit(pictures).transform(pictures))


@pytest.mark.parametrize("form", ["array", "list", "paths"])
def test_it_works_in_a_pipeline(extractor, pictures, kinds, files, form):
    """Arrays, lists of arrays and paths."""
    images = {"array": pictures, "list": list(pictures), "paths": files}[form]
    labels = kinds[: len(images)]
    fitted = make_pipeline(extractor, LogisticRegression()).fit(images, labels)
    assert fitted.score(images, labels) > 0.9


def test_it_works_in_a_search_of_several_processes(extractor, pictures, kinds):
    """Each process opens a session of its own."""
    pipeline = make_pipeline(extractor, LogisticRegression())
    grid = {"logisticregression__C": [0.01, 10.0], "featureextractor__batch_size": [5, 50]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(pictures, kinds)
    assert search.best_score_ > 0.9


def test_it_works_with_paths_in_a_search(extractor, files, kinds):
    """A list is cut into folds like an array."""
    scores = cross_val_score(make_pipeline(extractor, LogisticRegression()), files, kinds[:8], cv=2)
    assert scores.shape == (2,)


def test_it_is_pickled_with_its_pipeline(extractor, pictures, kinds, tmp_path):
    """A session is left out, and opened again."""
    fitted = make_pipeline(extractor, LogisticRegression()).fit(pictures, kinds)
    joblib.dump(fitted, tmp_path / "pipeline.joblib")
    for again in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "pipeline.joblib")):
        np.testing.assert_array_equal(again.predict(pictures), fitted.predict(pictures))


def test_a_clone_has_the_parameters_and_no_backbone(extractor, pictures):
    """As scikit-learn's own estimators."""
    twin = clone(extractor.fit(pictures))
    assert twin.get_params() == extractor.get_params()
    assert not hasattr(twin, "backbone_")


def test_features_have_names(extractor, pictures):
    """One for each column, as pandas needs them."""
    names = extractor.fit(pictures).get_feature_names_out()
    assert names.tolist() == [f"featureextractor{i}" for i in range(16)]
    with pytest.raises((NotFittedError, AttributeError)):
        clone(extractor).get_feature_names_out()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"model": "resnet5"}, UnknownNameError, "resnet50"),
        ({"batch_size": 0}, ConfigError, "batch_size"),
    ],
)
def test_a_wrong_parameter_is_refused_by_fit(extractor, pictures, parameters, error, message):
    """And not by the constructor, which scikit-learn forbids to check."""
    with pytest.raises(error, match=message):
        extractor.set_params(**parameters).fit(pictures)


def test_a_table_is_refused(extractor):
    """Numbers are not images; the error is a ValueError, as everywhere in scikit-learn."""
    with pytest.raises(DataError, match="images must be uint8"):
        extractor.fit(np.zeros((5, 3)))
    assert issubclass(DataError, ValueError)
