"""Files of any origin: what else they depend on, what they take and give, and what they are not."""

import os

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tlbench.core.errors import ModelError
from tlbench.engine import accepts_raw_images, open_session
from tlbench.model import OnnxModel

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])


def save(path, nodes, *, inputs=(X,), outputs=(Y,), constants=(), functions=(), domains=()):
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(one, 1) for one in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    onnx.save(model, path)
    return model


def outside(name="w"):
    """A tensor whose values lie in weights.bin."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def inside(name="w"):
    return numpy_helper.from_array(np.ones(3, np.float32), name)


def _initializer(path, tensor):
    save(path, [helper.make_node("Add", ["x", "w"], ["y"])], constants=[tensor])


def _constant(path, tensor):
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    save(path, nodes)


def _branch(tensor, output):
    nodes = [
        helper.make_node("Constant", [], ["k"], value=tensor),
        helper.make_node("Add", ["x", "k"], [output]),
    ]
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, output, [], [value])


def _if_branch(path, tensor):
    condition = numpy_helper.from_array(np.array(True), "c")
    node = helper.make_node(
        "If", ["c"], ["y"], then_branch=_branch(inside(), "a"), else_branch=_branch(tensor, "b")
    )
    save(path, [node], constants=[condition])


def _nested_if(path, tensor):
    inner = helper.make_node(
        "If", ["c"], ["i"], then_branch=_branch(inside(), "a"), else_branch=_branch(tensor, "b")
    )
    value = helper.make_tensor_value_info("i", TensorProto.FLOAT, None)
    body = helper.make_graph([inner], "outer", [], [value])
    node = helper.make_node(
        "If", ["c"], ["y"], then_branch=body, else_branch=_branch(inside(), "d")
    )
    save(path, [node], constants=[numpy_helper.from_array(np.array(True), "c")])


def _loop_initializer(path, tensor):
    make = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Add", ["s", "w"], ["t"]),
            helper.make_node("Identity", ["c"], ["d"]),
        ],
        "body",
        [make("i", TensorProto.INT64, []), make("c", TensorProto.BOOL, []), make("s", 1, None)],
        [make("d", TensorProto.BOOL, []), make("t", TensorProto.FLOAT, None)],
        [tensor],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    save(path, [node], constants=[numpy_helper.from_array(np.array(2), "n")])


def _function(path, tensor):
    function = helper.make_function(
        "local",
        "Shift",
        ["a"],
        ["b"],
        [
            helper.make_node("Constant", [], ["w"], value=tensor),
            helper.make_node("Add", ["a", "w"], ["b"]),
        ],
        [helper.make_opsetid("", 18)],
    )
    node = helper.make_node("Shift", ["x"], ["y"], domain="local")
    save(path, [node], functions=[function], domains=["local"])


def _function_default(path, tensor):
    """The default of a function's attribute."""
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.append(
        AttributeProto(name="value", ref_attr_name="k", type=AttributeProto.TENSOR)
    )
    function = helper.make_function(
        "local",
        "Shift",
        ["a"],
        ["b"],
        [constant, helper.make_node("Add", ["a", "w"], ["b"])],
        [helper.make_opsetid("", 18)],
        attribute_protos=[helper.make_attribute("k", tensor)],
    )
    node = helper.make_node("Shift", ["x"], ["y"], domain="local")
    save(path, [node], functions=[function], domains=["local"])


def _tensor_list(path, tensor):
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.append(AttributeProto(name="k", type=AttributeProto.TENSORS, tensors=[tensor]))
    save(path, [node])


def _graph_list(path, tensor):
    node = helper.make_node("Relu", ["x"], ["y"])
    body = _branch(tensor, "a")
    node.attribute.append(AttributeProto(name="k", type=AttributeProto.GRAPHS, graphs=[body]))
    save(path, [node])


def _sparse(field):
    def build(path, tensor):
        model = save(path, [helper.make_node("Relu", ["x"], ["y"])])
        sparse = onnx.SparseTensorProto(dims=[3])
        sparse.values.CopyFrom(tensor if field == "values" else inside())
        sparse.indices.CopyFrom(tensor if field == "indices" else inside("i"))
        model.graph.sparse_initializer.append(sparse)
        onnx.save(model, path)

    return build


