"""`fuse_run`: a saved run in; one verified file out, or nothing."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tlbench.core.errors import ConfigError, DataError, ModelError, ResultError, StorageError
from tlbench.core.progress import Silent
from tlbench.fusion import PROBABILITY_TOLERANCE, fit_classifier
from tlbench.heads import HEADS, resolve_params
from tlbench.model import CLASSES_KEY, OnnxModel, classifier_card
from tlbench.records import decode_run, encode_run, read_run
from tlbench.workflows import (
    ProtocolConfig,
    RunConfig,
    extract_dataset_split,
    fuse_run,
    run_benchmark,
)
from tlbench.workflows import fuse as fusing
from tlbench.workflows.fuse import saved_config
from tlbench.workflows.steps.context import load_limited_dataset


class Heard(Silent):
    """A listener that remembers the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def rewrite(folder, **changes):
    path = folder / "run.json"
    path.write_bytes(encode_run(replace(decode_run(path.read_bytes(), "run"), **changes)))


def nothing_beside(destination):
    return not destination.exists() and not list(destination.parent.glob(".*.part"))


@pytest.mark.parametrize("head", ["mlp", "svm-linear"])
def test_another_seed_is_that_of_the_run(head, measure, ask, tmp_path):
    """The weights of a network, and the folds of a calibration, come from the run's own seed."""
    folder = measure(heads=(head,), seed=5)
    model = fuse_run(str(folder), head=head, destination=tmp_path / "c.onnx")
    config = saved_config(read_run(str(folder), tmp_path))
    assert config.seed == 5
    train, test = (extract_dataset_split(config, one, Silent()) for one in ("train", "test"))
    images = load_limited_dataset(config, Silent()).test.images
    labels, probabilities = ask(model, np.stack([images[i] for i in range(len(images))]))
    np.testing.assert_array_equal(labels, np.load(folder / "predictions.npz")[f"backbone.{head}"])

    def fitted(seed):
        build = HEADS.load(head).build
        params = resolve_params(HEADS.load(head), {})
        return fit_classifier(
            head, lambda: build(params, seed), train.features, train.labels, n_classes=10, seed=seed
        ).probabilities(test.features)

    # the promise of tlbench fuse
    np.testing.assert_allclose(probabilities, fitted(5), rtol=0, atol=PROBABILITY_TOLERANCE)
    assert np.abs(probabilities - fitted(0)).max() > 10 * PROBABILITY_TOLERANCE


@pytest.mark.parametrize("head", ["softmax", "svm-linear", "mlp"])
def test_the_file_predicts_what_the_run_predicted(head, measure, digits_images, ask, tmp_path):
    """Every test image, asked in one batch of its own."""
    folder = measure(heads=(head,))
    model = fuse_run(str(folder), head=head, destination=tmp_path / "c.onnx")
    labels, probabilities = ask(model, digits_images)
    np.testing.assert_array_equal(labels, np.load(folder / "predictions.npz")[f"backbone.{head}"])
    assert probabilities.shape == (100, 10)


def test_the_card_says_what_the_file_is(measure, tmp_path, tiny_path):
    """Head, data, accuracy in the run, verification; the backbone's card stays beside it."""
    folder = measure()
    run = read_run(str(folder), tmp_path)
    model = fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")
    card, (result,) = classifier_card(model), run.accuracy
    assert (card.head, card.params) == ("softmax", result.params)
    assert card.classes == run.dataset.classes
    assert card.accuracy_fraction == result.accuracy_fraction
    assert (card.n_train, card.n_test, card.n_correct) == (200, 100, result.n_correct)
    assert card.dataset_fingerprint == run.dataset.fingerprint
    assert card.backbone_sha256 == OnnxModel(tiny_path).sha256
    assert card.run == run.id
    assert card.arithmetic == "float32"
    assert card.verification.n_images == 100
    assert card.verification.max_difference <= 1e-5
    assert model.card == OnnxModel(tiny_path).card
    metadata = {entry.key: entry.value for entry in model.proto.metadata_props}
    assert json.loads(metadata[CLASSES_KEY]) == list(card.classes)


def test_inputs_and_outputs_are_open_in_the_number_of_images(measure, tmp_path):
    model = fuse_run(str(measure()), head="softmax", destination=tmp_path / "c.onnx")
    assert [(one.name, one.dtype, one.shape) for one in (*model.inputs, *model.outputs)] == [
        ("images", "uint8", ("N", "H", "W", 3)),
        ("label", "int64", ("N",)),
        ("probabilities", "float32", ("N", 10)),
    ]


def test_only_plain_operators_are_added(measure, tmp_path, tiny_path):
    """No ai.onnx.ml: runtimes in browsers and on accelerators have the standard operators."""
    model = fuse_run(str(measure()), head="softmax", destination=tmp_path / "c.onnx")
    domains = {node.domain for node in model.proto.graph.node}
    assert domains <= {"", "ai.onnx"}
    before = OnnxModel(tiny_path).proto.graph.node
    assert list(model.proto.graph.node)[: len(before)] == list(before)


