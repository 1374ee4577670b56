"""A small network with every kind of node that matters, and a backbone that exports it."""

import contextlib
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tlbench.core.registry
from exporters.common.fit import SQUASH
from exporters.common.preprocess import BILINEAR, Preprocessing, prepend_preprocessing
from exporters.common.publish import write_with_card
from tlbench.model import ConversionOptions, ImageSample, ModelCard, OnnxModel, Parity, Weights
from tlbench.workflows import RunConfig, run_benchmark

SIZE, N_FEATURES = 16, 24


def _network(seed=0):
    """Stem, an inverted residual block with ReLU6, pooling, concatenation, a classifier."""
    generator = np.random.default_rng(seed)
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def convolution(source, name, n_in, n_out, size, *, groups=1, bias=True):
        shape = (n_out, n_in // groups, size, size)
        kernel = generator.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        inputs = [source, constant(f"{name}.kernel", kernel)]
        if bias:
            values = generator.normal(0.2, 0.2, n_out).astype(np.float32)
            inputs.append(constant(f"{name}.bias", values))
        pad = size // 2
        nodes.append(
            helper.make_node("Conv", inputs, [name], name=name, group=groups, pads=[pad] * 4)
        )
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    bounds = [constant("zero", np.float32(0)), constant("six", np.float32(6))]
    stem = node("Clip", [convolution("x", "stem", 3, 12, 3), *bounds], "stem6")
    wide = node("Clip", [convolution(stem, "expand", 12, 24, 1), *bounds], "expand6")
    deep = node(
        "Clip", [convolution(wide, "depthwise", 24, 24, 3, groups=24), *bounds], "depthwise6"
    )
    narrow = convolution(deep, "project", 24, 12, 1, bias=False)
    total = node("Add", [narrow, stem], "total")
    small = node("MaxPool", [total], "small", kernel_shape=[2, 2], strides=[2, 2])
    left = node("Relu", [convolution(small, "left", 12, 12, 1)], "left_relu")
    right = convolution(small, "right", 12, 12, 3, groups=2)
    both = node("Concat", [left, right], "both", axis=1)
    node("Flatten", [node("GlobalAveragePool", [both], "pooled")], "features")
    weight = generator.normal(0, 0.2, (N_FEATURES, 5)).astype(np.float32)
    node("Gemm", ["features", constant("weight", weight)], "logits")
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", N_FEATURES]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def save_block(path, *, kind="file", seed=0, resize=BILINEAR, fit=SQUASH):
    """Write the network behind a preprocessing, with a card, and return the card."""
    scale = 1 / 128
    model = prepend_preprocessing(
        _network(seed),
        network_input="x",
        size=(SIZE, SIZE),
        preprocessing=Preprocessing("(x - 127) / 128", mean=(127.0,) * 3, scale=(scale,) * 3),
        resize=resize,
        fit=fit,
    )
    card = ModelCard(
        backbone="block",
        source="the tests",
        weights=Weights(kind=kind, sha256=None, origin="the tests", licence="none"),
        input_size=(SIZE, SIZE),
        resize=resize.text,
        preprocessing="(x - 127) / 128",
        layer="both",
        pooling="avg",
        feature_shape=(N_FEATURES,),
        n_classes=5,
        opset=18,
        parity=Parity(reference="none", n_images=1, max_abs=0.0, max_rel=0.0, min_cosine=1.0),
        exported_by="the tests",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_with_card(model, card, path)
    return card


def blobs(n_images, seed=0, size=20):
    """Raw images with colours and edges: patches under noise."""
    generator = np.random.default_rng(seed)
    patches = generator.uniform(0, 255, (n_images, 4, 4, 3)).repeat(size // 4, 1)
    noisy = patches.repeat(size // 4, 2) + generator.normal(0, 15, (n_images, size, size, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture
def save_block_at():
    """The function that writes the block, for tests that want other weights."""
    return save_block


@pytest.fixture
def make_blobs():
    """The function that makes images."""
    return blobs


@pytest.fixture(scope="session")
def block_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("block") / "block.onnx"
    save_block(path)
    return path


@pytest.fixture
def foreign_path(block_path, tmp_path):
    """The same network without a card, as somebody else would have written it."""
    model = onnx.load(block_path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


@pytest.fixture(scope="session")
def source(block_path):
    return OnnxModel(block_path)


@pytest.fixture
def network(source):
    """The network alone, without preprocessing."""
    from exporters.precision.network import split

    parts = split(source)
    onnx.checker.check_model(parts.network)
    return parts


@pytest.fixture(scope="session")
def options():
    """Twenty-four images to calibrate on and eight others."""
    images = blobs(32)
    sample = ImageSample(
        dataset="blobs", fingerprint="f" * 64, seed=0, n_calibration=24, n_held_out=8
    )
    return ConversionOptions(
        sample=sample, calibration=list(images[:24]), held_out=list(images[24:])
    )


class _BlockBackbone:
    name, summary, requires = "block", "for tests", ()

    def __init__(self):
        self.n_exports = 0

    def export(self, options, destination, listener):
        self.n_exports += 1
        kind = "random" if options.weights == "random" else "file"
        return save_block(destination, kind=kind, seed=options.seed)


@contextlib.contextmanager
def registered_block():
    """Register a backbone named "block", found through an entry point as a plugin's is."""
    module = ModuleType("block_backbone_of_the_tests")
    module.BLOCK = _BlockBackbone()
    original = tlbench.core.registry.entry_points

    def entry_points(*, group):
        points = list(original(group=group))
        if group == "tlbench.backbones":
            points.append(EntryPoint("block", f"{module.__name__}:BLOCK", group))
        return points

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(tlbench.core.registry, "entry_points", entry_points)
        yield module.BLOCK


@pytest.fixture
def backbone():
    """A backbone named "block"."""
    with registered_block() as block:
        yield block


@pytest.fixture(scope="session")
def int8_config(tmp_path_factory):
    """200 + 100 digits, the block backbone in int8, one head."""
    return RunConfig(
        model="block",
        heads=("centroid",),
        precision="int8",
        limit_train=200,
        limit_test=100,
        latency=False,
        cache_dir=tmp_path_factory.mktemp("int8") / "cache",
    )


@pytest.fixture(scope="session")
def int8_outcome(int8_config):
    """A whole run of that, for tests that only read it."""
    with registered_block():
        return run_benchmark(int8_config)
