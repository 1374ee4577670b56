"""Where text goes: reports to stdout or a file, progress and warnings to stderr; and Ctrl-C."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import StorageError
from tlbench.core.progress import Listener, Silent

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


INTERRUPTED = 130  # 128 + SIGINT, as shells count


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


def _warning(message: str) -> str:
    from tlbench.cli.names import speak_of_options

    return f"tlbench: warning: {speak_of_options(message)}"


class _Warnings(Silent):
    """Only the warnings, on stderr: they change what a result means."""

    def warn(self, message: str) -> None:
        sys.stderr.write(f"{_warning(message)}\n")


class _Bars(_Warnings):
    """One line per task on stderr, which disappears when the task ends."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, task: str, total: int | None = None, unit: str = "") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        self.finish()
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        if total is None:
            columns.append(TimeElapsedColumn())
        else:
            speed = TextColumn("{task.fields[speed]}")
            columns += [BarColumn(), TextColumn("{task.completed}/{task.total}"), speed, TimeLeft()]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._unit = unit
        self._progress.start()
        self._task = self._progress.add_task(task, total=total, speed="")

    def advance(self, steps: int = 1) -> None:
        if self._progress is None or self._task is None:
            return
        self._progress.advance(self._task, steps)
        speed = self._progress.tasks[0].speed
        if speed:
            self._progress.update(self._task, speed=f"{speed:.0f} {self._unit}/s")

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def warn(self, message: str) -> None:
        if self._progress is None:
            super().warn(message)
        else:
            self._progress.console.print(
                _warning(message), markup=False, highlight=False, soft_wrap=True
            )


@contextmanager
def listening(*, quiet: bool) -> Iterator[Listener]:
    """Give a listener with bars on a terminal, and with warnings only elsewhere or if *quiet*."""
    listener = _Warnings() if quiet or not sys.stderr.isatty() else _Bars()
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
