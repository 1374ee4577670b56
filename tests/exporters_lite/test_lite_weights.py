"""PyTorch's old weight files, without PyTorch: tensors and nothing else."""

import contextlib
import io
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.lite.backbone import LITE0
from exporters.lite.weights import read_state_dict
from tlbench.core.errors import ExportError

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
        self.pid = ("storage", _Global("torch", kind), key, "cpu", n_elements, None)


def legacy_file(state, storages):
    """Return the bytes of a file with this state dict and these storages (key -> array)."""
    buffer = io.BytesIO()
    for part in (MAGIC, PROTOCOL, {"little_endian": True}, state, sorted(storages)):
        _Writer(buffer, protocol=2).dump(part)
    for key in sorted(storages):
        buffer.write(struct.pack("<q", storages[key].size) + storages[key].tobytes())
    return buffer.getvalue()


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


def test_tensors_come_back(path):
    path.write_bytes(legacy_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}))
    state = read_state_dict(path)
    np.testing.assert_array_equal(state["a"], VALUES.reshape(3, 4))


def test_views_of_one_storage_share_it(path):
    """A transposed view and a slice, as PyTorch saves them."""
    state = {
        "transposed": tensor("0", 12, (4, 3), strides=(1, 4)),
        "slice": tensor("0", 12, (2,), offset=5),
    }
    path.write_bytes(legacy_file(state, {"0": VALUES}))
    loaded = read_state_dict(path)
    np.testing.assert_array_equal(loaded["transposed"], VALUES.reshape(3, 4).T)
    np.testing.assert_array_equal(loaded["slice"], [5, 6])


def test_integer_tensors_are_left_out(path):
    """Batch normalisation counts its batches; nothing needs the count."""
    counts = np.array([7], dtype=np.int64)
    state = {"a": tensor("0", 12, (12,)), "n": tensor("1", 1, (), kind="LongStorage")}
    path.write_bytes(legacy_file(state, {"0": VALUES, "1": counts}))
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
def test_a_file_that_asks_for_code_is_refused(path, forbidden, monkeypatch):
    """The name is refused; nothing is called."""
    called = []
    monkeypatch.setattr(os, "system", called.append)
    call = _Call(_Global(*forbidden), "echo harm")
    path.write_bytes(legacy_file({"a": call}, {"0": VALUES}))
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
        ({"a": OrderedDict()}, "belongs to no tensor"),
    ],
    ids=["empty", "list", "too large", "offset", "stride", "repeated", "text", "no tensor"],
)
def test_a_wrong_state_dict_is_refused(path, state, match):
    path.write_bytes(legacy_file(state, {"0": VALUES}))
    with pytest.raises(ExportError, match=match):
        read_state_dict(path)


def test_a_huge_memo_index_costs_no_memory(path):
    """Nine bytes that make Python's own unpickler allocate half a gigabyte are refused."""
    index = pickle.LONG_BINPUT + struct.pack("<I", 2**25)
    path.write_bytes(pickle.PROTO + b"\2" + pickle.NONE + index + pickle.STOP)
    assert path.stat().st_size == 9
    tracemalloc.start()
    try:
        with pytest.raises(ExportError, match="not usable as a PyTorch file of the old format"):
            read_state_dict(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_the_newer_format_says_how_to_convert(path):
    path.write_bytes(b"PK\x03\x04 anything")
    with pytest.raises(ExportError, match="_use_new_zipfile_serialization=False"):
        read_state_dict(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(ExportError, match=r"weights\.pth cannot be read"):
        read_state_dict(path)


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_files_are_export_errors(tmp_path_factory, data):
    """Whatever byte is changed or cut off, the answer is tensors or one clear error."""
    content = bytearray(legacy_file({"a": tensor("0", 12, (3, 4))}, {"0": VALUES}))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    path.write_bytes(content[:end])
    with contextlib.suppress(ExportError):
        state = read_state_dict(path)
        assert all(array.dtype == np.float32 for array in state.values())
