"""An account of every file of a dataset that is not used; with ``strict`` it is an error."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from tlbench.core.errors import UnreadableImageError
from tlbench.core.unused import UnusedFiles, UnusedTally, account, missed
from tlbench.datasets import Dataset
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.digests import image_digests

UNDECODABLE = "image that cannot be decoded"


def with_undecodable(
    dataset: Dataset, undecodable: Iterable[tuple[str, int]]
) -> tuple[UnusedFiles, ...]:
    """Return the dataset's unused files, and images that cannot be decoded: split and position."""
    found = UnusedTally(dataset.unused)
    for split_name, index in undecodable:
        names = getattr(dataset, split_name).names
        found.add(UNDECODABLE, names[index] if names else f"{split_name} {index}")
    return found.result()


def refusal(unused: Iterable[UnusedFiles], first: str = "") -> UnreadableImageError:
    """Return the error that accounts for every unused file; *first* is what one of them lacks."""
    also = f" The first that cannot be decoded: {first}" if first else ""
    return UnreadableImageError(
        f"Not every image can be used: {account(unused)}.{also} Repair or remove these files, or "
        "pass strict=False to leave them out."
    )


@contextmanager
def all_used(context: RunContext) -> Iterator[None]:
    """Raise UnreadableImageError if a file of the dataset is not used, or an image is unreadable.

    The error accounts for all files of both splits, whatever was found first.
    """
    dataset = context.dataset
    if missed(dataset.unused):
        raise _refusal_of_all(context)
    try:
        yield
    except UnreadableImageError as error:
        raise _refusal_of_all(context, str(error)) from error


def _refusal_of_all(context: RunContext, first: str = "") -> UnreadableImageError:
    dataset = context.dataset
    undecodable = [
        (title, int(index))
        for title, split in (("train", dataset.train), ("test", dataset.test))
        for index in np.flatnonzero(
            ~image_digests(context.store, split, title, context.listener).any(axis=1)
        )
    ]
    return refusal(with_undecodable(dataset, undecodable), first)