def _sparse_attribute(path, tensor):
    sparse = onnx.SparseTensorProto(dims=[3], values=tensor, indices=inside("i"))
    nodes = [
        helper.make_node("Constant", [], ["w"], sparse_value=sparse),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    save(path, nodes)


def _training(path, tensor):
    model = save(path, [helper.make_node("Relu", ["x"], ["y"])])
    info = model.training_info.add()
    info.initialization.name = "first"
    info.initialization.initializer.append(tensor)
    onnx.save(model, path)


PLACES = {
    "initializer": _initializer,
    "Constant": _constant,
    "branch of If": _if_branch,
    "branch in a branch": _nested_if,
    "initializer in a Loop": _loop_initializer,
    "function": _function,
    "default of a function": _function_default,
    "list of tensors": _tensor_list,
    "list of graphs": _graph_list,
    "sparse values": _sparse("values"),
    "sparse indices": _sparse("indices"),
    "sparse attribute": _sparse_attribute,
    "training_info": _training,
}


@pytest.mark.parametrize("build", PLACES.values(), ids=PLACES)
def test_weights_in_another_file_are_refused_wherever_they_are_named(tmp_path, build):
    """The file's hash would stay while the answer changes with the other file."""
    path = tmp_path / "m.onnx"
    build(path, inside())
    assert OnnxModel(path).inputs[0].name == "x"
    build(path, outside())
    with pytest.raises(ModelError, match="keeps its weights in other files.*onnx.save"):
        OnnxModel(path)


@pytest.mark.parametrize(("embed_mode", "refused"), [(0, True), (1, False), (None, False)])
def test_a_compiled_network_in_another_file_is_refused(tmp_path, embed_mode, refused):
    """An EPContext node names a file of the provider's, unless it holds the content itself."""
    attributes = {} if embed_mode is None else {"embed_mode": embed_mode}
    node = helper.make_node(
        "EPContext",
        ["x"],
        ["y"],
        domain="com.microsoft",
        ep_cache_context="engine.bin",
        **attributes,
    )
    save(tmp_path / "m.onnx", [node], domains=["com.microsoft"])
    if refused:
        with pytest.raises(ModelError, match="compiled network in another file"):
            OnnxModel(tmp_path / "m.onnx")
    else:
        assert OnnxModel(tmp_path / "m.onnx").outputs


def _tensor(*shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_type_proto(dtype, None if shape == (None,) else list(shape))


@pytest.mark.parametrize(
    ("kind", "text", "shape"),
    [
        (_tensor("N", 3), "float32 (N, 3)", ("N", 3)),
        (_tensor(-1, 3), "float32 (?, 3)", (None, 3)),
        (_tensor(-1, -1, -5, 3), "float32 (?, ?, ?, 3)", (None, None, None, 3)),
        (_tensor(0, 3), "float32 (0, 3)", (0, 3)),
        (_tensor(""), "float32 (?)", (None,)),
        (_tensor(), "float32 scalar", ()),
        (_tensor(None), "float32 of unknown shape", None),
        (_tensor("N", dtype=TensorProto.STRING), "string (N)", ("N",)),
        (_tensor("N", dtype=TensorProto.BFLOAT16), "bfloat16 (N)", ("N",)),
        (_tensor("N", dtype=99), "unknown (N)", ("N",)),
        (helper.make_sequence_type_proto(_tensor("N")), "sequence(float32)", None),
        (helper.make_optional_type_proto(_tensor("N")), "optional(float32)", None),
        (
            helper.make_optional_type_proto(helper.make_sequence_type_proto(_tensor("N"))),
            "optional(sequence(float32))",
            None,
        ),
        (helper.make_map_type_proto(TensorProto.INT64, _tensor("N")), "map(float32)", None),
        (helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, ["N"]), "sparse(float32)", None),
        (onnx.TypeProto(), "unknown of unknown shape", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("field", ["input", "output"])
def test_every_type_has_a_name_and_a_shape_or_none(tmp_path, kind, text, shape, field):
    """Neither a traceback nor an empty pair of brackets."""
    model = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    getattr(model.graph, field)[0].type.CopyFrom(kind)
    onnx.save(model, tmp_path / "m.onnx")
    (found,) = getattr(OnnxModel(tmp_path / "m.onnx"), f"{field}s")
    assert str(found) == text
    assert found.shape == shape
    assert "()" not in text


def test_open_axes_are_those_of_onnx_runtime(tmp_path):
    """A negative length is open for ONNX Runtime: any number of rows goes through."""
    model = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(model, tmp_path / "m.onnx")
    found = OnnxModel(tmp_path / "m.onnx")
    with open_session(found, threads=1) as session:
        assert session._session.get_inputs()[0].shape == list(found.inputs[0].shape)
        assert [len(session.run(np.ones((n, 3), np.float32))) for n in (1, 2, 7)] == [1, 2, 7]


@pytest.mark.parametrize(
    ("shape", "accepted"),
    [
        (("N", "H", "W", 3), True),
        ((-1, -1, -1, 3), True),
        ((1, 8, 8, 3), True),
        (("N", 3, "H", "W"), False),
        ((None,), False),
        ((), False),
    ],
    ids=str,
)
def test_what_takes_raw_images(tmp_path, shape, accepted):
    model = save(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])])
    model.graph.input[0].type.CopyFrom(_tensor(*shape, dtype=TensorProto.UINT8))
    onnx.save(model, tmp_path / "m.onnx")
    assert accepts_raw_images(OnnxModel(tmp_path / "m.onnx")) == accepted


def test_a_sparse_constant_is_no_input(tmp_path):
    """Even where the file lists it as one."""
    model = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], inputs=(X, Y))
    sparse = onnx.SparseTensorProto(dims=[3], values=inside("y"), indices=inside("i"))
    model.graph.sparse_initializer.append(sparse)
    onnx.save(model, tmp_path / "m.onnx")
    assert [tensor.name for tensor in OnnxModel(tmp_path / "m.onnx").inputs] == ["x"]


