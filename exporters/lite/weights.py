"""Read PyTorch weight files of the old, non-zip format without PyTorch and without running code.

Such a file is five pickles (magic number, protocol, system information, the state dict, the
keys of the storages) followed by each storage: its number of elements, int64, and its raw elements.
In the state dict a tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a storage that is
named by a persistent id.
"""

import math
from collections import OrderedDict
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
    tensor = _TensorRef(storage, offset, tuple(shape), tuple(strides))
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if not isinstance(storage, _StorageRef) or any(type(number) is not int for number in numbers):
        raise PickleError("it has a tensor whose shape is not made of whole numbers")
    return tensor


def _storage(pid: object) -> _StorageRef:
    match pid:
        case ("storage", _StorageType(dtype=dtype), str(key), _, int(n_elements), None):
            return _StorageRef(key, dtype, n_elements)
    raise PickleError("it has a storage of an unknown kind")


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "DoubleStorage"): _StorageType("<f8"),
    ("torch", "HalfStorage"): _StorageType("<f2"),
    ("torch", "LongStorage"): _StorageType("<i8"),
    ("torch", "IntStorage"): _StorageType("<i4"),
}


def read_state_dict(path: Path) -> StateDict:
    """Return every floating-point tensor in the file as float32, by name; else ExportError."""
    try:
        return _read(BytesIO(path.read_bytes()))
    except OSError as error:
        msg = f"Weights {path} cannot be read: {error.strerror}. Check the path."
        raise ExportError(msg) from error
    except Exception as error:  # numpy raises several types for sizes that do not fit
        damaged = f"it is damaged ({one_line(error):.100})"
        reason = str(error) if isinstance(error, PickleError) else damaged
        msg = f"Weights {path} are not usable as a PyTorch file of the old format: {reason}."
        raise ExportError(msg) from error


def _read(file: BytesIO) -> StateDict:
    if file.getvalue().startswith(b"PK"):
        msg = (
            "it has the newer zip format. Save it again in PyTorch with "
            "torch.save(state_dict, path, _use_new_zipfile_serialization=False)"
        )
        raise PickleError(msg)
    magic, protocol, _system, state, keys = (
        load_pickle(file, allowed=_ALLOWED, persistent_load=_storage) for _ in range(5)
    )
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise PickleError("it does not begin with PyTorch's magic number")
    if not isinstance(state, dict) or not state:
        raise PickleError("it holds no state dict")
    references = {name: ref for name, ref in state.items() if isinstance(ref, _TensorRef)}
    dtypes = {ref.storage.key: np.dtype(ref.storage.dtype) for ref in references.values()}
    storages = {}
    for key in keys:
        if not isinstance(key, str) or key not in dtypes:
            raise PickleError("a storage belongs to no tensor")
        (n_elements,) = np.frombuffer(file.read(8), "<i8")
        size_bytes = int(n_elements) * dtypes[key].itemsize
        storages[key] = np.frombuffer(file.read(size_bytes), dtypes[key])
    return {
        name: _view(storages[ref.storage.key], ref)
        for name, ref in references.items()
        if dtypes[ref.storage.key].kind == "f"
    }


def _view(storage: NDArray[Any], ref: _TensorRef) -> NDArray[np.float32]:
    last = ref.offset + sum((n - 1) * s for n, s in zip(ref.shape, ref.strides, strict=True))
    if min(ref.offset, *ref.strides, 0) < 0 or last >= len(storage):
        raise PickleError("a tensor lies outside its storage")
    if math.prod(ref.shape) > len(storage):  # strides of zero: a small file, a huge array
        raise PickleError("a tensor is larger than its storage")
    strides = [step * storage.itemsize for step in ref.strides]
    tensor = np.lib.stride_tricks.as_strided(storage[ref.offset :], ref.shape, strides)
    return np.ascontiguousarray(tensor, dtype=np.float32)


def random_state_dict(shapes: dict[str, tuple[int, ...]], seed: int) -> StateDict:
    """Return He-normal convolutions and identity batch normalisation of the given shapes."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        values = np.full(shape, 1.0 if name.endswith(("running_var", "weight")) else 0.0)
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            values = generator.normal(0, np.sqrt(2 / fan_in), shape)
        state[name] = values.astype(np.float32)
    return state
