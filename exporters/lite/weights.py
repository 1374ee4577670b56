"""Read PyTorch weight files of the old, non-zip format without PyTorch and without running code.

Such a file is five pickles (magic number, protocol, system facts, the state dict, the storages'
keys) followed by each storage: its number of elements, int64, and its raw elements. In the state
dict a tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a storage named by a persistent
id.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ExportError

StateDict = dict[str, NDArray[np.float32]]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


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
    return _TensorRef(storage, offset, tuple(shape), tuple(strides))


class _TensorUnpickler(pickle.Unpickler):
    """Admits ordered dictionaries of tensors and nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the base class
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _StorageType(_STORAGE_DTYPES[name])
        msg = f"it asks for {module}.{name}, which is no tensor. Do not trust this file"
        raise ExportError(msg)

    def persistent_load(self, pid: Any) -> _StorageRef:  # noqa: ANN401 - as the base class
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), _, int(n_elements), None):
                return _StorageRef(key, dtype, n_elements)
        raise ExportError(f"it has a storage of an unknown kind: {pid!r:.100}")


def read_state_dict(path: Path) -> StateDict:
    """Return name -> float32 array of every floating-point tensor in the file.

    Raises
    ------
    ExportError
        If the file is missing, of another format, damaged, or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        msg = f"Weights {path} cannot be read: {error.strerror}. Check the path after --weights."
        raise ExportError(msg) from error
    except ExportError as error:
        raise ExportError(f"Weights {path} are not usable: {error}.") from error
    except (
        Exception
    ) as error:  # damaged pickles raise nearly anything: each means the same to a user
        msg = f"Weights {path} are no PyTorch file of the old format, or damaged: {error!r:.120}."
        raise ExportError(msg) from error


def _read(file: BinaryIO) -> StateDict:
    if file.read(2) == b"PK":
        msg = (
            "the file is of the newer zip format. Save it again in PyTorch with "
            "torch.save(state_dict, path, _use_new_zipfile_serialization=False)"
        )
        raise ExportError(msg)
    file.seek(0)
    load: Callable[[], Any] = lambda: _TensorUnpickler(file).load()  # noqa: E731 - one pickle after another
    magic, protocol = load(), load()
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ExportError("it does not begin with PyTorch's magic number")
    load()  # facts of the system that wrote it
    state, keys = load(), load()
    if not isinstance(state, dict) or not state:
        raise ExportError("it holds no state dict")
    references = {name: ref for name, ref in state.items() if isinstance(ref, _TensorRef)}
    dtypes = {ref.storage.key: ref.storage.dtype for ref in references.values()}
    storages = {}
    for key in keys:
        if key not in dtypes:
            raise ExportError(f"storage {key!r} belongs to no tensor")
        (n_elements,) = np.frombuffer(file.read(8), "<i8")
        storages[key] = np.frombuffer(
            file.read(int(n_elements) * np.dtype(dtypes[key]).itemsize), dtypes[key]
        )
    return {
        name: _view(storages[ref.storage.key], ref)
        for name, ref in references.items()
        if np.dtype(ref.storage.dtype).kind == "f"
    }


def _view(storage: NDArray[Any], ref: _TensorRef) -> NDArray[np.float32]:
    last = ref.offset + sum((n - 1) * s for n, s in zip(ref.shape, ref.strides, strict=True))
    if min(ref.offset, *ref.strides, 0) < 0 or last >= len(storage):
        raise ExportError("a tensor lies outside its storage")
    strides = [step * storage.itemsize for step in ref.strides]
    tensor = np.lib.stride_tricks.as_strided(storage[ref.offset :], ref.shape, strides)
    return np.ascontiguousarray(tensor, dtype=np.float32)


def random_state_dict(shapes: dict[str, tuple[int, ...]], seed: int) -> StateDict:
    """Return He-normal convolutions and identity batch normalisation of the given shapes."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            values = generator.normal(0, np.sqrt(2 / fan_in), shape)
        else:
            is_one = name.endswith(("running_var", "weight"))
            values = np.full(shape, 1.0 if is_one else 0.0)
        state[name] = values.astype(np.float32)
    return state
