"""Files that cannot be a backbone, and options that do not fit them: each error says why."""

import foreign_networks as nets
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.onnx.backbone import ONNX
from tlbench.core.errors import ConfigError, ExportError, TlbenchError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions


@pytest.fixture
def refused(export, tmp_path):
    """Export and return the error's text; nothing may be written."""

    def tried(model, kind=ExportError, **options):
        with pytest.raises(kind) as caught:
            export(model, **options)
        assert not (tmp_path / "wrapped.onnx").exists()
        return str(caught.value)

    return tried


def with_inputs(*shapes, kind="float32"):
    """The classifier, and more inputs that are added up into its scores."""
    model = nets.classifier()
    for position, shape in enumerate(shapes):
        value = helper.make_tensor_value_info(f"extra_{position}", nets.KINDS[kind], shape)
        model.graph.input.append(value)
    return model


def without_image(shape, kind=TensorProto.FLOAT):
    model = nets.classifier()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", kind, shape))
    return model


def test_two_image_inputs(refused):
    text = refused(with_inputs((1, 3, 24, 24)))
    assert "has 2 image inputs" in text
    assert "input: float32 (batch, 3, 24, 24); extra_0: float32 (1, 3, 24, 24)" in text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (without_image(("N", 128)), "has 0 image inputs"),
        (without_image((3, 24, 24)), "has 0 image inputs"),
        (with_inputs((1,)), "has other inputs"),
        (without_image(("N", 1, 28, 28)), "must have 3 channels"),
        (without_image(("N", 28, 28, 4)), "must have 3 channels"),
        (without_image(("N", 3, 24, 24), TensorProto.INT64), "is int64; an image must be one of"),
    ],
    ids=["a vector", "one image", "a mask", "grey", "rgba", "int64"],
)
def test_no_image_input(refused, model, message):
    text = refused(model)
    assert message in text
    assert "net.onnx" in text


def test_a_layout_that_nothing_tells(refused):
    """Three channels in both places, and a first operator that says nothing."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["scores"]),
    ]
    model = nets.model_of(
        nodes,
        [("x", "float32", ("N", 3, 5, 3))],
        [("scores", "float32", ("N", 2))],
        {"matrix": nets.weights(45, 2)},
    )
    assert "Give layout='nchw' or layout='nhwc'" in refused(model)


def test_a_layout_against_the_shape(refused):
    text = refused(nets.classifier(), layout="nhwc")
    assert "layout='nhwc' contradicts the shape of input: float32 (batch, 3, 24, 24)" in text


def test_an_open_size_without_a_size(refused):
    text = refused(nets.classifier(shape=("N", "h", "w")), ConfigError)
    assert "are open" in text
    assert "input_size=..." in text


def test_a_size_against_the_files(refused):
    text = refused(nets.classifier(), ConfigError, input_size=32)
    assert "declared for net.onnx is 32x32, but input is fixed to 24x24" in text


def test_a_crop_before_an_oblong_network(refused):
    text = refused(nets.classifier(shape=("N", 16, 32)), ConfigError)
    assert "takes 16x32 pixels. Choose fit='squash'" in text


def test_nothing_declared(export, tmp_path):
    with pytest.raises(ConfigError, match="nothing says which pixel values"):
        export(nets.classifier(), scale=None)


def test_other_values_than_bytes_for_bytes(refused):
    text = refused(nets.classifier(kind="uint8"), ConfigError)
    assert "takes pixels from 0 to 255 as they are" in text


@pytest.mark.parametrize("option", ["layer", "top_output"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cod", "Did you mean 'code'?"),
        ("code_node", "It is a node. Did you mean its output 'code'?"),
        ("xyzzy", "lists all 6"),
        ("matrix", "not a tensor that net.onnx computes from the image"),
        ("input", "not a tensor that net.onnx computes from the image"),
    ],
)
def test_a_tensor_that_does_not_exist(refused, option, name, hint):
    """A typing error, a node's name, nonsense, a constant, the image itself."""
    text = refused(nets.classifier(), UnknownNameError, **{option: name})
    assert hint in text
    assert f"{option}={name!r}" in text
    assert "tlbench inspect net.onnx --tensors" in text


def test_a_network_without_a_classifier(refused):
    """Its own output may be the features, which has to be said."""
    model = nets.classifier()
    del model.graph.node[3:]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, None))
    text = refused(model)
    assert "does not end in a linear layer" in text
    assert "layer=..." in text


def test_a_classifier_that_is_the_first_layer(refused):
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["scores"], kernel_shape=[1, 1])]
    model = nets.model_of(
        nodes,
        [("x", "float32", ("N", 3, 5, 5))],
        [("scores", "float32", ("N", 2, 5, 5))],
        {"kernel": nets.weights(2, 3, 1, 1)},
    )
    assert "it has no features" in refused(model)


