"""Where a report goes: a terminal, a pipe, a file."""

import sys
from pathlib import Path


def stdout_layout() -> tuple[int, bool]:
    """Return the columns to use on stdout, and whether it takes colours.

    80 columns where stdout is no terminal, so that a report in a pipe never depends on the window.
    """
    if not sys.stdout.isatty():
        return 80, False
    import shutil

    return min(120, shutil.get_terminal_size().columns), True


def write_report(text: str, destination: Path) -> None:
    """Write a report to a file; raise StorageError if that cannot be done."""
    from tlbench.core.errors import StorageError

    try:
        destination.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StorageError(f"{destination} cannot be written: {error.strerror}.") from error
