"""Weight files of PyTorch and safetensors, without either: tensors and nothing else."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.common.state_dict import read_state_dict as read_file
from exporters.lite.backbone import LITE0
from tlbench.core.errors import ExportError


def read_state_dict(path):
    return read_file(path)[0]


MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Global:
    """Pickles as the global of this name, without importing it."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Call:
    """Pickles as a call of a global."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class _Writer(pickle._Pickler):
    """Writes what PyTorch writes; the C pickler cannot be told to."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_global_name(self, obj):
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    def save_call(self, obj):
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)

    dispatch[_Global] = save_global_name
    dispatch[_Call] = save_call

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Storage) else None


class _Storage:
    def __init__(self, key, n_elements, kind="FloatStorage"):
        # The old format has one more entry, which the writer of the zip format drops.
        self.pid = ("storage", _Global("torch", kind), key, "cpu", n_elements, None)


class _ZipWriter(_Writer):
    def persistent_id(self, obj):
        return obj.pid[:-1] if isinstance(obj, _Storage) else None


def legacy_file(state, storages):
    """Return the bytes of a file with this state dict and these storages (key -> array)."""
    buffer = io.BytesIO()
    for part in (MAGIC, PROTOCOL, {"little_endian": True}, state, sorted(storages)):
        _Writer(buffer, protocol=2).dump(part)
    for key in sorted(storages):
        buffer.write(struct.pack("<q", storages[key].size) + storages[key].tobytes())
    return buffer.getvalue()


def zip_file(state, storages, *, compression=zipfile.ZIP_STORED, byteorder=b"little"):
    """Return the bytes of today's format."""
    buffer, content = io.BytesIO(), io.BytesIO()
    _ZipWriter(buffer, protocol=2).dump(state)
    with zipfile.ZipFile(content, "w", compression) as archive:
        archive.writestr("weights/data.pkl", buffer.getvalue())
        if byteorder is not None:  # before 2023 it was not written
            archive.writestr("weights/byteorder", byteorder)
        for key, values in storages.items():
            archive.writestr(f"weights/data/{key}", values.tobytes())
        archive.writestr("weights/version", "3\n")
    return content.getvalue()


def safetensors_file(header, data=b""):
    """Return the bytes of a safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(key, n_elements, shape, *, offset=0, strides=None, kind="FloatStorage"):
    strides = strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    hooks = _Call(_Global("collections", "OrderedDict"))
    storage = _Storage(key, n_elements, kind)
    return _Call(rebuild, storage, offset, shape, strides, False, hooks)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


VALUES = np.arange(12, dtype=np.float32)


FORMATS = pytest.mark.parametrize("write", [legacy_file, zip_file], ids=["old", "zip"])


@FORMATS
def test_tensors_come_back(path, write):
    path.write_bytes(write({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}))
    state = read_state_dict(path)
    np.testing.assert_array_equal(state["a"], VALUES.reshape(3, 4))


@FORMATS
def test_views_of_one_storage_share_it(path, write):
    """A transposed view and a slice, as PyTorch saves them."""
    state = {
        "transposed": tensor("0", 12, (4, 3), strides=(1, 4)),
        "slice": tensor("0", 12, (2,), offset=5),
    }
    path.write_bytes(write(state, {"0": VALUES}))
    loaded = read_state_dict(path)
    np.testing.assert_array_equal(loaded["transposed"], VALUES.reshape(3, 4).T)
    np.testing.assert_array_equal(loaded["slice"], [5, 6])


@FORMATS
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_the_network_of_a_checkpoint_is_found(path, write, key):
    """What the training needs to go on is left out, the optimiser's tensors too."""
    moments = {"state": {"0": {"exp_avg": tensor("1", 3, (3,))}}}
    checkpoint = {"epoch": 3, key: {"a": tensor("0", 12, (3, 4))}, "optimizer": moments}
    path.write_bytes(write(checkpoint, {"0": VALUES, "1": np.ones(3, np.float32)}))
    state = read_state_dict(path)
    assert sorted(state) == ["a"]
    np.testing.assert_array_equal(state["a"], VALUES.reshape(3, 4))


@FORMATS
def test_a_tensor_named_model_is_a_tensor(path, write):
    state = {"model": {"b": tensor("0", 12, (12,))}, "a": tensor("0", 12, (12,))}
    path.write_bytes(write(state, {"0": VALUES}))
    assert sorted(read_state_dict(path)) == ["a"]


@FORMATS
def test_integer_tensors_are_left_out(path, write):
    """Batch normalisation counts its batches; nothing needs the count."""
    counts = np.array([7], dtype=np.int64)
    state = {"a": tensor("0", 12, (12,)), "n": tensor("1", 1, (), kind="LongStorage")}
    path.write_bytes(write(state, {"0": VALUES, "1": counts}))
    assert sorted(read_state_dict(path)) == ["a"]


def test_the_published_weights_can_be_read():
    state = read_state_dict(LITE0._published_file()[0])
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)


