"""Progress of long work as one line per task, on a terminal's stderr or in a notebook."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tlbench.core.errors import printable
from tlbench.core.progress import Silent

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars(Silent):
    """A listener that shows a bar for each task, which disappears when the task ends.

    Parameters
    ----------
    warn : callable
        Receives each warning, while no bar is drawn over it.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Show a bar of *total* steps, or a spinner for a task of unknown length."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        self.finish()
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if total is None:
            columns.append(TimeElapsedColumn())
        else:
            speed = TextColumn("{task.fields[speed]}")
            columns += [BarColumn(), TextColumn("{task.completed}/{task.total}"), speed, TimeLeft()]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._unit = unit
        self._progress.start()
        self._task = self._progress.add_task(printable(task), total=total, speed="")

    def advance(self, steps: int = 1) -> None:
        """Move the bar on, and show the speed."""
        if self._progress is None or self._task is None:
            return
        self._progress.advance(self._task, steps)
        speed = self._progress.tasks[0].speed
        if speed:
            self._progress.update(self._task, speed=f"{speed:.0f} {self._unit}/s")

    def finish(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def warn(self, message: str) -> None:
        """Pass a warning on; the bar goes on below it."""
        if self._progress is not None:
            self._progress.stop()
        self._warn(message)
        if self._progress is not None:
            self._progress.start()
