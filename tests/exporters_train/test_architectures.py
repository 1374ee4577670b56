"""The networks are those of the papers, and become files that compute what Keras computes."""

import math

import numpy as np
import pytest
from toy_training import SIZE, toy

from exporters.common.session import keras_session
from exporters.keras.network import construct
from exporters.keras.table import MOBILENETV2, RESNET50
from exporters.keras.weights import randomise
from exporters.train.architectures import FEATURES, basic_cnn, last_block, wide_resnet
from exporters.train.checkpoint import Checkpoint
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own, when it makes numpy arrays of TensorFlow's variables; tlbench silences it.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def frameworks(tensorflow):
    """TensorFlow, silenced."""
    with keras_session() as found:
        yield found


@pytest.mark.parametrize(("width", "millions"), [(8, 23.4), (10, 36.5)])
def test_wide_resnets_have_the_published_number_of_parameters(frameworks, width, millions):
    """Table 1 of the paper: 28-8 has 23.4 million, and 28-10 has 36.5 million."""
    built = wide_resnet(frameworks.keras, 32, 10, 0, depth=28, width=width)
    trained = sum(math.prod(one.shape) for one in built.model.trainable_weights)
    assert round(trained / 1e6, 1) == millions


def test_the_cnn_is_that_of_the_example(frameworks):
    """32-32-pool-0.25, 64-64-pool-0.25, dense 512, dropout 0.5: 1,250,858 parameters for ten."""
    model = basic_cnn(frameworks.keras, 32, 10, 0).model
    assert model.count_params() == 1_250_858
    rates = [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert rates == [0.25, 0.25, 0.5]


@pytest.mark.parametrize(
    ("row", "size", "first"),
    [(RESNET50, 32, "conv5_block3_1_conv"), (MOBILENETV2, 32, "block_15_project")],
    ids=["resnet50", "mobilenetv2"],
)
def test_the_last_block_begins_behind_the_last_but_one_addition(frameworks, row, size, first):
    """Of ResNet50 it is the published choice."""
    options = ExportOptions(input_size=size)
    trunk = construct(frameworks, row, options, top=False)
    names = [trunk.layers[position].name for position in last_block(trunk)]
    if row is RESNET50:
        assert names[0] == first
        assert all(name.startswith("conv5_block3_") for name in names)
    else:
        assert not any(name.startswith("block_14_") for name in names)
        assert any(name.startswith("block_16_") for name in names)


def keras_outputs(frameworks, path, images):
    """Return features and logits of a checkpoint by Keras, on pixels scaled by numpy."""
    checkpoint = Checkpoint.read(path)
    trained = frameworks.keras.models.model_from_json(checkpoint.architecture)
    trained.set_weights(list(checkpoint.weights))
    model = frameworks.keras.Model(
        trained.input, [trained.get_layer(FEATURES).output, trained.output]
    )
    steps = checkpoint.preprocessing
    pixels = (images - np.array(steps.mean)) * np.array(steps.scale)
    return [np.asarray(one) for one in model(pixels.astype(np.float32), training=False)]


def assert_like_keras(found, expected):
    """Within 1e-4 of the largest value, which is what every export promises."""
    for name, wanted in zip(("features", "logits"), expected, strict=True):
        assert found[name].shape == wanted.shape
        assert np.abs(found[name] - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["basic-cnn", "wrn-10-2"])
def test_the_file_computes_what_keras_does(
    eager, train, request_of, frameworks, run_onnx, tmp_path, name
):
    """Features and logits of test images, from raw bytes."""
    request = request_of(epochs=1)
    card = train(name, request)
    images = toy(16, seed=1).images
    found = run_onnx(tmp_path / "toy.onnx", images)
    assert_like_keras(found, keras_outputs(frameworks, request.checkpoint, images))
    assert card.weights.kind == "trained"
    assert card.n_classes == 3
    assert card.input_size == (SIZE, SIZE)
    assert [epoch.phase for epoch in card.training.epochs] == [1]


class Copies(Silent):
    """Keeps the checkpoint of each epoch when the next one begins."""

    def __init__(self, path):
        self.path, self.found = path, []

    def start(self, task, total=None, unit=""):
        if task.startswith("epoch ") and self.path.is_file():
            self.found.append(Checkpoint.read(self.path))


def changed_layers(trunk, before, checkpoint):
    """Return the names of the trunk's layers whose arrays are no longer those of *before*."""
    paths = [weight.path for weight in trunk.weights]
    now = checkpoint.weights[: len(paths)]  # the trunk is the network's first layer with weights
    assert [array.shape for array in now] == [array.shape for array in before]
    return {
        path.split("/")[0]
        for path, one, two in zip(paths, before, now, strict=True)
        if not np.array_equal(one, two)
    }


@pytest.fixture
def fine_tune(eager, train, request_of, frameworks, tmp_path):
    """Fine-tune a network from a weights file on 200 images, one epoch in each phase.

    Asserts that the trunk keeps its weights bit by bit in the first phase, and changes in its last
    block in the second: not in the means and variances of its normalisations either.
    """

    def do(row, trunk):
        file = tmp_path / f"{row.name}.weights.h5"
        trunk.save_weights(file)
        before = trunk.get_weights()
        thawed = {trunk.layers[position].name for position in last_block(trunk)}
        request = request_of(
            train=toy(200, size=32), epochs=1, batch_size=50, input_size=32, weights=str(file)
        )
        listener = Copies(request.checkpoint)
        card = train(f"finetune:{row.name}", request, listener)
        (first,) = listener.found
        assert changed_layers(trunk, before, first) == set()
        second = Checkpoint.read(request.checkpoint)
        assert changed_layers(trunk, before, second) == thawed
        return card

    return do


def test_fine_tuning_of_resnet50(fine_tune, unexported, frameworks):
    """The published network: its last residual block is three convolutions."""
    trunk = construct(frameworks, RESNET50, ExportOptions(input_size=32), top=False)
    record = fine_tune(RESNET50, trunk).record
    assert record.trained_layers == ("conv5_block3_1_conv", "conv5_block3_3_conv")
    assert [epoch.phase for epoch in record.epochs] == [1, 2]
    assert record.settings["weights"].startswith("file: resnet50.weights.h5, sha256 ")


def test_fine_tuning_of_a_small_network(fine_tune, frameworks, run_onnx, tmp_path):
    """MobileNetV2, which is as large as EfficientNet-Lite0; its file computes what Keras does."""
    trunk = construct(frameworks, MOBILENETV2, ExportOptions(input_size=32), top=False)
    randomise(trunk, 0, toy(4, size=32).images / np.float32(64) - 2)
    card = fine_tune(MOBILENETV2, trunk)
    images = toy(8, seed=2, size=32).images
    assert_like_keras(
        run_onnx(tmp_path / "toy.onnx", images),
        keras_outputs(frameworks, tmp_path / "toy.checkpoint", images),
    )
    assert card.n_features == 1280
    assert 0 < card.training.n_trained_parameters < card.training.n_parameters
