"""Read dictionaries of numbers and arrays out of pickles from the internet, without running them.

A pickle is a program, and ``pickle.load`` runs it. Restricting ``find_class`` is not enough here:
five bytes of a damaged file make the standard unpickler fill 64 GiB with an empty memo, and the
functions of numpy that one would have to admit take sizes and types from the file. So this module
interprets the few instructions that such files consist of (``pickletools`` says what each does)
and calls nothing: what looks like a call is compared with the known ways to write an array, and
the array is made here, from bytes that are really in the file.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import DataError

# All that may be named in a file, under the module names of numpy 1 and numpy 2.
_GLOBALS: Final = {
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    # How Python 3 writes bytes in protocol 2: as the Latin-1 encoding of a text, or as bytes().
    "_codecs encode": "encode",
    "__builtin__ bytes": "bytes",
}
# Numbers only: an object array is a list of arbitrary objects, a structured type a small program.
_DTYPE_CODES: Final = frozenset(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
_MAX_DIMENSIONS: Final = 32
_MARK: Final = object()


@dataclass(frozen=True, slots=True)
class _Global:
    """A name that the file mentions; never the object of that name."""

    kind: str


@dataclass(slots=True)
class _Dtype:
    code: str
    byte_order: str = "|"


@dataclass(slots=True)
class _PendingArray:
    array: NDArray[Any] | None = None


@dataclass(slots=True)
class _Machine:
    """A stack and a memo, as the standard unpickler has them; every value on them is inert."""

    content: bytes
    origin: str
    position: int = 0
    stack: list[object] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    encoded_bytes: int = 0

    def error(self, reason: str) -> DataError:
        msg = (
            f"{self.origin} is damaged or no file of this dataset: {reason} "
            f"(at byte {self.position} of {len(self.content)}). Get the file again."
        )
        return DataError(msg)

    def run(self) -> object:
        try:
            for opcode, argument, position in pickletools.genops(self.content):
                self.position = position or 0
                if opcode.name == "STOP":
                    break
                action = _ACTIONS.get(opcode.name)
                if action is None:
                    raise self.error(f"no array file needs its pickle instruction {opcode.name}")
                action(self, argument)
        except DataError:  # a ValueError too
            raise
        except (ValueError, DeprecationWarning) as error:
            # The warning is Python's about a backslash in a name; it is an error under -W error.
            msg = (
                f"{self.origin} is truncated or damaged: after byte {self.position} of "
                f"{len(self.content)} it is no pickle ({str(error)[:100]!r}). Get the file again."
            )
            raise DataError(msg) from error
        return self.pop()

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is _MARK:
            raise self.error("an instruction lacks its value")
        return self.stack.pop()

    def top(self) -> object:
        value = self.pop()
        self.push(value)
        return value

    def put(self, index: int) -> None:
        self.memo[index] = self.top()

    def pop_to_mark(self) -> list[object]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise self.error("a sequence has no beginning")

    def plain(self, value: object) -> object:
        """Return *value* as the result may hold it: no stand-in of this module may leak."""
        if isinstance(value, _PendingArray) and value.array is not None:
            return value.array
        if value is None or isinstance(value, (bytes, str, int, list, dict)):
            return value
        raise self.error("a value is neither a number, a text, a list, a dictionary nor an array")


_Action: TypeAlias = Callable[[_Machine, Any], None]


def parse_pickle(content: bytes, origin: str) -> dict[str, object]:
    """Return the dictionary that a pickle of protocol 2 to 4 holds.

    Parameters
    ----------
    content : bytes
        The whole pickle.
    origin : str
        What to call it in an error: the file's path.

    Returns
    -------
    dict
        Keys are text (byte strings of Python 2 are read as Latin-1). Values are None, int, bool,
        str, bytes, list, dict, or read-only arrays of integers or floats.

    Raises
    ------
    DataError
        If the pickle is damaged, holds anything else, or names a function or class that arrays do
        not need; the message says which. Nothing that the pickle names is ever called.
    """
    machine = _Machine(content, origin)
    result = machine.run()
    if not isinstance(result, dict):
        raise machine.error("it holds no dictionary")
    return result


def read_pickle(path: Path, digest: Callable[[bytes], object] | None = None) -> dict[str, object]:
    """Return the dictionary in a pickle file, or raise DataError; see `parse_pickle`.

    *digest*, such as the ``update`` of a hash, is given the file's bytes: they are read once.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}. Check the file.") from error
    if digest is not None:
        digest(content)
    return parse_pickle(content, str(path))


