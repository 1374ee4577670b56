"""Datasets, heads, baselines and backbones as objects."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import tlbench
from tlbench.core.errors import ConfigError, ModelError, ResultError
from tlbench.datasets import Columns
from tlbench.features import FeatureBaseline
from tlbench.heads import HEADS, as_head
from tlbench.model import BACKBONES
from tlbench.workflows import fuse_run
from tlbench.workflows.fuse import saved_config


class Always(ClassifierMixin, BaseEstimator):
    """A classifier of the user's; its answer is no parameter."""

    answer = 0

    def fit(self, X, y):  # noqa: N803 - scikit-learn's own name
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):  # noqa: N803 - scikit-learn's own name
        return np.full(len(X), self.answer)


def test_the_dataset_is_named_in_the_record(evaluate):
    """A report says what the images are called."""
    run = evaluate(heads="softmax")
    assert (run.record.dataset.name, run.record.dataset.classes) == ("shades", ("bright", "dark"))
    assert run.accuracy["softmax"].n_test == 20


def test_a_classifier_is_a_head_named_by_its_class(evaluate):
    """Its parameters are in the record."""
    run = evaluate(heads=["softmax", LogisticRegression(C=0.125)])
    assert list(run.accuracy) == ["backbone.softmax", "backbone.LogisticRegression"]
    assert run.accuracy["LogisticRegression"].params["C"] == 0.125


@pytest.mark.parametrize(
    "heads",
    [SVC(), ("support", SVC()), [SVC()], (("support", SVC()),), ["softmax", ("support", SVC())]],
    ids=["object", "pair", "list", "tuple of a pair", "list with a pair"],
)
def test_heads_may_be_one_or_several(evaluate, heads):
    """A single head needs no brackets."""
    names = {name.removeprefix("backbone.") for name in evaluate(heads=heads).accuracy}
    assert names & {"SVC", "support"}


def test_two_classifiers_of_one_class_need_names(evaluate):
    """Otherwise nobody could tell their results apart."""
    with pytest.raises(ConfigError, match=r"'SVC'.*\('NAME', classifier\)"):
        evaluate(heads=[SVC(C=1), SVC(C=10)])
    run = evaluate(heads=[("soft", SVC(C=1)), ("hard", SVC(C=10))])
    assert [one.params["C"] for one in run.accuracy.values()] == [1, 10]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (SVC, r"not classes: pass SVC\(\)"),
        ([StandardScaler()], "got StandardScaler"),
        ([3], "got int"),
        (3, "got int"),
        ([("softmax", SVC())], "one of tlbench's heads"),
        ([("a.b", SVC())], "without dots"),
        ([], "No heads"),
    ],
)
def test_what_is_no_head_is_refused(evaluate, heads, message):
    """The message says what was found."""
    with pytest.raises(ConfigError, match=message):
        evaluate(heads=heads)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_seed_of_the_run_replaces_none(evaluate, seed):
    """A run can be repeated although the classifier draws random numbers."""
    forest = RandomForestClassifier(n_estimators=3)
    first, second = (
        evaluate(heads=forest, seed=seed, cache=False).predictions.entries for _ in range(2)
    )
    np.testing.assert_array_equal(first["backbone.RandomForestClassifier"], second.popitem()[1])
    assert forest.random_state is None


def test_every_seed_is_another_fit(pictures, kinds):
    """The run's seed reaches the classifier, also inside a pipeline."""
    head = as_head(make_pipeline(StandardScaler(), SGDClassifier(max_iter=5, tol=None)))
    features = pictures.reshape(len(pictures), -1).astype(np.float32)
    coefficients = [
        head.build(head.defaults, seed).fit(features, kinds)[-1].coef_ for seed in (0, 1, 0)
    ]
    np.testing.assert_array_equal(coefficients[0], coefficients[2])
    assert not np.array_equal(coefficients[0], coefficients[1])


def test_a_seed_of_the_users_is_kept():
    """Only None is replaced."""
    head = as_head(RandomForestClassifier(random_state=7))
    assert head.defaults["random_state"] == 7
    assert head.build(head.defaults, 3).random_state == 7


def test_parameters_can_be_overridden_by_name(evaluate):
    """As for the heads of tlbench."""
    run = evaluate(heads=[LogisticRegression()], head_params={"LogisticRegression.C": 0.5})
    assert run.accuracy["LogisticRegression"].params["C"] == 0.5


def test_a_pipeline_is_recorded_with_the_parameters_of_its_steps(evaluate):
    """Nothing that determines the answer is missing from the record."""
    run = evaluate(heads=("scaled", make_pipeline(StandardScaler(), SVC(C=3))))
    params = run.accuracy["scaled"].params
    assert (params["svc__C"], params["standardscaler"]) == (3, "StandardScaler")


def test_code_of_the_users_is_fitted_every_time(evaluate, monkeypatch):
    """Nothing in its parameters says that it changed."""
    first = evaluate(heads=Always())
    monkeypatch.setattr(Always, "answer", 1)
    second = evaluate(heads=Always())
    assert not second.accuracy["Always"].from_store
    assert first.accuracy["Always"].n_correct + second.accuracy["Always"].n_correct == 20
    assert set(second.predictions.entries["backbone.Always"]) == {1}


@pytest.mark.parametrize(
    ("classifier", "expected"),
    [
        (SVC(), True),
        (make_pipeline(StandardScaler(), SVC()), True),
        (make_pipeline(FunctionTransformer(np.sqrt), SVC()), False),
        (Always(), False),
        (make_pipeline(StandardScaler(), Always()), False),
    ],
)
def test_predictions_are_stored_for_known_code_only(classifier, expected):
    """Equal keys must mean equal predictions."""
    assert as_head(classifier).storable is expected


