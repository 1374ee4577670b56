"""The images of a dataset that can be decoded, for what reads them itself: a training."""

from dataclasses import dataclass

import numpy as np

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.progress import Listener
from tlbench.datasets import Dataset, Split
from tlbench.features import ArrayStore
from tlbench.model import LabelledImages
from tlbench.records import SkippedImage
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.digests import image_digests
from tlbench.workflows.steps.unused import UNDECODABLE, refusal, with_undecodable


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRows(LabelledImages):
    """The images of a split that can be decoded, and their positions in it, int64 (n,)."""

    index: LabelArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableImages:
    """The images of both splits that can be decoded, and the others by their reason."""

    train: ReadRows
    test: ReadRows
    skipped: tuple[SkippedImage, ...]

    @classmethod
    def of(
        cls, dataset: Dataset, config: RunConfig, store: ArrayStore, listener: Listener
    ) -> "ReadableImages":
        """Decode every image once; with ``strict``, raise an error if one cannot be."""
        parts, skipped = [], []
        for title, split in (("train", dataset.train), ("test", dataset.test)):
            is_readable = image_digests(store, split, title, listener).any(axis=1)
            index = np.flatnonzero(is_readable).astype(np.int64)
            kept = split if is_readable.all() else split.take(index)
            parts.append(ReadRows(images=kept.images, labels=kept.labels, index=index))
            skipped += [
                SkippedImage(split=title, index=int(i), reason=_reason(split, int(i)))
                for i in np.flatnonzero(~is_readable)
            ]
        unused = with_undecodable(dataset, ((one.split, one.index) for one in skipped))
        if config.strict and unused:
            raise refusal(unused)
        train, test = parts
        return cls(train=train, test=test, skipped=tuple(skipped))

    @property
    def all_labels(self) -> LabelArray:
        """The labels of train and test together, in the order of the folds."""
        return np.concatenate([self.train.labels, self.test.labels])

    def part(self, rows: LabelArray) -> LabelledImages:
        """Return these rows of train and test together."""
        return LabelledImages(
            images=_Rows(self.train.images, self.test.images, rows), labels=self.all_labels[rows]
        )


def _reason(split: Split, position: int) -> str:
    name = split.names[position] if split.names else f"image {position}"
    return f"{name}: {UNDECODABLE}"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of two sets of images, one after the other."""

    first: Images
    second: Images
    rows: LabelArray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> ImageArray:
        row = int(self.rows[index])
        n_first = len(self.first)
        return self.first[row] if row < n_first else self.second[row - n_first]
