"""Files that are models, and files that are not: these end in one line, never a traceback."""

import hashlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tlbench.core.errors import ModelError
from tlbench.model import OnnxModel, TensorInfo


def _simple_model(dtype=TensorProto.FLOAT):
    graph = helper.make_graph(
        [helper.make_node("Add", ["rows", "offset"], ["sums"])],
        "g",
        [
            helper.make_tensor_value_info("rows", dtype, ["N", None, 3]),
            helper.make_tensor_value_info("offset", dtype, [3]),
        ],
        [helper.make_tensor_value_info("sums", dtype, ["N", None, 3])],
        [helper.make_tensor("offset", dtype, [3], [1, 2, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


MODEL_BYTES = _simple_model().SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that the examples of a property share."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "model.onnx"
    found.write_bytes(MODEL_BYTES)
    return found


def _refusal(path):
    with pytest.raises(ModelError) as caught:
        _ = OnnxModel(path).card
    message = str(caught.value)
    assert "\n" not in message
    return message


def _read_or_refuse(path):
    """Read all that commands read; a refusal must be one line."""
    try:
        model = OnnxModel(path)
        _ = model.card, model.sha256
    except ModelError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


def test_signature_is_read(path):
    """A constant is not an input, even where the file lists it as one."""
    model = OnnxModel(path)
    assert model.inputs == (TensorInfo("rows", "float32", ("N", None, 3)),)
    assert model.outputs == (TensorInfo("sums", "float32", ("N", None, 3)),)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (TensorProto.UINT8, "uint8"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.INT64, "int64"),
    ],
)
def test_element_types_have_numpys_names(tmp_path, dtype, name):
    """The types of a signature are those of arrays."""
    path = tmp_path / "model.onnx"
    onnx.save(_simple_model(dtype), path)
    assert OnnxModel(path).inputs[0].dtype == name


def test_identity_is_that_of_the_file(path):
    """Digest and size are of the bytes on the disk."""
    model = OnnxModel(path)
    assert model.sha256 == hashlib.sha256(MODEL_BYTES).hexdigest()
    assert model.size_bytes == len(MODEL_BYTES)


def test_foreign_model_has_no_card(path):
    """Any ONNX file can be measured; what tlbench did not export has no card."""
    assert OnnxModel(path).card is None


def test_the_name_does_not_decide_the_format(tmp_path):
    """A model is read as one whatever its file is called."""
    path = tmp_path / "model.json"
    path.write_bytes(MODEL_BYTES)
    assert OnnxModel(path).inputs[0].name == "rows"


def test_missing_file(tmp_path):
    """The message names the path and how to find a backbone."""
    message = _refusal(tmp_path / "absent.onnx")
    assert "absent.onnx" in message
    assert "tlbench list backbones" in message


def test_folder(tmp_path):
    """A folder is not a model."""
    assert str(tmp_path) in _refusal(tmp_path)


def test_name_too_long_for_a_file(tmp_path):
    """A pasted text instead of a name is refused like a missing file."""
    assert "No model at" in _refusal(tmp_path / ("a" * 300))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"This is a text.\n" * 20, id="text"),
        pytest.param(b"{}", id="JSON"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(64), id="image"),
        pytest.param(bytes(1000), id="zeros"),
        pytest.param(np.random.default_rng(0).bytes(1000), id="noise"),
        pytest.param(MODEL_BYTES[: len(MODEL_BYTES) // 2], id="truncated"),
        pytest.param(onnx.ModelProto(ir_version=8).SerializeToString(), id="no graph"),
    ],
)
@pytest.mark.parametrize("name", ["file.onnx", "file.json", "file.onnxtxt", "file.textproto"])
def test_file_that_is_no_model(tmp_path, content, name):
    """The message names the file, whatever is in it and whatever it is called."""
    path = tmp_path / name
    path.write_bytes(content)
    assert str(path) in _refusal(path)


def test_weights_in_other_files_are_refused(tmp_path):
    """One file travels, and its hash tells what was measured: the way out is in the message."""
    model = _simple_model()
    weights = model.graph.initializer[0]
    values = np.array(weights.float_data, dtype=np.float32)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "offset"))
    path = tmp_path / "model.onnx"
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert "onnx.save(onnx.load(PATH), NEW_PATH)" in _refusal(path)
    onnx.save(onnx.load(path), tmp_path / "one.onnx")
    assert OnnxModel(tmp_path / "one.onnx").inputs


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(folder, content):
    """No content of a file ends in a traceback."""
    path = folder / "arbitrary.onnx"
    path.write_bytes(content)
    _read_or_refuse(path)


@given(st.integers(0, len(MODEL_BYTES) - 1))
def test_every_truncation_is_refused_or_read(folder, length):
    """An interrupted copy of a model never ends in a traceback."""
    path = folder / "truncated.onnx"
    path.write_bytes(MODEL_BYTES[:length])
    _read_or_refuse(path)


@given(
    st.lists(
        st.tuples(st.integers(0, len(MODEL_BYTES) - 1), st.integers(0, 255)),
        min_size=1,
        max_size=4,
    )
)
def test_every_damage_is_refused_or_read(folder, changes):
    """A model with some bytes changed never ends in a traceback."""
    content = bytearray(MODEL_BYTES)
    for position, value in changes:
        content[position] = value
    path = folder / "damaged.onnx"
    path.write_bytes(content)
    _read_or_refuse(path)