def _text(value: object) -> str:
    """Return byte strings of Python 2 as text, and what is no text as an empty one."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _get(machine: _Machine, index: int) -> None:
    if index not in machine.memo:
        raise machine.error(f"it refers to value {index}, which it does not have")
    machine.push(machine.memo[index])


def _tuple(size: int) -> _Action:
    return lambda machine, _: machine.push(tuple([machine.pop() for _ in range(size)][::-1]))


def _extend(machine: _Machine, values: list[object]) -> None:
    target = machine.top()
    if not isinstance(target, list):
        raise machine.error("it appends to something that is no list")
    target.extend([machine.plain(value) for value in values])


def _update(machine: _Machine, values: list[object]) -> None:
    target = machine.top()
    if not isinstance(target, dict) or len(values) % 2:
        raise machine.error("it fills something that is no dictionary")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, (bytes, str)):
            raise machine.error("a dictionary's key is no text")
        target[_text(key)] = machine.plain(value)


def _global(machine: _Machine, name: str) -> None:
    if name not in _GLOBALS:
        wanted = repr(name.replace(" ", ".")[:120])  # chosen by the file: on one line, and short
        msg = (
            f"{machine.origin} asks for {wanted}, which no array file needs. It was refused and "
            "nothing was run: do not trust this file, and get it again from its publisher."
        )
        raise DataError(msg)
    machine.push(_Global(_GLOBALS[name]))


def _stack_global(machine: _Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    _global(machine, f"{_text(module)} {_text(name)}")


def _reduce(machine: _Machine, _: object) -> None:
    """Push what the known function would return for the known arguments; calls nothing."""
    arguments, function = machine.pop(), machine.pop()
    match function, arguments:
        case _Global(kind="reconstruct"), (_Global(kind="ndarray"), (0,), b"b" | "b"):
            machine.push(_PendingArray())
        case _Global(kind="dtype"), (code, *_) if _text(code) in _DTYPE_CODES:
            machine.push(_Dtype(_text(code)))
        case _Global(kind="encode"), (str(text), "latin1"):
            machine.push(_encode(machine, text))
        case _Global(kind="bytes"), ():
            machine.push(b"")
        case _:
            raise machine.error("it makes something that is no array of numbers")


def _encode(machine: _Machine, text: str) -> bytes:
    # One text encoded again and again would need far more memory than the file has bytes.
    machine.encoded_bytes += len(text)
    if machine.encoded_bytes > len(machine.content):
        raise machine.error("its byte strings are larger than the file")
    return text.encode("latin-1")  # UnicodeEncodeError is a ValueError, which run() reports


def _build(machine: _Machine, _: object) -> None:
    state, target = machine.pop(), machine.top()
    match target, state:
        case _Dtype(), (_, order, None, None, None, *_) if _text(order) in {"|", "<", ">"}:
            target.byte_order = _text(order)
        case _PendingArray(), (_, tuple(shape), _Dtype() as dtype, fortran, bytes(raw)):
            target.array = _array(machine, shape, dtype, raw, fortran=bool(fortran))
        case _:
            raise machine.error("an array's description has the wrong form")


def _array(
    machine: _Machine, shape: tuple[object, ...], dtype: _Dtype, raw: bytes, *, fortran: bool
) -> NDArray[Any]:
    sizes = [n for n in shape if isinstance(n, int) and 0 <= n < 1 << 31]
    if len(sizes) != len(shape) or len(shape) > _MAX_DIMENSIONS:
        raise machine.error("an array's shape is impossible")
    kind = np.dtype(dtype.byte_order + dtype.code)
    if math.prod(sizes) * kind.itemsize != len(raw):
        raise machine.error(f"an array of shape {tuple(sizes)} has {len(raw)} bytes")
    return np.frombuffer(raw, dtype=kind).reshape(sizes, order="F" if fortran else "C")


_ACTIONS: Final[dict[str, _Action]] = {
    **dict.fromkeys(["PROTO", "FRAME"], lambda _machine, _: None),
    **dict.fromkeys(["BININT", "BININT1", "BININT2", "LONG1"], _Machine.push),
    **dict.fromkeys(["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"], _Machine.push),
    **dict.fromkeys(["SHORT_BINBYTES", "BINBYTES", "BINBYTES8"], _Machine.push),
    # pickletools shows the byte strings of Python 2 as the Latin-1 text of the same bytes.
    "SHORT_BINSTRING": lambda machine, text: machine.push(text.encode("latin-1")),
    "BINSTRING": lambda machine, text: machine.push(text.encode("latin-1")),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(value=True),
    "NEWFALSE": lambda machine, _: machine.push(value=False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.push(_MARK),
    **dict.fromkeys(["BINPUT", "LONG_BINPUT"], _Machine.put),
    **dict.fromkeys(["BINGET", "LONG_BINGET"], _get),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "APPEND": lambda machine, _: _extend(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _update(machine, [machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: _update(machine, machine.pop_to_mark()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