def test_features_that_are_not_numbers_of_an_image(refused):
    """Integers, and a tensor whose first axis is not the batch."""
    model = nets.classifier()
    model.graph.node.append(
        helper.make_node("Cast", ["code"], ["whole"], to=TensorProto.INT32),
    )
    assert "whole of net.onnx is int32" in refused(model, layer="whole")
    model.graph.node.append(helper.make_node("Transpose", ["code"], ["turned"], perm=[1, 0]))
    assert "its first axis is not the batch" in refused(model, layer="turned")


def test_logits_that_are_a_map(refused):
    text = refused(nets.classifier(), layer="code", top_output="active")
    assert "logits must be (N, classes)" in text


def fixed_batch(operator):
    """The classifier for one image, with an operator that takes one image only."""
    model = nets.classifier(batch=1)
    graph = model.graph
    position = next(i for i, node in enumerate(graph.node) if node.op_type == "Flatten")
    graph.node[position].input[0] = "stuck"
    if operator == "Add":
        constant = numpy_helper.from_array(np.zeros((3, 8, 1, 1), np.float32), "three")
        nodes = [
            helper.make_node("Tile", ["pooled", "repeats"], ["tiled"]),
            helper.make_node("Add", ["tiled", "three"], ["sum"]),
            helper.make_node("Slice", ["sum", "zero", "one", "zero"], ["stuck"]),
        ]
        constants = {"repeats": [3, 1, 1, 1], "zero": [0], "one": [1]}
        graph.initializer.append(constant)
    else:
        nodes = [helper.make_node("Reshape", ["pooled", "shape"], ["stuck"])]
        constants = {"shape": [8, 1]}
        graph.node[position].op_type = "Transpose"
        graph.node[position].attribute.append(helper.make_attribute("perm", [1, 0]))
    for name, values in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    for node in reversed(nodes):
        graph.node.insert(position, node)
    return model


@pytest.mark.parametrize("operator", ["Add", "Reshape"])
def test_a_batch_that_stays_fixed(refused, operator):
    """The operator is named, and what to do."""
    text = refused(fixed_batch(operator))
    assert "fixed and cannot be made dynamic" in text
    assert "export the network with a dynamic batch" in text


def test_images_that_are_mixed_are_noticed(refused):
    """A network that computes with its batch is not one network for each image."""
    model = nets.classifier()
    node = next(one for one in model.graph.node if one.op_type == "Relu")
    node.op_type = "Softmax"
    node.attribute.append(helper.make_attribute("axis", 0))
    assert "differs from net.onnx" in refused(model)


def test_a_missing_file(tmp_path, refused):
    assert "cannot be read: No such file" in refused(tmp_path / "none.onnx")
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x00\x01\x02", "cannot be decoded"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "has no nodes"),
    ],
)
def test_files_that_are_no_model(tmp_path, refused, content, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert message in refused(path)


def test_weights_that_are_missing_or_elsewhere(tmp_path, refused):
    """External data must lie beside the file."""
    path = tmp_path / "net.onnx"
    onnx.save(
        nets.classifier(), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    (tmp_path / "w.bin").rename(tmp_path / "elsewhere.bin")
    assert "keeps its weights in w.bin, which cannot be read" in refused(path)
    (tmp_path / "w.bin").write_bytes(b"short")
    assert "net.onnx in other files cannot be read" in refused(path)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = entry.value.replace("w.bin", "../w.bin")
    path.write_bytes(model.SerializeToString())
    assert "outside its own folder" in refused(path)


def test_an_opset_that_is_too_old(refused):
    assert "has opset 6" in refused(nets.classifier(opset=6))


def test_an_opset_below_the_files_own(refused):
    text = refused(nets.classifier(opset=20), ConfigError, opset=18)
    assert "opset must be at least 20, that of the file, got 18" in text


def test_a_graph_that_onnx_runtime_refuses(refused):
    model = nets.classifier()
    model.graph.node[0].op_type = "NoSuchOperator"
    assert "ONNX Runtime cannot load the file net.onnx" in refused(model)


@pytest.mark.parametrize(
    "options",
    [{"weights": "w.pth"}, {"input_tensor": "x"}, {"output_tensor": "x"}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_a_file_cannot_use(refused, options):
    assert next(iter(options)) in refused(nets.classifier(), ConfigError, **options)


def test_the_backbone_needs_a_file(tmp_path):
    for backbone in (ONNX, ONNX.with_argument("")):
        with pytest.raises(ConfigError, match=r"Name it as onnx:FILE\.onnx"):
            backbone.export(ExportOptions(), tmp_path / "m.onnx", Silent())


def test_the_file_itself_is_not_overwritten(tmp_path):
    """It has the default name of its own artefact."""
    path = tmp_path / "net.onnx"
    onnx.save(nets.classifier(), path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="would be lost"):
        ONNX.with_argument(str(path)).export(ExportOptions(scale=1.0), path, Silent())
    assert path.read_bytes() == before


@pytest.mark.parametrize("options", [{"crop_fraction": 0.0}, {"crop_fraction": 1.2}])
def test_impossible_crop_fractions(options):
    with pytest.raises(TlbenchError, match="crop_fraction must be"):
        ExportOptions(scale=1.0, **options)
