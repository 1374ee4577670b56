"""Where the Python API reports progress and warnings."""

import sys
import warnings
from typing import Any, TypeAlias

from tlbench.core.progress import Listener, Silent

Progress: TypeAlias = bool | Listener
"""Whether to show bars, or an object with the methods of `tlbench.core.progress.Listener`."""


class _PythonWarnings(Silent):
    """Turns each warning into one of Python's own."""

    def warn(self, message: str) -> None:
        _warn(message)


def _warn(message: str) -> None:
    """Warn at the user's line that called tlbench: Python shows a warning once for each line."""
    frames = [sys._getframe()]  # noqa: SLF001 - what Python's own warn counts from
    while (caller := frames[-1].f_back) is not None:
        frames.append(caller)
    last_of_ours = max(i for i, frame in enumerate(frames) if _is_ours(frame.f_globals))
    warnings.warn(message, stacklevel=last_of_ours + 2)


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).partition(".")[0] == "tlbench"


def listener_of(progress: Progress) -> Listener:
    """Return the listener that *progress* means."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return _PythonWarnings()
    from tlbench.reports import Bars

    return Bars(_warn)