@pytest.mark.parametrize(
    "forbidden",
    [("os", "system"), ("builtins", "eval"), ("posix", "system"), ("torch.nn", "Module")],
    ids=".".join,
)
@FORMATS
def test_a_file_that_asks_for_code_is_refused(path, forbidden, write, monkeypatch):
    """The name is refused; nothing is called."""
    called = []
    monkeypatch.setattr(os, "system", called.append)
    call = _Call(_Global(*forbidden), "echo harm")
    path.write_bytes(write({"a": call}, {"0": VALUES}))
    with pytest.raises(ExportError, match=rf"{forbidden[0]}\.{forbidden[1]}.*do not trust"):
        read_state_dict(path)
    assert called == []


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({}, "no state dict"),
        ([1, 2], "no state dict"),
        ({"a": tensor("0", 12, (5, 5))}, "outside its storage"),
        ({"a": tensor("0", 12, (3,), offset=-1)}, "outside its storage"),
        ({"a": tensor("0", 12, (3,), strides=(-1,))}, "outside its storage"),
        ({"a": tensor("0", 12, (10**12,), strides=(0,))}, "larger than its storage"),
        ({"a": tensor("0", 12, (10**9, "a"), strides=(1, 1))}, "not made of whole numbers"),
        ({"a": tensor("0", 12, (-3, 4))}, "shape is negative"),
        ({"a": tensor("0", 12, (1,) * 65)}, "not a short tuple"),
        ({"a": tensor("0", 12, [3, 4], strides=(4, 1))}, "not a short tuple"),
        ({"a": _Call(_Global("collections", "OrderedDict"), [["a", 1]])}, "cannot be read"),
    ],
    ids=[
        *("empty", "list", "too large", "offset", "stride", "repeated", "text", "negative"),
        *("many axes", "list of axes", "arguments"),
    ],
)
@FORMATS
def test_a_wrong_state_dict_is_refused(path, state, match, write):
    path.write_bytes(write(state, {"0": VALUES}))
    with pytest.raises(ExportError, match=match):
        read_state_dict(path)


def test_a_huge_memo_index_costs_no_memory(path):
    """Nine bytes that make Python's own unpickler allocate half a gigabyte are refused."""
    index = pickle.LONG_BINPUT + struct.pack("<I", 2**25)
    path.write_bytes(pickle.PROTO + b"\2" + pickle.NONE + index + pickle.STOP)
    assert path.stat().st_size == 9
    tracemalloc.start()
    try:
        with pytest.raises(ExportError, match="not usable as a file of PyTorch or safetensors"):
            read_state_dict(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_a_storage_without_a_tensor_is_refused(path):
    path.write_bytes(legacy_file({"a": OrderedDict()}, {"0": VALUES}))
    with pytest.raises(ExportError, match="belongs to no tensor"):
        read_state_dict(path)


@FORMATS
def test_a_memo_in_any_format_costs_no_memory(path, write, monkeypatch):
    """The pickle inside an archive is read as carefully as the one without."""
    harmless = write({"a": tensor("0", 12, (12,))}, {"0": VALUES})
    index = pickle.LONG_BINPUT + struct.pack("<I", 2**25)
    monkeypatch.setattr(_Writer, "save_call", lambda self, _: self.write(pickle.NONE + index))
    monkeypatch.setitem(_Writer.dispatch, _Call, _Writer.save_call)
    monkeypatch.setattr(_ZipWriter, "dispatch", _Writer.dispatch)
    path.write_bytes(write({"a": tensor("0", 12, (12,))}, {}))
    assert path.stat().st_size < len(harmless)
    tracemalloc.start()
    try:
        with contextlib.suppress(ExportError):
            read_state_dict(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["shares", "views"])
@FORMATS
def test_many_tensors_of_one_storage_cost_no_memory(path, write, kind):
    """Each name takes some bytes of the file, and would take megabytes of memory."""
    values = np.zeros(100_000, np.float32)
    n_names = 2000
    state = {
        f"{i}": tensor("0", len(values), (50_000,), offset=0 if kind == "shares" else i)
        for i in range(n_names)
    }
    path.write_bytes(write(state, {"0": values}))
    tracemalloc.start()
    try:
        if kind == "shares":  # tied weights
            state = read_state_dict(path)
            assert len(state) == n_names
            assert state["0"] is state["1999"]
        else:
            with pytest.raises(ExportError, match="many times the values of the file"):
                read_state_dict(path)
        # a few copies of the file, and Python objects for its names
        assert tracemalloc.get_traced_memory()[1] < 8 * path.stat().st_size
    finally:
        tracemalloc.stop()


@FORMATS
@pytest.mark.parametrize(
    ("kind", "stored", "expected"),
    [
        ("HalfStorage", np.array([1.5, -2], "<f2"), [1.5, -2]),
        ("DoubleStorage", np.array([1.5, -2], "<f8"), [1.5, -2]),
        ("BFloat16Storage", np.array([0x3FC0, 0xC000], "<u2"), [1.5, -2]),
    ],
)
def test_other_floats_become_float32(path, write, kind, stored, expected):
    path.write_bytes(write({"a": tensor("0", 2, (2,), kind=kind)}, {"0": stored}))
    found = read_state_dict(path)["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@FORMATS
@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0)], ids=str)
def test_scalars_and_empty_tensors_keep_their_shape(path, write, shape):
    values = VALUES[: int(np.prod(shape))]
    path.write_bytes(write({"a": tensor("0", values.size, shape)}, {"0": values}))
    found = read_state_dict(path)["a"]
    assert found.shape == shape
    np.testing.assert_array_equal(found.ravel(), values)


