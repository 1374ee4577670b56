"""Training as a use case: the file, the run, the folds. The network here learns in no time."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import tlbench
from tlbench.core.errors import ConfigError, DataError, StorageError, UnreadableImageError
from tlbench.heads import assign_folds
from tlbench.model import (
    CARD_KEY,
    ModelCard,
    Parity,
    TrainedEpoch,
    TrainingRecord,
    Weights,
    encode_card,
)
from tlbench.workflows import fuse_run

N_CLASSES = 3


def brightness_classifier(n_classes):
    """Return an ONNX network whose class is the brightness, in steps of 60 from 30 on."""
    steps = np.arange(n_classes, dtype=np.float32) * 60 + 60
    # -(mean - step)^2 without the square of the mean, which all classes share
    kernel, bias = 2 * steps[None, :], -(steps**2)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["features"]),
        helper.make_node("MatMul", ["features", "kernel"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3]),
        "one": np.array([1]),
        "kernel": kernel,
        "bias": bias,
    }
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", n_classes]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


class Brightness:
    """A network with the contract of `TrainableNetwork`, which remembers what it was asked."""

    name = "brightness"
    summary = "the brightness of an image"
    requires = ()

    def __init__(self):
        self.requests = []

    def train(self, request, destination, listener):
        self.requests.append(request)
        epoch = TrainedEpoch(
            loss=0.5,
            accuracy_fraction=0.75,
            validation_loss=0.25,
            validation_accuracy_fraction=0.875,
            learning_rate=0.1,
            elapsed_s=2.0,
            images_per_s=50.0,
            peak_rss_bytes=10**6,
        )
        card = ModelCard(
            backbone=self.name,
            source="the tests",
            weights=Weights(kind="trained", sha256=None, origin="the tests", licence="none"),
            input_size=(8, 8),
            resize="none",
            preprocessing="none",
            layer="features",
            pooling="avg",
            feature_shape=(1,),
            n_classes=len(request.classes),
            opset=18,
            parity=Parity(reference="none", n_images=0, max_abs=0.0, max_rel=0.0, min_cosine=1.0),
            exported_by="the tests",
            training=TrainingRecord(
                settings={"epochs": 2},
                seed=request.options.seed,
                n_train=len(request.train.labels),
                n_classes=len(request.classes),
                validation="test",
                n_parameters=6,
                n_trained_parameters=6,
                software="the tests",
                device="cpu",
                epochs=(epoch, epoch),
            ),
        )
        model = brightness_classifier(len(request.classes))
        model.metadata_props.add(key=CARD_KEY, value=encode_card(card))
        onnx.save(model, destination)
        request.checkpoint.write_text("trained")
        return card


def shaded(n, seed):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % N_CLASSES
    shades = 60 * labels + 60 + generator.normal(0, 25, n)
    images = np.clip(shades[:, None, None, None] + generator.normal(0, 20, (n, 9, 11, 3)), 0, 255)
    return images.astype(np.uint8), labels


@pytest.fixture
def data():
    (train, train_labels), (test, test_labels) = shaded(60, 0), shaded(45, 1)
    return tlbench.Dataset.from_arrays(train, train_labels, test, test_labels, name="shades")


@pytest.fixture
def pictures(tmp_path):
    """A folder of 18 images to train on and 12 to test on."""
    root = tmp_path / "pictures"
    images, labels = shaded(30, 0)
    for split, rows in (("train", range(18)), ("test", range(18, 30))):
        for row in rows:
            folder = root / split / f"shade{labels[row]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(folder / f"{row:02}.png")
    return root


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train `Brightness` in an empty folder; its requests are beside the run."""
    monkeypatch.chdir(tmp_path)

    def do(dataset, file=None, **options):
        network = Brightness()
        options = {"latency": False} | options
        return network.requests, tlbench.train(network, file, dataset=dataset, **options)

    return do


def test_the_page_shows_the_test_images(train, data):
    """With thumbnails, confidences and a map of the features, as for any run."""
    _, run = train(data)
    document = run.images.document
    assert document.n_test == len(document.rows) == 45
    assert list(document.confidence) == ["backbone.classifier"]
    assert document.confidence["backbone.classifier"].kind == "probability"
    assert document.code_map is not None
    assert document.features_key is not None
    page = run.report("html")
    assert "Absent" not in page
    assert "misclassified by backbone.classifier" in page


def test_the_accuracy_is_that_of_the_networks_own_classifier(train, data):
    """Computed by ONNX Runtime from the written file, and not by what trained it."""
    _, run = train(data, "shades.onnx")
    result = run.accuracy["classifier"]
    means = np.stack([data.test.images[i] for i in range(45)]).mean(axis=(1, 2, 3))
    nearest = np.abs(means[:, None] - (60 * np.arange(3) + 60)).argmin(axis=1)
    assert result.n_correct == (nearest == data.test.labels).sum()
    assert 30 < result.n_correct < 45
    np.testing.assert_array_equal(run.predictions.entries["backbone.classifier"], nearest)
    assert result.params == {"epochs": 2}
    assert result.metrics.calibration_error_fraction is not None


def test_the_run_has_the_record_of_the_training(train, data):
    """The card of the file has it, so that any run of the file has it as well."""
    _, run = train(data, "shades.onnx")
    training = run.record.training
    assert training.elapsed_s == 4
    assert training.seconds_per_epoch == 2
    assert [epoch.validation_accuracy_fraction for epoch in run.accuracy["classifier"].curve] == [
        0.875,
        0.875,
    ]
    assert run.accuracy["classifier"].fit_s == 4
    again = tlbench.evaluate("shades.onnx", dataset=data, heads=["softmax"], baselines=())
    assert again.record.training == training


