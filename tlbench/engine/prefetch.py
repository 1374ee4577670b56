"""Work ahead on other threads, in order and by a bounded number of steps."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, depth: int
) -> Iterator[R]:
    """Yield ``function(item)`` for each item, in order, computed up to *depth* items ahead.

    An exception of *function* is raised here, at its item's turn. Closing the iterator early drops
    what was not begun and waits for what was.
    """
    remaining = iter(items)
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="tlbench-prefetch")
    try:
        for item in islice(remaining, depth):
            pending.append(pool.submit(function, item))
        while pending:
            result = pending.popleft().result()
            for item in islice(remaining, 1):
                pending.append(pool.submit(function, item))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
