"""The command line in the process of a test, which goes on."""

import signal
import sys
from unittest import mock

from tlbench.cli import main


def exit_code_of(*arguments):
    """Run a command, undo what it did to the process, and return its exit code."""
    on_interrupt, on_ignored = signal.getsignal(signal.SIGINT), sys.unraisablehook
    try:
        with mock.patch("sys.argv", ["tlbench", *map(str, arguments)]):
            main()
    except SystemExit as stop:
        return stop.code or 0
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
        sys.unraisablehook = on_ignored
