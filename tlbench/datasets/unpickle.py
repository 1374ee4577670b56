"""Read the dictionary of numbers, texts and numpy arrays in a pickle from the internet.

numpy's own functions for this take sizes and types from the file. The stand-ins below make an array
only of bytes that are really there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import DataError
from tlbench.core.pickles import PickleError, load_pickle

# Numbers only: an object array is a list of arbitrary objects, a structured type a small program.
_DTYPE_CODES: Final = frozenset(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
_MAX_DIMENSIONS: Final = 32
_NDARRAY: Final = object()  # stands for the class numpy.ndarray, which no file may call
_PLAIN: Final = (int, float, str, bytes, bytearray, np.ndarray)


@dataclass(slots=True)
class _Dtype:
    code: str
    byte_order: str = "|"

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, order, None, None, None, *_) if _text(order) in {"|", "<", ">"}:
                self.byte_order = _text(order)
            case _:
                raise PickleError("the description of a number type has the wrong form")


class _Budget:
    """Counts the bytes that are copied: a file may copy one text a thousand times."""

    def __init__(self, file_bytes: int) -> None:
        self._left = 2 * file_bytes  # Python 3 wrote bytes as a text, and an array as bytes

    def spend(self, n_bytes: int) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise PickleError("its byte strings are larger than the file")

    def encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise PickleError(f"it encodes text as {encoding!r:.20}")
        self.spend(len(text))
        return text.encode("latin-1")


class _Array(np.ndarray[Any, Any]):
    """An array that gets its content from the state that follows it in the file."""

    budget: _Budget

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, shape, dtype, fortran, bytes(raw)):
                self.budget.spend(len(raw))
                array = _frombuffer(raw, dtype, shape, "F" if fortran else "C")
                filled: Any = (1, array.shape, array.dtype, bool(fortran), raw)
                super().__setstate__(filled)
            case _:
                raise PickleError("the description of an array has the wrong form")


def _dtype(code: object, *_flags: object) -> _Dtype:
    if _text(code) not in _DTYPE_CODES:
        raise PickleError(f"it has an array of type {_text(code)[:20]!r}, which is not a number")
    return _Dtype(_text(code))


def _frombuffer(
    raw: object, dtype: object, shape: object, order: object, axes: object = None
) -> NDArray[Any]:
    match raw, dtype, shape, order:
        case bytes() | bytearray(), _Dtype(), tuple(), "C" | "F" | "K":
            kind = np.dtype(dtype.byte_order + dtype.code)
        case _:
            raise PickleError("the description of an array has the wrong form")
    if isinstance(axes, tuple) is not (order == "K"):
        raise PickleError("the order of an array's axes has the wrong form")
    if len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise PickleError("the shape of an array is impossible")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise PickleError(f"an array of shape {shape} has {len(raw)} bytes")
    array: NDArray[Any] = np.frombuffer(raw, kind)
    array = array.reshape(shape, order="F" if order == "F" else "C")
    # How numpy writes transposed arrays: the axes in the order that they have in memory.
    return array.transpose(axes) if isinstance(axes, tuple) else array


def _scalar(dtype: object, raw: object) -> int | float:
    number: int | float = _frombuffer(raw, dtype, (), "C").item()
    return number


def _text(value: object) -> str:
    """Return byte strings of Python 2 as text, and what is not text as an empty one."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def parse_pickle(content: bytes, origin: str) -> dict[str, object]:
    """Return the dictionary in a pickle of protocol 0 to 5; *origin* names it in a DataError.

    Keys are text. Values are numbers, None, str, bytes, lists, dictionaries, and numeric arrays.
    """
    budget = _Budget(len(content))

    def reconstruct(kind: object, shape: object, code: object) -> _Array:
        if kind is not _NDARRAY or shape != (0,) or _text(code) != "b":
            raise PickleError("it makes something that is not an array of numbers")
        array = _Array(0, np.int8)
        array.budget = budget
        return array

    allowed = {
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "dtype"): _dtype,
        # The modules of numpy 1 and numpy 2; the second function is that of protocol 5.
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("numpy.core.numeric", "_frombuffer"): _frombuffer,
        ("numpy._core.numeric", "_frombuffer"): _frombuffer,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
        # How Python 3 writes bytes in protocols 0 to 2: as a text in Latin-1, or as bytes().
        ("_codecs", "encode"): budget.encode,
        ("__builtin__", "bytes"): lambda: b"",
    }
    try:
        result = _check_plain(load_pickle(content, allowed=allowed, encoding="bytes"))
    except PickleError as error:
        raise DataError(
            f"{origin} is truncated, damaged or not a file of this dataset: {error}. Get it again."
        ) from error
    return {
        _text(key): value.view(np.ndarray) if isinstance(value, _Array) else value
        for key, value in result.items()
    }


def _check_plain(result: object) -> dict[str | bytes, object]:
    """Return the file's dictionary; refuse another value, and what is not data inside it."""
    if not isinstance(result, dict):
        raise PickleError("it does not contain a dictionary")
    values: list[object] = [result]
    seen: set[int] = set()
    while values:
        value = values.pop()
        if isinstance(value, (list, dict)):
            if id(value) not in seen:
                seen.add(id(value))
                values.extend(value.values() if isinstance(value, dict) else value)
        elif value is not None and not isinstance(value, _PLAIN):
            raise PickleError(
                "a value is neither a number, a text, a list, a dictionary nor an array"
            )
    return result


def read_pickle(path: Path, digest: Callable[[bytes], object] | None = None) -> dict[str, object]:
    """Return `parse_pickle` of a file; its bytes also go to *digest*, a hash's ``update``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}. Check the file.") from error
    if digest is not None:
        digest(content)
    return parse_pickle(content, str(path))
