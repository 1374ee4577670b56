"""Where text goes: reports to stdout or a file, progress and warnings to stderr; and Ctrl-C."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlbench.core.errors import StorageError
from tlbench.core.progress import Listener, Silent


def stdout_layout() -> tuple[int, bool]:
    """Return the columns to use on stdout, and whether it takes colours.

    80 where it is not a terminal, so that a piped report does not depend on the window.
    """
    if not sys.stdout.isatty():
        return 80, False
    import shutil

    return min(120, shutil.get_terminal_size().columns), True


def check_text_files(*paths: Path | None, parents: bool = False) -> None:
    """Raise StorageError if `write_text` cannot write one of these files."""
    from tlbench.core.files import check_file

    for path in paths:
        if path is not None and not (path.is_file() and os.access(path, os.W_OK)):
            check_file(path)
            if not (parents or path.parent.exists()):
                raise StorageError(f"{path} cannot be written: there is no folder {path.parent}.")


def write_text(path: Path, text: str, *, append: bool = False, parents: bool = False) -> None:
    """Write or append text to a file; *parents* makes its folder. Raise StorageError on failure."""
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def _warn(message: str) -> None:
    from tlbench.cli.names import speak_of_options
    from tlbench.core.errors import printable

    sys.stderr.write(printable(f"tlbench: warning: {speak_of_options(message)}") + "\n")


class _Warnings(Silent):
    """Only the warnings, on stderr: they change what a result means."""

    def warn(self, message: str) -> None:
        _warn(message)


@contextmanager
def listening(*, quiet: bool) -> Iterator[Listener]:
    """Give a listener with bars on a terminal, and with warnings only elsewhere or if *quiet*."""
    if quiet or not sys.stderr.isatty():
        listener: Listener = _Warnings()
    else:
        from tlbench.reports import Bars

        listener = Bars(_warn)
    try:
        yield listener
    finally:
        listener.finish()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, which saves work; a second one does not wait."""
    import signal

    pressed = False
    before = signal.getsignal(signal.SIGINT)

    def hold(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
