"""What a dataset is to the rest of tlbench: two labelled splits of raw images."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import DataError
from tlbench.core.hashing import sha256_array, sha256_value
from tlbench.core.progress import Listener, Silent
from tlbench.core.registry import Registry


@dataclass(frozen=True, slots=True)
class _Subset:
    images: Images
    indices: LabelArray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> ImageArray:
        return self.images[int(self.indices[index])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Labelled images.

    Parameters
    ----------
    images : Images
        Raw images, possibly decoded on access.
    labels : ndarray of shape (n_images,), int64
        Index of each image's class.
    fingerprint : str
        SHA-256 over the content of images and labels: two splits of one fingerprint hold the same
        data.
    images_fingerprint : str
        The same over the images alone: features are cached under it, so that another set of labels
        finds those of the first. Left empty, the fingerprint stands in for it.
    """

    images: Images
    labels: LabelArray
    fingerprint: str
    images_fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.images_fingerprint:
            object.__setattr__(self, "images_fingerprint", self.fingerprint)
        if len(self.images) != len(self.labels):
            msg = (
                f"{len(self.images)} images but {len(self.labels)} labels: the dataset is damaged."
            )
            raise DataError(msg)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @classmethod
    def from_arrays(cls, images: ImageArray, labels: LabelArray) -> "Split":
        """Make a split from arrays (n_images, H, W, 3) and (n_images,)."""
        of_images = sha256_array(images)
        return cls(
            images=images,
            labels=labels,
            fingerprint=sha256_value([of_images, sha256_array(labels)]),
            images_fingerprint=of_images,
        )

    def take(self, indices: LabelArray) -> "Split":
        """Return the split of the given rows, in the given order."""
        indices = np.asarray(indices, dtype=np.int64)
        of_indices = sha256_array(indices)
        return Split(
            images=_Subset(self.images, indices),
            labels=self.labels[indices],
            fingerprint=sha256_value([self.fingerprint, of_indices]),
            images_fingerprint=sha256_value([self.images_fingerprint, of_indices]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Groups of classes, such as coarse labels over fine ones.

    Parameters
    ----------
    name : str
        For the record, for example ``"coarse"``.
    groups : tuple of str
        Names of the groups.
    group_of : tuple of int
        For each class the index of its group; -1 for a class without images, whose group is not
        known.
    """

    name: str
    groups: tuple[str, ...]
    group_of: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that images were read from.

    Parameters
    ----------
    name : str
        As its publisher calls it.
    md5 : str
        Hex digest of its bytes: MD5 is what publishers of data sets give. It tells a copy from
        other data, not from a forgery.
    published : bool
        Whether it is the digest of the published file of this name.
    """

    name: str
    md5: str
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A train and a test split over the same classes.

    Parameters
    ----------
    name : str
        As the user gave it, for example ``"cifar10"`` or ``"folder:photos"``.
    classes : tuple of str
        Class names; a label is an index into it.
    source : str
        Where the data came from, for the record.
    groupings : tuple of Grouping
        Groups of the classes: a predicted class is also scored as a prediction of its group.
    files : tuple of SourceFile
        The files of train and test images where the data set was published as such; else none.
    is_limited : bool
        Whether a limit on the number of images left some of them out.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    source: str
    groupings: tuple[Grouping, ...] = ()
    files: tuple[SourceFile, ...] = ()
    is_limited: bool = False

    def __post_init__(self) -> None:
        for grouping in self.groupings:
            if len(grouping.group_of) != len(self.classes):
                msg = (
                    f"Dataset {self.name!r}: grouping {grouping.name!r} has a group for "
                    f"{len(grouping.group_of)} classes, the dataset has {len(self.classes)}."
                )
                raise DataError(msg)
        for title, split in (("train", self.train), ("test", self.test)):
            if len(split) == 0:
                msg = (
                    f"Dataset {self.name!r} has no {title} images ({self.source}). "
                    "Add images, or check the path."
                )
                raise DataError(msg)
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.classes):
                msg = (
                    f"Dataset {self.name!r} has {title} labels from {low} to {high}, "
                    f"but {len(self.classes)} classes: labels must be 0 to {len(self.classes) - 1}."
                )
                raise DataError(msg)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both splits and the class names."""
        return sha256_value([self.train.fingerprint, self.test.fingerprint, list(self.classes)])


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """What a dataset loader is asked for.

    Parameters
    ----------
    name : str
        The whole name as the user gave it.
    argument : str or None
        What follows the first colon of the name: the path of ``folder:PATH``.
    data_dir : Path or None
        The user's data folder (``--data-dir`` or ``TLBENCH_DATA``); None if there is none.
    download_dir : Path
        Where a dataset that must be downloaded is kept.
    seed : int
        For loaders that split a single tree of images.
    listener : Listener
        Told about downloads and other long work.
    """

    name: str
    argument: str | None = None
    data_dir: Path | None = None
    download_dir: Path = field(default_factory=lambda: Path("datasets"))
    seed: int = 0
    listener: Listener = field(default_factory=Silent)


class DatasetLoader(Protocol):
    """An entry of the group ``tlbench.datasets``."""

    def __call__(self, request: DatasetRequest, /) -> Dataset:
        """Load the dataset, or raise DataError: what is missing, where it was looked for."""


DATASETS: Registry[DatasetLoader] = Registry("datasets")


def load_dataset(request: DatasetRequest) -> Dataset:
    """Load the dataset *request.name*; ``folder:PATH`` carries its argument after a colon."""
    name, colon, argument = request.name.partition(":")
    loader = DATASETS.load(name)
    return loader(replace(request, argument=argument if colon else None))