def test_parameters_are_tensors(path):
    """A dictionary of parameters, as `named_parameters` gives it."""
    rebuild = _Global("torch._utils", "_rebuild_parameter")
    hooks = _Call(_Global("collections", "OrderedDict"))
    state = {"a": _Call(rebuild, tensor("0", 12, (3, 4)), True, hooks)}
    path.write_bytes(zip_file(state, {"0": VALUES}, byteorder=None))
    np.testing.assert_array_equal(read_state_dict(path)["a"], VALUES.reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 anything", "damaged"),
        (zip_file({"a": tensor("0", 12, (3, 4))}, {}), "damaged.*data/0"),
        (zip_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES[:5]}), "outside its storage"),
        (
            zip_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}, byteorder=b"big"),
            "not little-endian",
        ),
        (
            zip_file({"a": tensor("0", 9, (9,))}, {"0": VALUES}, compression=zipfile.ZIP_DEFLATED),
            "is compressed",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "instruction"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_other_files_are_refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(ExportError, match=match):
        read_state_dict(path)


def test_an_archive_of_something_else_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "text")
    with pytest.raises(ExportError, match="not one that torch.save wrote"):
        read_state_dict(path)


def test_the_digest_is_that_of_the_file(path):
    path.write_bytes(zip_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}))
    assert read_file(path)[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def _entry(dtype, shape, first, last):
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


def test_safetensors_come_back(path):
    """Floats of every size as float32, without the integers and the notes."""
    half, brain = np.array([1.5, -2], "<f2"), np.array([0x3FC0, 0xC000], "<u2")
    header = {
        "__metadata__": {"format": "pt"},
        "b": _entry("F16", [2], 48, 52),
        "a": _entry("F32", [3, 4], 0, 48),
        "c": _entry("BF16", [2, 1], 52, 56),
        "n": _entry("I64", [], 56, 64),
        "z": _entry("F64", [0, 5], 64, 64),
    }
    data = VALUES.tobytes() + half.tobytes() + brain.tobytes() + bytes(8)
    path.write_bytes(safetensors_file(header, data))
    state = read_state_dict(path)
    assert sorted(state) == ["a", "b", "c", "z"]
    assert {array.dtype.name for array in state.values()} == {"float32"}
    np.testing.assert_array_equal(state["a"], VALUES.reshape(3, 4))
    np.testing.assert_array_equal(state["b"], [1.5, -2])
    np.testing.assert_array_equal(state["c"], [[1.5], [-2]])
    assert state["z"].shape == (0, 5)


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ({"a": _entry("F32", [12], 0, 52)}, "outside the file"),
        ({"a": _entry("F32", [12], -4, 44)}, "outside the file"),
        ({"a": _entry("F32", [2], 8, 0)}, "outside the file"),
        ({"a": _entry("F32", [9], 0, 36), "b": _entry("F32", [9], 8, 44)}, "share their place"),
        ({"a": _entry("F32", [13], 0, 48)}, "damaged"),
        ({"a": _entry("F32", [-1], 0, 48)}, "negative"),
        ({"a": _entry("F32", ["12"], 0, 48)}, "damaged"),
        ({"a": [1, 2]}, "damaged"),
        (b'{"a": ' + b"[" * 100_000, "damaged"),
        (b'{"a": {"dtype": "F32", "shape"', "damaged"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_wrong_safetensors_are_refused(path, header, match):
    path.write_bytes(safetensors_file(header, VALUES.tobytes()))
    with pytest.raises(ExportError, match=match):
        read_state_dict(path)


def test_a_claimed_header_costs_no_memory(path):
    """Its length is the file's word, and is not taken."""
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    tracemalloc.start()
    try:
        with contextlib.suppress(ExportError):
            read_state_dict(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_named(path):
    with pytest.raises(ExportError, match=r"weights\.pth cannot be read"):
        read_state_dict(path)


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_files_are_export_errors(tmp_path_factory, data):
    """Whatever byte is changed or cut off, the answer is tensors or one clear error."""
    content = bytearray(
        data.draw(
            st.sampled_from(
                [
                    legacy_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}),
                    zip_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}),
                    safetensors_file({"a": _entry("F32", [3, 4], 0, 48)}, VALUES.tobytes()),
                ]
            )
        )
    )
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    path.write_bytes(content[:end])
    with contextlib.suppress(ExportError):
        state = read_state_dict(path)
        assert all(array.dtype == np.float32 for array in state.values())