def test_a_classifier_of_scikit_learn_comes_from_the_store(evaluate):
    """Its parameters and scikit-learn's version determine what it predicts."""
    runs = [evaluate(heads=("one", SVC(C=c))) for c in (1, 1, 2)]
    assert [run.accuracy["one"].from_store for run in runs] == [False, True, False]


def test_classes_of_one_name_are_told_apart(evaluate):
    """Another class under the name that the user chose is another head."""
    evaluate(heads=("mine", LogisticRegression()))
    assert not evaluate(heads=("mine", SVC())).accuracy["mine"].from_store


def test_a_head_of_the_registry_may_be_an_object(evaluate):
    """It is the same head as its name, stored predictions included."""
    evaluate(heads="softmax")
    assert evaluate(heads=[HEADS.load("softmax")]).accuracy["softmax"].from_store


def test_a_baseline_may_be_an_object(evaluate):
    """Its code is unknown: what it computes is never taken from the store."""

    def means(scale):
        return FeatureBaseline(
            name="means",
            summary="mean of each channel",
            extract=lambda image: (scale * image.mean(axis=(0, 1))).astype(np.float32),
        )

    for scale in (1, 2):
        run = evaluate(heads="softmax", baselines=means(scale))
        assert not run.accuracy["means.softmax"].from_store
    assert run.accuracy["means.softmax"].accuracy_fraction == 1.0


def test_a_backbone_may_be_an_object(dataset):
    """It is exported for this run."""
    lite0 = BACKBONES.load("efficientnet-lite0")
    run = tlbench.evaluate(lite0, dataset=dataset, heads="softmax", baselines=())
    assert run.record.model.card.backbone == "efficientnet-lite0"
    assert run.record.config.requested["model"] == "efficientnet-lite0"


def test_a_backbone_object_is_converted_like_its_name(dataset):
    lite0 = BACKBONES.load("efficientnet-lite0")
    run = tlbench.evaluate(lite0, dataset=dataset, heads="softmax", baselines=(), precision="fp16")
    assert run.record.model.card.precision == "fp16"
    assert [result.fitted_on for result in run.record.accuracy] == [None, "fp32"]


def test_a_loaded_backbone_may_be_measured(tiny_path, dataset):
    """It stands for its file."""
    with tlbench.load_backbone(tiny_path) as backbone:
        run = tlbench.evaluate(backbone, dataset=dataset, heads="softmax", baselines=())
    assert run.record.model.path_name == tiny_path.name


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dataset": 5}, ConfigError, "dataset must be a name"),
        ({"dataset": np.zeros((3, 8, 8, 3), dtype=np.uint8)}, ConfigError, "from_arrays"),
        ({"model": 5}, ConfigError, "model must be a backbone's name"),
        ({"model": "missing.onnx"}, ModelError, "missing.onnx"),
        ({"batch_size": 0}, ConfigError, "batch_size must be at least 1"),
    ],
)
def test_a_wrong_argument_is_refused(settings, error, message):
    """The message names the parameter and what was found."""
    with pytest.raises(error, match=message):
        tlbench.evaluate(**settings)


def test_a_run_with_objects_says_so(evaluate):
    """Its record alone cannot repeat it, and nothing pretends that it could."""
    run = evaluate(heads=["softmax", SVC()])
    assert run.record.config.requested["given"] == ["dataset shades", "head SVC"]
    folder = run.save("runs")
    with pytest.raises(ResultError, match="dataset shades, head SVC"):
        fuse_run(str(folder), head="softmax", destination=folder / "fused.onnx")


@pytest.fixture
def table(files, tmp_path):
    """A table of the image files, with columns of unusual names."""
    rows = [f"{path.name},{'ab'[i % 2]},x\n" for i, path in enumerate(files)]
    path = files[0].parent / "table.csv"
    path.write_text("picture no,species,note\n" + "".join(rows))
    return path


def test_a_table_may_be_a_path_and_its_columns_be_named(table, tiny_path, monkeypatch):
    """The record says it all: a head of the run can be fused from it."""
    monkeypatch.chdir(table.parent)
    run = tlbench.evaluate(
        tiny_path,
        dataset=table,
        path_column="picture no",
        label_column="species",
        heads="centroid",
        baselines=(),
    )
    assert run.record.dataset.name == f"csv:{table}"
    assert run.record.dataset.classes == ("a", "b")
    assert run.record.config.requested["columns"]["label_column"] == "species"
    config = saved_config(run.record)
    assert config.columns == Columns(path_column="picture no", label_column="species")
    found = tlbench.extract(
        tiny_path, f"csv:{table}", path_column="picture no", label_column="species"
    )
    assert len(found.features) == run.record.dataset.n_train


def test_columns_of_a_dataset_without_any_are_refused(tiny_path):
    with pytest.raises(ConfigError, match="label_column='x' does not apply to the dataset 'digits"):
        tlbench.evaluate(tiny_path, dataset="digits", label_column="x")


def test_a_folder_may_be_a_path(files, tmp_path, tiny_path):
    """A path means a folder with one subfolder per class."""
    for i, file in enumerate(files):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).write_bytes(file.read_bytes())
    run = tlbench.evaluate(tiny_path, dataset=tmp_path / "photos", heads="centroid", baselines=())
    assert run.record.dataset.name == f"folder:{tmp_path / 'photos'}"