@pytest.mark.parametrize("missing", ["input", "output"])
def test_a_graph_without_inputs_or_outputs_is_refused(tmp_path, missing):
    model = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    model.graph.ClearField(missing)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=f"0 {missing}s"):
        OnnxModel(tmp_path / "m.onnx")


MODEL = helper.make_model(
    helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [X], [Y], [inside()]),
    opset_imports=[helper.make_opsetid("", 18)],
    ir_version=8,
).SerializeToString()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 18345\n"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (LFS, "it is a Git LFS pointer.*git lfs pull"),
        (b"../../.git/annex/objects/Kq/x/SHA256E-s9--0.onnx", "git-annex pointer.*git annex get"),
        (b"/annex/objects/SHA256E-s10--00.onnx\n", "git-annex pointer"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page.*the model itself"),
        (b"\xef\xbb\xbf \n<html lang=en>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "Repository not found"}', "a JSON document"),
        (b"", "it is empty"),
        (b"PK\x03\x04" + bytes(60), "a zip archive"),
        (b"\x1f\x8b\x08" + bytes(60), "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a Python pickle"),
        (b"\x1c\x00\x00\x00ORTM" + bytes(60), "ONNX Runtime's ORT format"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(60), "a TensorFlow Lite model"),
        (MODEL[: len(MODEL) // 2], f"its {len(MODEL) // 2} bytes cannot be decoded.*cut short"),
        (b"no model at all", "its 15 bytes cannot be decoded"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_file_that_is_something_else_is_named(tmp_path, content, match):
    """Saying what was found spares the search for the cause."""
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"m\.onnx is not an ONNX model: .*{match}"):
        OnnxModel(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_no_damaged_model(tmp_path):
    (tmp_path / "m.onnx").write_bytes(MODEL)
    (tmp_path / "m.onnx").chmod(0)
    with pytest.raises(ModelError, match=r"cannot be read: Permission denied"):
        OnnxModel(tmp_path / "m.onnx")


def _other():
    model = onnx.load_from_string(MODEL)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros(3, np.float32), "w"))
    return model.SerializeToString()


def _replace(path):
    (path.parent / "new").write_bytes(_other())
    (path.parent / "new").replace(path)


def _write_over(path):
    before = path.stat()
    path.write_bytes(_other())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync and tar do


@pytest.mark.parametrize("change", [_replace, _write_over])
def test_the_identity_is_that_of_what_was_read(tmp_path, change):
    """Not of what lies there when the record is written, hours later."""
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL)
    before, model = OnnxModel(path), OnnxModel(path)
    change(path)
    assert (model.sha256, model.size_bytes) == (before.sha256, len(MODEL))
    assert model.sha256 != OnnxModel(path).sha256
    with pytest.raises(ModelError, match="changed while it was in use: another file has taken"):
        model.check_unchanged()


def test_a_file_that_is_gone_has_changed(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL)
    model = OnnxModel(path)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read any more .No such file"):
        model.check_unchanged()


def test_the_same_content_again_is_no_change(tmp_path):
    """A copy over the file, or other times and permissions, do not lose a measurement."""
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL)
    model = OnnxModel(path)
    path.chmod(0o600)
    os.utime(path)
    model.check_unchanged()
    path.unlink()
    path.write_bytes(MODEL)
    model.check_unchanged()


def test_a_session_on_a_replaced_file_is_refused(tmp_path):
    """ONNX Runtime reads the file again: its answers would get the first file's identity."""
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL)
    model = OnnxModel(path)
    _replace(path)
    with (
        pytest.raises(ModelError, match="changed while it was in use"),
        open_session(model, threads=1),
    ):
        pytest.fail("the session was opened")
