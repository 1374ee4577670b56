"""Read PyTorch's weight files and safetensors without PyTorch and without running code.

`torch.save` writes a zip archive: ``data.pkl``, a pickle of the state dict, and the raw elements of
each storage as ``data/KEY``. Until 2020 it wrote five pickles (magic number, protocol, system
information, the state dict, the keys of the storages) followed by each storage: its number of
elements, int64, and its raw elements. In the state dict a tensor is a call of
``torch._utils._rebuild_tensor_v2`` on a storage that is named by a persistent id. A checkpoint has
the state dict inside, as ``state_dict`` or ``model``, beside what the training needs to go on.

A ``.safetensors`` file is the length of a JSON header, uint64, the header, which gives the dtype,
the shape and the place of each tensor, and the raw elements.
"""

import hashlib
import json
import math
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ExportError, one_line
from tlbench.core.pickles import PickleError, load_pickle

StateDict = dict[str, NDArray[np.float32]]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Where training scripts keep the state dict inside a checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_MOST_AXES = 64  # numpy's own limit
# Views of one storage may overlap. Without a bound, a small file could ask for any memory by naming
# one storage again and again.
_MOST_VALUES = 2  # of all tensors, as a multiple of what the file holds
_BFLOAT16 = "bfloat16"  # numpy has no such type


class _StorageType(NamedTuple):
    dtype: str


class _StorageRef(NamedTuple):
    key: str
    dtype: str
    n_elements: int


class _TensorRef(NamedTuple):
    storage: _StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _StorageRef, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _TensorRef:
    for axes in (shape, strides):
        if not isinstance(axes, tuple) or len(axes) > _MOST_AXES:
            raise PickleError("it has a tensor whose shape is not a short tuple")
    tensor = _TensorRef(storage, offset, shape, strides)
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if not isinstance(storage, _StorageRef) or any(type(number) is not int for number in numbers):
        raise PickleError("it has a tensor whose shape is not made of whole numbers")
    if min(shape, default=0) < 0:
        raise PickleError("it has a tensor whose shape is negative")
    return tensor


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _ordered_dict() -> OrderedDict[str, object]:
    # PyTorch gives no arguments. Any would be copied, and their keys hashed, at each call.
    return OrderedDict()


def _storage(pid: object) -> _StorageRef:
    match pid:
        case ("storage", _StorageType(dtype=dtype), str(key), _, int(n_elements)) | (
            "storage",
            _StorageType(dtype=dtype),
            str(key),
            _,
            int(n_elements),
            None,
        ):
            return _StorageRef(key, dtype, n_elements)
    raise PickleError("it has a storage of an unknown kind")


_ALLOWED = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "DoubleStorage"): _StorageType("<f8"),
    ("torch", "HalfStorage"): _StorageType("<f2"),
    ("torch", "BFloat16Storage"): _StorageType(_BFLOAT16),
    ("torch", "LongStorage"): _StorageType("<i8"),
    ("torch", "IntStorage"): _StorageType("<i4"),
    ("torch", "ShortStorage"): _StorageType("<i2"),
    ("torch", "CharStorage"): _StorageType("<i1"),
    ("torch", "ByteStorage"): _StorageType("<u1"),
    ("torch", "BoolStorage"): _StorageType("|b1"),
}
_SAFETENSORS_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": _BFLOAT16}
_HEADER_AT = 8  # bytes of the header's length


