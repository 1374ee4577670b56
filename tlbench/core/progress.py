"""Progress of long work: code that measures calls a Listener, and never prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Listener(Protocol):
    """Receives the progress of long work. One task runs at a time."""

    def start(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Begin *task* of *total* steps (None when the number is not known)."""

    def advance(self, steps: int = 1) -> None:
        """Report *steps* more steps of the current task as done."""

    def finish(self) -> None:
        """End the current task."""

    def warn(self, message: str) -> None:
        """Tell the user about something that changes the meaning of the result."""


class Silent:
    """A listener that ignores everything."""

    def start(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Do nothing."""

    def advance(self, steps: int = 1) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


@contextmanager
def task(listener: Listener, name: str, total: int | None = None, unit: str = "") -> Iterator[None]:
    """Report a task as started, and as finished even if it fails."""
    listener.start(name, total, unit)
    try:
        yield
    finally:
        listener.finish()


def titled(listener: Listener, title: str) -> Listener:
    """Return a listener that names the part of the work that *title* says before each task."""
    return _Titled(listener, title)


class _Titled:
    def __init__(self, listener: Listener, title: str) -> None:
        self._listener, self._title = listener, title

    def start(self, task: str, total: int | None = None, unit: str = "") -> None:
        self._listener.start(f"{self._title}: {task}", total, unit)

    def advance(self, steps: int = 1) -> None:
        self._listener.advance(steps)

    def finish(self) -> None:
        self._listener.finish()

    def warn(self, message: str) -> None:
        self._listener.warn(f"{self._title}: {message}")
