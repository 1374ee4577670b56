"""Silence for native libraries, whose logs know nothing of ``sys.stderr``."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Drop what this process writes to standard error meanwhile, whichever code writes it."""
    try:
        saved = os.dup(2)
    except OSError:  # closed: there is nothing to silence
        yield
        return
    with tempfile.TemporaryFile() as sink:
        _flush()
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(saved, 2)
            os.close(saved)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):  # full, or closed
        if sys.stderr is not None:
            sys.stderr.flush()