def test_features_that_the_store_has_lost_are_computed_again(measure, tmp_path):
    folder = measure()
    model = fuse_run(
        str(folder), head="softmax", destination=tmp_path / "c.onnx", cache_dir=tmp_path / "other"
    )
    assert classifier_card(model).verification.n_images == 100


def test_a_searched_parameter_is_the_one_that_is_fused(measure, tmp_path):
    """The head is fitted with what the search chose; a default would predict otherwise."""
    folder = measure(protocol=ProtocolConfig(search=True))
    (result,) = read_run(str(folder), tmp_path).accuracy
    model = fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")
    assert classifier_card(model).params["C"] == result.search.chosen


def test_a_run_without_a_cache_can_be_fused(measure, tmp_path):
    folder = measure(cache=False)
    assert fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx").path.is_file()


def test_a_head_that_needs_more_digits_gets_float64_and_says_so(measure, tmp_path, monkeypatch):
    """Where float32 changes an answer; the card keeps it."""
    verify = fusing._verify
    answers = []

    def fail_first(*arguments):
        problem, record = verify(*arguments)
        answers.append(problem)
        return ("1 of 100 labels differ" if len(answers) == 1 else problem), record

    monkeypatch.setattr(fusing, "_verify", fail_first)
    heard = Heard()
    model = fuse_run(
        str(measure()), head="softmax", destination=tmp_path / "c.onnx", listener=heard
    )
    assert classifier_card(model).arithmetic == "float64"
    assert heard.warnings == ["In float32 1 of 100 labels differ; the head computes in float64."]
    assert answers[1] == ""


@pytest.mark.parametrize("what", ["label", "probability"])
def test_a_graph_that_answers_otherwise_is_never_written(measure, tmp_path, monkeypatch, what):
    """One test image decides; what lay at the destination stays."""
    join = fusing.fuse_graphs

    def disturbed(*arguments):
        model = join(*arguments)
        head = [c for c in model.graph.initializer if c.name.startswith("tlbench.head/")]
        weights = next(c for c in head if len(c.dims) == 2)
        values = onnx.numpy_helper.to_array(weights)
        factor = 1.001 if what == "probability" else -1
        weights.CopyFrom(onnx.numpy_helper.from_array(factor * values, weights.name))
        return model

    monkeypatch.setattr(fusing, "fuse_graphs", disturbed)
    folder, destination = measure(), tmp_path / "out" / "c.onnx"
    said = "labels differ" if what == "label" else "a probability differs by"
    with pytest.raises(ModelError, match=f"does not predict as scikit-learn.*{said}.*Nothing was"):
        fuse_run(str(folder), head="softmax", destination=destination)
    assert nothing_beside(destination)
    destination.write_bytes(b"older")
    with pytest.raises(ModelError):
        fuse_run(str(folder), head="softmax", destination=destination)
    assert destination.read_bytes() == b"older"


def test_an_interruption_leaves_nothing(measure, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    folder, destination = measure(), tmp_path / "out" / "c.onnx"
    monkeypatch.setattr(fusing, "_verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fuse_run(str(folder), head="softmax", destination=destination)
    assert nothing_beside(destination)


def test_other_predictions_than_the_runs_are_refused(measure, tmp_path):
    """A head that was fitted by other software must not be shipped under the run's accuracy."""
    folder = measure()
    arrays = dict(np.load(folder / "predictions.npz"))
    predicted, labels = arrays["backbone.softmax"], arrays["labels"]
    wrong = np.flatnonzero(predicted != labels)[0]  # stays wrong: the accuracy is the run's
    predicted[wrong] = next(i for i in range(10) if i not in {predicted[wrong], labels[wrong]})
    np.savez(folder / "predictions.npz", **arrays)
    with pytest.raises(
        ResultError, match=r"classifies 1 of 100 test images differently.*Repeat the run"
    ):
        fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "There is no predictions.npz in"),
        (lambda path: path.write_bytes(b"PK no archive"), "holds no predictions of a run"),
        (lambda path: np.savez(path, index=np.arange(1), labels=np.arange(1)), "is damaged"),
    ],
    ids=["absent", "damaged", "of another run"],
)
def test_without_the_runs_predictions_there_is_no_file(measure, tmp_path, damage, said):
    folder = measure()
    damage(folder / "predictions.npz")
    with pytest.raises(ResultError, match=said):
        fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")
    assert not (tmp_path / "c.onnx").exists()


def test_another_model_is_refused(measure, tmp_path):
    folder = measure()
    run = read_run(str(folder), tmp_path)
    rewrite(folder, model=replace(run.model, sha256="0" * 64))
    with pytest.raises(ModelError, match="is not the model of run .*Repeat the run: tlbench"):
        fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")


