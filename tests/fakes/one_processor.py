"""Tests that run side by side have a processor each: threads of one would wait for the other's.

conftest.py imports this before any library that starts threads. Measured with two processes on two
processors: a quarter less processor time.
"""

import contextlib
import os
from collections.abc import Iterator

_ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
_WORKER, _N_WORKERS = (os.environ.get(f"PYTEST_XDIST_WORKER{one}") for one in ("", "_COUNT"))

if _ALL and _WORKER and _N_WORKERS:
    _OWN = _ALL[int(_WORKER.removeprefix("gw")) % len(_ALL) :: int(_N_WORKERS)]
    os.sched_setaffinity(0, _OWN)
else:
    _OWN = _ALL


@contextlib.contextmanager
def all_processors() -> Iterator[None]:
    """Let this test, and the processes that it starts, use what the machine has."""
    if _ALL:
        os.sched_setaffinity(0, _ALL)
    try:
        yield
    finally:
        if _ALL:
            os.sched_setaffinity(0, _OWN)
