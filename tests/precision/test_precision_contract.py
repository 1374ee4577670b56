"""What every precision in the registry owes its users, present and future."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from exporters.common.fit import SquareFit
from exporters.common.preprocess import BICUBIC, NEAREST
from exporters.precision.network import split
from tlbench.core.errors import ExportError, StorageError
from tlbench.core.progress import Silent
from tlbench.model import PRECISIONS, OnnxModel, count_macs


@pytest.fixture(scope="session", params=PRECISIONS.names())
def precision(request):
    return PRECISIONS.load(request.param)


@pytest.fixture(scope="session")
def converted(precision, source, options, tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / f"{precision.name}.onnx"
    precision.convert(source, path, options, Silent())
    return OnnxModel(path)


def _run(model, images):
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    return session.run(["features", "logits"], {"images": images})


def test_entry_is_named_as_it_is_registered(precision):
    assert PRECISIONS.load(precision.name) is precision
    assert precision.summary
    assert precision.software()["onnx"] == onnx.__version__


def test_listing_the_entries_loads_no_heavy_library():
    """`tlbench list` imports every backbone and precision, and must not wait for a library."""
    source = (
        "import sys\n"
        "from tlbench.model import BACKBONES, PRECISIONS\n"
        "for registry in (BACKBONES, PRECISIONS):\n"
        "    assert all(registry.load(name).summary for name in registry.names())\n"
        "print({'numpy', 'onnx', 'onnxruntime'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)
    assert done.stdout.split() == [b"none"]


def test_signature_stays(converted, source):
    """Raw uint8 images in, float32 features out, whatever lies between."""
    assert converted.inputs == source.inputs
    assert converted.outputs == source.outputs


def test_preprocessing_stays(converted, source):
    """It is the same float32 graph, node for node."""
    before, after = (split(model).preprocessing.graph for model in (source, converted))
    assert after.node == before.node
    assert list(after.initializer) == list(before.initializer)


@pytest.mark.parametrize(
    "fit", [SquareFit("crop"), SquareFit("crop", 0.875), SquareFit("pad")], ids=str
)
def test_any_fit_may_lie_before_it(precision, options, tmp_path, save_block_at, fit):
    """The nodes that make images square belong to the preprocessing, which stays as it is."""
    save_block_at(tmp_path / "block.onnx", fit=fit)
    source = OnnxModel(tmp_path / "block.onnx")
    precision.convert(source, tmp_path / "converted.onnx", options, Silent())
    converted = OnnxModel(tmp_path / "converted.onnx")
    before, after = (split(model).preprocessing.graph for model in (source, converted))
    assert after.node == before.node
    assert {"Shape", "Resize"} < {node.op_type for node in after.node}
    assert count_macs(converted) == count_macs(source)
    images = np.stack([image[:, :-5] for image in options.held_out])
    for ours, theirs in zip(_run(converted, images), _run(source, images), strict=True):
        # as below
        assert np.abs(ours - theirs).max() < 0.2 * np.abs(theirs).max()


@pytest.mark.parametrize("resize", [BICUBIC, NEAREST], ids=lambda resize: resize.mode)
def test_any_resize_may_lie_before_it(precision, options, tmp_path, save_block_at, resize):
    """ONNX Runtime loads and runs the converted file behind the other resizes too."""
    save_block_at(tmp_path / "block.onnx", resize=resize)
    source = OnnxModel(tmp_path / "block.onnx")
    precision.convert(source, tmp_path / "converted.onnx", options, Silent())
    converted = OnnxModel(tmp_path / "converted.onnx")
    assert converted.card.resize == resize.text
    assert "Resize" in {node.op_type for node in split(converted).preprocessing.graph.node}
    images = np.stack(options.held_out)
    for ours, theirs in zip(_run(converted, images), _run(source, images), strict=True):
        # eight bits, on images of the kind that calibration saw
        assert np.abs(ours - theirs).max() < 0.2 * np.abs(theirs).max()


@pytest.mark.parametrize("shape", [(1, 20, 20, 3), (3, 31, 9, 3)], ids=str)
def test_any_batch_and_size_runs(converted, source, shape):
    """The converted file is as dynamic as its source, and near it."""
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for ours, theirs in zip(_run(converted, images), _run(source, images), strict=True):
        assert ours.dtype == np.float32
        assert ours.shape == theirs.shape
        # eight bits, on images of a kind that calibration did not see
        assert np.abs(ours - theirs).max() < 0.2 * np.abs(theirs).max()


def test_the_network_changed(converted, source):
    """A precision that converts nothing would pass every other test."""
    ours, theirs = (
        sum(
            int(np.prod(tensor.dims))
            for tensor in split(model).network.graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT
        )
        for model in (converted, source)
    )
    assert ours < 0.5 * theirs  # float32 constants: few layers keep theirs


def test_the_card_says_how(precision, converted, source, options):
    """The card in the file has the source's facts and the conversion's."""
    card, conversion = converted.card, converted.card.conversion
    assert replace(card, precision="fp32", conversion=None) == source.card
    assert card.precision == conversion.precision == precision.name
    assert conversion.source_sha256 == source.sha256
    assert conversion.images == options.sample
    assert conversion.software == precision.software()
    assert conversion.drift.n_images == len(options.held_out)
    assert conversion.drift.min_cosine <= conversion.drift.mean_cosine
    assert "preprocessing" in conversion.kept_in_float


def test_drift_is_that_of_the_files(converted, source, options):
    """Run again from the files, the held-out images give the recorded figures."""
    images = np.stack(options.held_out)
    ours, theirs = (_run(model, images)[0].astype(np.float64) for model in (converted, source))
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = (ours * theirs).sum(axis=1) / norms
    drift = converted.card.conversion.drift
    # float32 sums differ between a batch of eight and single images
    assert drift.min_cosine == pytest.approx(cosine.min(), abs=1e-5)
    assert drift.mean_cosine == pytest.approx(cosine.mean(), abs=1e-5)


def test_below_the_smallest_cosine_nothing_is_left(precision, source, options, tmp_path):
    with pytest.raises(ExportError, match="smallest cosine .*Nothing was written.*min_cosine"):
        precision.convert(
            source, tmp_path / "out" / "m.onnx", replace(options, min_cosine=1.0), Silent()
        )
    assert not (tmp_path / "out").exists()


def test_the_same_source_and_images_give_the_same_file(
    precision, converted, source, options, tmp_path
):
    """A file's hash is its features' key: converting again must not change it."""
    precision.convert(source, tmp_path / "again.onnx", options, Silent())
    assert OnnxModel(tmp_path / "again.onnx").sha256 == converted.sha256


def test_a_foreign_file_is_refused(precision, options, tmp_path):
    """Without our preprocessing nobody knows where the network begins."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3]) for name in "xy"
    ]
    graph = onnx.helper.make_graph([node], "foreign", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph, ir_version=8), tmp_path / "foreign.onnx")
    with pytest.raises(ExportError, match="not exported by tlbench"):
        precision.convert(
            OnnxModel(tmp_path / "foreign.onnx"), tmp_path / "m.onnx", options, Silent()
        )
    assert not (tmp_path / "m.onnx").exists()


def test_a_place_that_cannot_be_written_is_said(precision, source, options, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        precision.convert(source, tmp_path / "file" / "m.onnx", options, Silent())