def test_other_data_are_refused(measure, tmp_path):
    folder = measure()
    run = read_run(str(folder), tmp_path)
    rewrite(folder, dataset=replace(run.dataset, fingerprint="0" * 64))
    with pytest.raises(DataError, match="is not what run .* measured"):
        fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")


def test_a_head_that_the_run_lacks_is_an_error_with_those_it_has(measure, tmp_path):
    folder = measure(heads=("softmax", "centroid"))
    with pytest.raises(ConfigError, match="has no head 'mlp'; its heads: softmax, centroid"):
        fuse_run(str(folder), head="mlp", destination=tmp_path / "c.onnx")


def test_a_run_of_latency_alone_has_no_head(measure, tmp_path):
    folder = measure(accuracy=False)
    with pytest.raises(ResultError, match="measured no accuracy"):
        fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")


def test_knn_is_refused_and_nothing_written(measure, tmp_path):
    folder = measure(heads=("knn",))
    with pytest.raises(ConfigError, match="Head 'knn' cannot be fused"):
        fuse_run(str(folder), head="knn", destination=tmp_path / "out" / "c.onnx")
    assert nothing_beside(tmp_path / "out" / "c.onnx")


def test_a_folder_is_no_destination(measure, tmp_path, monkeypatch):
    """Found before anything is fitted."""
    monkeypatch.setattr(fusing, "fit_classifier", None)
    with pytest.raises(StorageError, match="cannot be written: it is a folder"):
        fuse_run(str(measure()), head="softmax", destination=tmp_path)


def test_an_error_of_the_work_is_not_the_destinations(measure, tmp_path, monkeypatch):
    """A dataset that misses a file of its own must not be told to choose another place."""
    error = FileNotFoundError(2, "No such file or directory", "/the/archive/of/a/plugin")

    def fail(*_):
        raise error

    monkeypatch.setattr(fusing, "extract_split", fail)
    with pytest.raises(FileNotFoundError) as caught:
        fuse_run(str(measure()), head="softmax", destination=tmp_path / "out" / "c.onnx")
    assert caught.value is error
    assert nothing_beside(tmp_path / "out" / "c.onnx")


def test_a_backbone_of_spatial_features_and_a_top(tmp_path, tiny_path, ask, digits_images):
    """Flattened features; the other output and what only it needs are left out."""
    model = onnx.load(tiny_path)
    graph = model.graph
    graph.node.append(helper.make_node("Exp", ["pooled"], ["logits"]))
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 16, 1, 1]),
            helper.make_tensor_value_info("active", TensorProto.FLOAT, ["N", 16, 8, 8]),
        ]
    )
    graph.node[-2].output[0] = "flattened"
    graph.node.append(helper.make_node("Identity", ["active"], ["features"]))
    graph.output[1].name = "features"
    onnx.save(model, tmp_path / "spatial.onnx")
    outcome = run_benchmark(
        RunConfig(
            model=str(tmp_path / "spatial.onnx"),
            heads=("softmax",),
            baselines=(),
            limit_train=200,
            limit_test=100,
            latency=False,
        )
    )
    from tlbench.records import save_run

    folder = save_run(outcome.result, outcome.predictions, tmp_path / "runs")
    fused = fuse_run(str(folder), head="softmax", destination=tmp_path / "c.onnx")
    labels, _ = ask(fused, digits_images)
    np.testing.assert_array_equal(labels, outcome.predictions["backbone.softmax"])
    operators = {node.op_type for node in fused.proto.graph.node}
    assert "Exp" not in operators
    assert "GlobalAveragePool" not in operators


def test_a_classifier_has_no_features(measure, tmp_path):
    """It is measured by predict and latency, not by run."""
    model = fuse_run(str(measure()), head="softmax", destination=tmp_path / "c.onnx")
    with pytest.raises(ModelError, match="is a classifier: it has labels and no features"):
        extract_dataset_split(RunConfig(model=str(model.path)), "test", Silent())


def test_a_saved_configuration_is_the_one_that_ran(measure, tmp_path):
    """Field by field, paths and nested records included; folders of this machine replace others."""
    folder = measure(heads=("centroid",), provider_options={}, batch_size=7, data_dir=tmp_path)
    run = read_run(str(folder), tmp_path)
    config = saved_config(run)
    assert (config.heads, config.batch_size, config.data_dir) == (("centroid",), 7, tmp_path)
    assert config == RunConfig(**{name: getattr(config, name) for name in RunConfig.__slots__})
    assert saved_config(run, cache_dir=tmp_path / "x").cache_dir == tmp_path / "x"


def test_an_unusable_configuration_is_named(measure, tmp_path):
    folder = measure()
    run = read_run(str(folder), tmp_path)
    wrong = replace(run.config, requested=run.config.requested | {"batch_size": "many"})
    with pytest.raises(ResultError, match="configuration of run .* cannot be used"):
        saved_config(replace(run, config=wrong))
