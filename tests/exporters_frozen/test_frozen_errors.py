"""What is not a frozen graph of raw images is refused in one line, and nothing is written."""

import graphs
import numpy as np
import pytest

from exporters.frozen.backbone import FROZEN
from tlbench.core.errors import ConfigError, ExportError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def refuses(save, export, tmp_path):
    """Export a graph that cannot be: the message, in one line, nothing written."""

    def do(build=graphs.inception, error=ExportError, **options):
        with pytest.raises(error) as caught:
            export(save(build), **options)
        assert not (tmp_path / "exported").exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return do


@pytest.mark.parametrize("option", ["input_tensor", "output_tensor"])
@pytest.mark.parametrize("name", ["DecodeJpg", "pool_4:0", "pool_3:x"])
def test_unknown_name_gets_the_nearest(refuses, option, name):
    """The likely ends are named, too."""
    message = refuses(error=UnknownNameError, **{option: name})
    assert f"{option}={name} is not a tensor of graph.pb" in message
    assert f"Did you mean {'DecodeJpeg' if 'Decode' in name else 'pool_3'!r}?" in message
    assert "Inputs for images: DecodeJpeg" in message
    assert "last nodes: softmax." in message


def test_output_that_its_node_lacks(refuses):
    message = refuses(error=UnknownNameError, output_tensor="pool_3:2")
    assert "its node has fewer outputs" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"no graph at all", b"\x00" * 100, b"<html>moved</html>", b"\x08\x01"],
    ids=["empty", "text", "zeros", "html", "unknown fields"],
)
@pytest.mark.usefixtures("frameworks")
def test_a_file_that_is_no_graph(export, tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"graph\.pb is not a frozen TensorFlow graph"):
        export(path)
    assert not (tmp_path / "exported").exists()


def test_a_missing_file(export, tmp_path):
    with pytest.raises(ExportError, match=r"nothing\.pb cannot be read: No such file"):
        export(tmp_path / "nothing.pb")


@pytest.mark.parametrize("argument", [None, ""])
def test_no_file_at_all(tmp_path, argument):
    backbone = FROZEN if argument is None else FROZEN.with_argument(argument)
    with pytest.raises(
        ConfigError, match="needs a file. Name it as frozen:FILE.pb, with input_tensor=NAME"
    ):
        backbone.export(ExportOptions(), tmp_path / "m.onnx", Silent())


def with_variable(tf):
    build = graphs.inception(tf)
    node = next(n for n in build.proto.node if n.name == "conv/conv2d_params")
    node.Clear()
    node.name, node.op = "conv/conv2d_params", "VariableV2"
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    for size in (3, 3, 3, 8):
        node.attr["shape"].shape.dim.add(size=size)
    return build


def with_variable_norm(tf):
    build = graphs.inception(tf)
    node = next(n for n in build.proto.node if n.name == "conv/batchnorm/gamma")
    node.Clear()
    node.name, node.op = "conv/batchnorm/gamma", "VariableV2"
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["shape"].shape.dim.add(size=8)
    return build


@pytest.mark.parametrize("build", [with_variable, with_variable_norm])
def test_a_graph_with_variables(refuses, build):
    message = refuses(build)
    assert "graph.pb is not frozen: 1 variables have no values" in message


def _with_last(tf, op, **attributes):
    build = graphs.inception(tf)
    build.node(op, "last", "pool_3", **attributes)
    return build


def unknown_to_tensorflow(tf):
    return _with_last(tf, "GoogleInternalOp")


def unknown_to_onnx(tf):
    return _with_last(tf, "Lgamma", T=tf.float32)  # not among those that tf2onnx translates


def test_operator_that_tensorflow_lacks(refuses):
    assert "GoogleInternalOp" in refuses(unknown_to_tensorflow, output_tensor="last")


def test_operator_without_onnx_form(refuses):
    assert "to ONNX: Lgamma" in refuses(unknown_to_onnx, output_tensor="last")


