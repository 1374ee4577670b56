"""Read pickles from the internet as data: nothing but allowed names is called."""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, ClassVar, Final, NoReturn

from tlbench.core.errors import one_line

_DATA_INSTRUCTIONS: Final = (
    pickle.PROTO + pickle.FRAME + pickle.STOP + pickle.MARK
    + pickle.NONE + pickle.NEWTRUE + pickle.NEWFALSE
    + pickle.BININT + pickle.BININT1 + pickle.BININT2 + pickle.LONG1 + pickle.BINFLOAT
    + pickle.SHORT_BINSTRING + pickle.BINSTRING
    + pickle.SHORT_BINUNICODE + pickle.BINUNICODE + pickle.BINUNICODE8
    + pickle.SHORT_BINBYTES + pickle.BINBYTES + pickle.BINBYTES8 + pickle.BYTEARRAY8
    + pickle.EMPTY_LIST + pickle.APPEND + pickle.APPENDS
    + pickle.EMPTY_DICT + pickle.SETITEM + pickle.SETITEMS
    + pickle.EMPTY_TUPLE + pickle.TUPLE + pickle.TUPLE1 + pickle.TUPLE2 + pickle.TUPLE3
    + pickle.BINPUT + pickle.LONG_BINPUT + pickle.MEMOIZE + pickle.BINGET + pickle.LONG_BINGET
    + pickle.GLOBAL + pickle.STACK_GLOBAL + pickle.REDUCE + pickle.BUILD + pickle.BINPERSID
    # The text of protocols 0 and 1.
    + pickle.INT + pickle.LONG + pickle.FLOAT + pickle.STRING + pickle.UNICODE
    + pickle.LIST + pickle.DICT + pickle.PUT + pickle.GET
)  # fmt: skip


class PickleError(ValueError):
    """A pickle that is damaged or holds more than data; the message is the reason, one line."""


class _Instructions(dict[int, Callable[[Any], None]]):
    def __missing__(self, code: int) -> NoReturn:
        raise PickleError(f"its pickle instruction {bytes([code])!r} is refused")


class _DataUnpickler(pickle._Unpickler):  # noqa: SLF001 - the public one is in C
    """The standard library's unpickler in Python, less what a malicious file can abuse."""

    # The C unpickler is not safe enough: it allocates its memo by the largest index in the file
    # (nine bytes cost 500 MB), and it accepts dictionary keys whose hash takes exponential time.

    dispatch: ClassVar = _Instructions(
        {code: pickle._Unpickler.dispatch[code] for code in _DATA_INSTRUCTIONS}  # noqa: SLF001
    )
    stack: list[Any]
    append: Callable[[object], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: BytesIO,
        allowed: Mapping[tuple[str, str], object],
        persistent_load: Callable[[Any], object] | None,
        encoding: str,
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._allowed = allowed
        self._load_persistent = persistent_load

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._allowed:
            wanted = repr(f"{module}.{name}"[:120])  # the file chose it: quoted, and cut short
            msg = f"it asks for {wanted}, which is refused. Nothing was run: do not trust this file"
            raise PickleError(msg)
        return self._allowed[module, name]

    def persistent_load(self, pid: object) -> object:
        if self._load_persistent is None:
            raise PickleError("it refers to an object outside the file")
        return self._load_persistent(pid)

    def _extend(self, values: list[object]) -> None:
        if type(self.stack[-1]) is not list:
            raise PickleError("it appends to something that is not a list")
        self.stack[-1].extend(values)

    def _update(self, items: list[object]) -> None:
        # The hash of nested tuples that share their parts takes time exponential in their depth.
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise PickleError("it sets items of something that is not a dictionary")
        if not all(type(key) in {str, bytes} for key in items[::2]):
            raise PickleError("a dictionary has a key that is not text")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._update(items)

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        # Looked up in the type: a function or a class must not have its attributes replaced.
        if (restore := getattr(type(target), "__setstate__", None)) is not None:
            restore(target, state)
        elif not isinstance(target, OrderedDict):  # whose attributes are dropped
            raise PickleError("it sets attributes of something that has none")

    def _bytearray(self) -> None:
        # The standard library's allocates the claimed length before it reads.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch.update(
        {
            pickle.APPEND[0]: lambda self: self._extend([self.stack.pop()]),
            pickle.APPENDS[0]: lambda self: self._extend(self.pop_mark()),
            pickle.SETITEM[0]: lambda self: self._update([self.stack.pop(-2), self.stack.pop()]),
            pickle.SETITEMS[0]: lambda self: self._update(self.pop_mark()),
            pickle.DICT[0]: _dict,
            pickle.BUILD[0]: _build,
            pickle.BYTEARRAY8[0]: _bytearray,
        }
    )


def load_pickle(
    data: bytes | BytesIO,
    *,
    allowed: Mapping[tuple[str, str], object],
    encoding: str = "ASCII",
    persistent_load: Callable[[Any], object] | None = None,
) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the object in a pickle of protocol 0 to 5; the cost grows with its bytes only."""
    # A function in *allowed* must trust no argument and allocate no more than it is given.
    # A BytesIO is left after the pickle's end, where the next may begin.
    file = BytesIO(data) if isinstance(data, bytes) else data
    try:
        return _DataUnpickler(file, allowed, persistent_load, encoding).load()
    except PickleError:
        raise
    except EOFError as error:
        raise PickleError("it ends too early") from error
    except Exception as error:  # damaged pickles raise nearly anything
        reason = one_line(error)[:100] or "no reason given"
        raise PickleError(f"it cannot be read ({type(error).__name__}: {reason!r})") from error