def test_the_time_to_an_accuracy(train, data):
    """The seconds of all epochs until the first that reached it."""
    _, run = train(data)
    assert run.record.training.seconds_to(0.8) == 2
    assert run.record.training.seconds_to(0.9) is None


def test_a_saved_run_is_read_again(train, data):
    """The training goes through run.json."""
    _, run = train(data)
    run.save("runs")
    assert tlbench.load_run("last", folder="runs").record == run.record


def test_a_run_of_a_training_is_not_fused(train, data, tmp_path):
    """The network's own classifier is in the file already."""
    _, run = train(data, "shades.onnx")
    run.save("runs")
    with pytest.raises(ConfigError, match=r"in shades\.onnx already, as its output logits"):
        fuse_run("last", head="softmax", destination=tmp_path / "fused.onnx")


def test_heads_on_a_trained_network_are_a_run_like_any_other(train, pictures, tmp_path):
    """It is fused as the message above says, and shows no epochs; it costs the training, too."""
    dataset = f"folder:{pictures}"
    _, trained = train(dataset, "shades.onnx")
    run = tlbench.evaluate("shades.onnx", dataset=dataset, heads="softmax", baselines=())
    trained.save("runs")
    run.save("runs")
    assert (trained.record.is_training, run.record.is_training) == (True, False)
    assert "epoch   loss" in str(trained)
    assert "epoch   loss" not in str(run)
    assert fuse_run("last", head="softmax", destination=tmp_path / "fused.onnx")
    ways = tlbench.compare_runs(run, trained).record.training
    assert [one.n_epochs for one in ways] == [None, 2]
    assert ways[0].training_s > trained.record.training.elapsed_s == ways[1].training_s


def test_a_timing_of_a_trained_file_is_no_training(train, data):
    train(data, "shades.onnx")
    timed = tlbench.measure_latency("shades.onnx", batch_sizes=(1,), min_duration_s=0.01)
    assert not timed.record.is_training


def test_the_latency_is_that_of_the_file(train, data):
    """Measured like that of any other."""
    _, run = train(data, latency=True)
    assert run.latency["single"].batch_size == 1


def test_the_file_is_named_after_network_and_dataset(train, data, tmp_path):
    """In the working directory, with its checkpoint."""
    train(data)
    assert (tmp_path / "brightness-shades.onnx").is_file()
    assert (tmp_path / "brightness-shades.checkpoint").is_file()


def test_folds_are_those_of_a_head_on_frozen_features(train, data, tmp_path):
    """The same images in each, so that both can be compared fold by fold."""
    requests, run = train(data, "shades.onnx", folds=6, seed=3)
    whole, *of_folds = requests
    assert len(whole.train.labels) == 60
    labels = np.concatenate([data.train.labels, data.test.labels])
    images = [*data.train.images, *data.test.images]
    fold_of = assign_folds(labels, 6, 3)
    for number, request in enumerate(of_folds):
        inside, outside = np.flatnonzero(fold_of == number), np.flatnonzero(fold_of != number)
        for part, rows in ((request.test, inside), (request.train, outside)):
            np.testing.assert_array_equal(part.labels, labels[rows])
            assert all((part.images[i] == images[row]).all() for i, row in enumerate(rows))
    (found,) = run.record.cross_validation
    frozen = tlbench.evaluate(
        "shades.onnx", dataset=data, heads=["softmax"], baselines=(), folds=6, seed=3
    ).record.cross_validation[0]
    assert [fold.n_test for fold in found.folds] == [fold.n_test for fold in frozen.folds]
    assert found.mean_fraction == pytest.approx(
        np.mean([fold.n_correct / fold.n_test for fold in found.folds])
    )
    assert not list(tmp_path.glob("*.fold-*"))
    assert len({request.fingerprint for request in requests}) == 7


def test_resuming_is_passed_on_to_the_folds_that_have_begun(train, data, tmp_path):
    """A fold after the interrupted one has no checkpoint, and begins."""
    (tmp_path / "shades.fold-1.checkpoint").touch()
    requests, _ = train(data, "shades.onnx", folds=2, resume=True)
    assert [request.resume for request in requests] == [True, True, False]


def test_unreadable_images_are_left_out_and_counted(train, pictures):
    """They are neither trained on nor tested."""
    (pictures / "train" / "shade0" / "00.png").write_bytes(b"no image")
    requests, run = train(f"folder:{pictures}")
    assert len(requests[0].train.labels) == 17
    assert run.record.dataset.n_train == 17
    (skipped,) = run.record.dataset.skipped
    assert skipped.index == 0
    with pytest.raises(UnreadableImageError, match="Not every image can be used"):
        train(f"folder:{pictures}", strict=True)


def test_copies_between_train_and_test_are_reported(train):
    """As for heads: an accuracy on images that were trained on says less."""
    images, labels = shaded(30, 0)
    data = tlbench.Dataset.from_arrays(images, labels, images[:15], labels[:15])
    _, run = train(data)
    assert any("are also training images" in text for text in run.record.warnings)


def test_one_class_is_refused_before_anything_is_built(train):
    """There is nothing to tell apart."""
    images, _ = shaded(10, 0)
    data = tlbench.Dataset.from_arrays(images, [0] * 10, images, [1] * 10, classes=["a", "b"])
    with pytest.raises(DataError, match="at least two classes"):
        train(data)


@pytest.mark.parametrize("name", ["net.pb", "net", "net.onnx.txt"])
def test_the_file_must_be_called_onnx(train, data, name):
    """Every other command knows it by that."""
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        train(data, name)


def test_a_folder_is_no_file(train, data, tmp_path):
    """Refused before the training, not after it."""
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(StorageError, match="folder"):
        train(data, "net.onnx")