def read_state_dict(path: Path) -> tuple[StateDict, str]:
    """Return the file's floating-point tensors as float32, by name, and its SHA-256.

    ExportError if it cannot be read or is not a file of weights.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"Weights {path} cannot be read: {error.strerror}. Check the path."
        raise ExportError(msg) from error
    try:
        return _read(content), hashlib.sha256(content).hexdigest()
    except Exception as error:  # numpy raises several types for sizes that do not fit
        damaged = f"it is damaged ({one_line(error):.100})"
        reason = str(error) if isinstance(error, PickleError) else damaged
        msg = f"Weights {path} are not usable as a file of PyTorch or safetensors: {reason}."
        raise ExportError(msg) from error


def _read(content: bytes) -> StateDict:
    if not content:
        raise PickleError("it is empty")
    if content.startswith(b"version https://git-lfs.github.com/"):
        raise PickleError("it is a Git LFS pointer. Fetch the file itself: git lfs pull")
    if content.startswith(b"PK"):
        return _read_zip(content)
    if content[_HEADER_AT : _HEADER_AT + 1] == b"{":
        return _read_safetensors(content)
    return _read_old(BytesIO(content))


def _read_zip(content: bytes) -> StateDict:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("it is a zip archive, but not one that torch.save wrote")
        folder = pickles[0].removesuffix("data.pkl")
        remaining = len(content)

        def member(name: str) -> bytes:
            """Return a member; all together are no larger than the file."""
            nonlocal remaining
            info = archive.getinfo(folder + name)
            remaining -= info.file_size
            if info.compress_type != zipfile.ZIP_STORED or remaining < 0:
                raise PickleError("a member of the archive is compressed, as PyTorch writes none")
            return archive.read(info)

        if f"{folder}byteorder" in names and member("byteorder") != b"little":
            raise PickleError("its numbers are not little-endian")
        state = load_pickle(member("data.pkl"), allowed=_ALLOWED, persistent_load=_storage)
        references = _references(state)
        dtypes = {ref.storage.key: ref.storage.dtype for ref in references.values()}
        storages = {key: _elements(member(f"data/{key}"), dtype) for key, dtype in dtypes.items()}
    return _tensors(references, storages)


def _read_old(file: BytesIO) -> StateDict:
    dtypes = {}  # of all storages: those of an optimiser lie between those of the network

    def storage(pid: object) -> _StorageRef:
        ref = _storage(pid)
        dtypes[ref.key] = ref.dtype
        return ref

    magic, protocol, _system, state, keys = (
        load_pickle(file, allowed=_ALLOWED, persistent_load=storage) for _ in range(5)
    )
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise PickleError("it does not begin with PyTorch's magic number")
    references = _references(state)
    storages = {}
    for key in keys:
        if not isinstance(key, str) or key not in dtypes:
            raise PickleError("a storage belongs to no tensor")
        (n_elements,) = np.frombuffer(file.read(8), "<i8")
        size = int(n_elements) * (2 if dtypes[key] == _BFLOAT16 else np.dtype(dtypes[key]).itemsize)
        storages[key] = _elements(file.read(max(size, 0)), dtypes[key])
    return _tensors(references, storages)


def _read_safetensors(content: bytes) -> StateDict:
    length = int.from_bytes(content[:_HEADER_AT], "little")
    header = json.loads(content[_HEADER_AT : _HEADER_AT + length])
    header.pop("__metadata__", None)
    data, state, end = content[_HEADER_AT + length :], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        if not end <= first <= last <= len(data):  # the format allows no overlap
            raise PickleError("a tensor lies outside the file, or two share their place")
        end = last
        if (dtype := _SAFETENSORS_DTYPES.get(entry["dtype"])) is not None:
            if min(entry["shape"], default=0) < 0:
                raise PickleError("it has a tensor whose shape is negative")
            values = _elements(data[first:last], dtype).reshape(entry["shape"])
            state[name] = values.astype(np.float32, copy=False)
    return state


def _references(state: object) -> dict[str, _TensorRef]:
    if not isinstance(state, dict) or not state:
        raise PickleError("it holds no state dict")
    references = {name: ref for name, ref in state.items() if isinstance(ref, _TensorRef)}
    inside = next((state[key] for key in _WRAPPERS if isinstance(state.get(key), dict)), None)
    return references if references or inside is None else _references(inside)


def _elements(data: bytes, dtype: str) -> NDArray[Any]:
    if dtype == _BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, dtype)


def _tensors(
    references: Mapping[str, _TensorRef], storages: Mapping[str, NDArray[Any]]
) -> StateDict:
    floats = {
        name: ref for name, ref in references.items() if storages[ref.storage.key].dtype.kind == "f"
    }
    distinct = set(floats.values())  # tied weights share one array
    for ref in distinct:
        _check(ref, len(storages[ref.storage.key]))
    n_values = sum(math.prod(ref.shape) for ref in distinct)
    if n_values > _MOST_VALUES * sum(len(storage) for storage in storages.values()):
        raise PickleError("its tensors hold many times the values of the file")
    views = {ref: _view(storages[ref.storage.key], ref) for ref in distinct}
    return {name: views[ref] for name, ref in floats.items()}


def _check(ref: _TensorRef, n_stored: int) -> None:
    last = ref.offset + sum((n - 1) * s for n, s in zip(ref.shape, ref.strides, strict=True))
    if min(ref.offset, *ref.strides, 0) < 0 or (last >= n_stored and 0 not in ref.shape):
        raise PickleError("a tensor lies outside its storage")
    if math.prod(ref.shape) > n_stored:  # strides of zero: a small file, a huge array
        raise PickleError("a tensor is larger than its storage")


def _view(storage: NDArray[Any], ref: _TensorRef) -> NDArray[np.float32]:
    strides = [step * storage.itemsize for step in ref.strides]
    tensor: NDArray[Any] = np.lib.stride_tricks.as_strided(
        storage[ref.offset :], ref.shape, strides
    )
    return tensor.astype(np.float32, order="C", copy=False)  # `ascontiguousarray` adds an axis