def test_operators_behind_the_output_do_not_matter(save, export):
    """Only what the features are made of is converted."""
    _, card = export(save(unknown_to_onnx))
    assert card.layer == "pool_3"


def float_input(tf):
    build = graphs.inception(tf)
    node = next(n for n in build.proto.node if n.name == "DecodeJpeg")
    node.Clear()
    node.name, node.op = "DecodeJpeg", "Placeholder"
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    for size in (-1, -1, 3):
        node.attr["shape"].shape.dim.add(size=size)
    cast = next(n for n in build.proto.node if n.name == "Cast")
    cast.attr["SrcT"].type = tf.float32.as_datatype_enum
    return build


def fixed_image(tf):
    build = float_input(tf)
    node = next(n for n in build.proto.node if n.name == "DecodeJpeg")
    node.attr["dtype"].type = tf.uint8.as_datatype_enum
    cast = next(n for n in build.proto.node if n.name == "Cast")
    cast.attr["SrcT"].type = tf.uint8.as_datatype_enum
    node.attr["shape"].shape.dim[0].size = 40
    node.attr["shape"].shape.dim[1].size = 50
    return build


def second_input(tf):
    build = graphs.inception(tf)
    build.node("Placeholder", "keep", dtype=tf.float32)
    build.node("Mul", "kept", "pool_3", "keep", T=tf.float32)
    return build


def batch_in_a_constant(tf):
    build = graphs.inception(tf)
    build.constant("bias_map", np.ones((1, 1, 1, 4), np.float32))
    build.constant("axis", np.int32(3))
    build.node(
        "ConcatV2", "widened", "pool_3", "bias_map", "axis", N=2, T=tf.float32, Tidx=tf.int32
    )
    return build


def mixed_images(tf):
    """Each image has the mean over the batch taken off: nothing for one, something for several."""
    build = graphs.inception(tf)
    build.constant("first", np.int32([0]))
    build.node("Mean", "mean", "pool_3", "first", T=tf.float32, Tidx=tf.int32, keep_dims=True)
    build.node("Sub", "centred", "pool_3", "mean", T=tf.float32)
    build.node("Add", "odd", "pool_3", "centred", T=tf.float32)
    return build


CASES = {
    "floats in": (
        float_input,
        {},
        "is float32, and the graph does not say which pixel values it expects",
    ),
    "size of the image": (fixed_image, {}, r"has shape (40, 50, 3), but it must take RGB images"),
    "two inputs": (second_input, {"output_tensor": "kept"}, "other inputs than the image: keep."),
    "no resize": (None, {"input_tensor": "Sub"}, "Sub of graph.pb is followed by Mul (Mul)"),
    "not connected": (None, {"output_tensor": "softmax/weights"}, "does not depend on DecodeJpeg"),
    "pixels out": (None, {"output_tensor": "Sub"}, "belongs to the preprocessing"),
    "before the resize": (None, {"output_tensor": "Cast"}, "the image goes to no node"),
    "the image itself": (None, {"output_tensor": "DecodeJpeg"}, "does not depend on DecodeJpeg"),
    "constant of one": (
        batch_in_a_constant,
        {"output_tensor": "widened"},
        "widened (ConcatV2) gives the fixed shape (1, 1, 1, 24)",
    ),
    "images mixed": (mixed_images, {"output_tensor": "odd"}, "differs from graph.pb in tensorflow"),
}


@pytest.mark.parametrize(("build", "options", "expected"), CASES.values(), ids=CASES)
def test_a_graph_that_cannot_be_exported(refuses, build, options, expected):
    """Each message says what stands in the way."""
    assert expected in refuses(build or graphs.inception, **options)


def test_features_that_are_not_finite(refuses):
    """The original's own CheckNumerics stops the verification, and its words are passed on."""

    def infinite(tf):
        build = graphs.inception(tf)
        node = next(n for n in build.proto.node if n.name == "conv/batchnorm/beta")
        value = np.full(8, np.inf, np.float32)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return build

    message = refuses(infinite)
    assert "graph.pb" in message
    assert "not finite" in message
