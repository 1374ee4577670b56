"""Files that this project did not make: the onnx wheel's own, Keras's, PyTorch's."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx.backend.test
import pytest

from tlbench.model import OnnxModel

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"
# The features by the tensor before the classifier; of which two are convolutions of one pixel.
FEATURES = {
    "shufflenet": 544,
    "squeezenet": 512,
    "bvlc_alexnet": 4096,
    "densenet121": 1024,
    "inception_v1": 1024,
    "inception_v2": 1024,
    "resnet50": 2048,
    "vgg19": 4096,
    "zfnet512": 1024,
}
QUICK = ("shufflenet", "squeezenet")


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in FEATURES],
)
def test_light_models_are_wrapped_with_one_command(tlbench, run_onnx, name):
    """Opset 9, a fixed batch, constants as inputs, weights made by ConstantOfShape."""
    assert set(FEATURES) == {path.stem.removeprefix("light_") for path in LIGHT.glob("*.onnx")}
    path = LIGHT / f"light_{name}.onnx"
    assert tlbench("export", f"onnx:{path}", "--scale", "1", "--top", "-o", "w.onnx").code == 0
    card = OnnxModel(Path("w.onnx")).card
    assert (card.n_features, card.n_classes, card.input_size) == (FEATURES[name], 1000, (224, 224))
    found = run_onnx("w.onnx", np.full((3, 40, 50, 3), 100, np.uint8))
    assert found["features"].shape == (3, FEATURES[name])
    assert Path("w.onnx").stat().st_size < 2 * path.stat().st_size + 10_000


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_a_light_model_is_timed(tlbench):
    """Its weights are constants, but its time is not."""
    path = LIGHT / "light_shufflenet.onnx"
    tlbench("export", f"onnx:{path}", "--scale", "1", "-o", "w.onnx")
    words = ("--min-samples", "3", "--min-duration", "0", "--max-duration", "1")
    found = tlbench("latency", "w.onnx", "--batch-size", "1", *words)
    assert found.code == 0
    assert "onnx:light_shufflenet.onnx" in found.out


@pytest.mark.tensorflow
def test_a_keras_resnet50_by_plain_tf2onnx(tensorflow, export, run_onnx, tmp_path):
    """NHWC: the transpose at its beginning and the one of the preprocessing cancel out."""
    from exporters.common.session import keras_session

    source = tmp_path / "keras.onnx"
    with keras_session() as frameworks:
        keras, tf = frameworks.keras, frameworks.tf
        keras.utils.set_random_seed(0)
        network = keras.applications.ResNet50(weights=None)
        pooled = keras.Model(network.input, network.get_layer("avg_pool").output)
        call = tf.function(lambda pixels: network(pixels, training=False))
        spec = tf.TensorSpec((1, 224, 224, 3), tf.float32, name="pixels")
        frameworks.tf2onnx.convert.from_function(
            call, input_signature=[spec], opset=13, output_path=str(source)
        )
        images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
        caffe = np.array([103.939, 116.779, 123.68], np.float32)
        expected = pooled(images[..., ::-1].astype(np.float32) - caffe, training=False).numpy()
    mean = tuple(float(one) for one in caffe)
    path, card = export(source, scale=1.0, mean=mean, channels="bgr", top=True)
    assert (card.feature_shape, card.n_classes, card.preprocess.layout) == ((2048,), 1000, "NHWC")
    found = run_onnx(path, images)["features"]
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    nodes = OnnxModel(path).proto.graph.node
    assert sum(node.op_type == "Transpose" for node in nodes) == 1  # of the bytes


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about itself
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_a_pytorch_network_by_torch_onnx(export, run_onnx, tmp_path, exporter):
    """NCHW, a fixed batch of one, weights beside the file."""
    for name in ("torch", "onnxscript"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}")
    import torch
    from torch import nn

    torch.manual_seed(0)
    trunk = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()
    network = nn.Sequential(trunk, nn.Linear(8, 5)).eval()
    source = tmp_path / "torch.onnx"
    example = (torch.zeros(1, 3, 32, 32),)
    torch.onnx.export(network, example, source, dynamo=exporter == "dynamo")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255))
        expected = trunk((pixels - 0.5) / 0.5).numpy()
    path, card = export(source, scale=1 / 255, mean=(0.5,), std=(0.5,), top=True)
    assert (card.feature_shape, card.n_classes) == ((8,), 5)
    found = run_onnx(path, images)["features"]
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
