"""Datasets: two labelled splits of raw images, loaded by name."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import DataError
from tlbench.core.hashing import sha256_array, sha256_value
from tlbench.core.progress import Listener, Silent
from tlbench.core.registry import Registry
from tlbench.core.unused import UnusedFiles
from tlbench.datasets.arrays import as_images, digest_images, index_labels, names_of
from tlbench.datasets.columns import Columns
from tlbench.datasets.formats import decoder_versions


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
        SHA-256 over the content of images and labels: splits of the same data have the same one.
    images_fingerprint : str
        SHA-256 over the images alone, under which features are cached; by default ``fingerprint``.
    names : tuple of str
        Name of each image, such as its path in the dataset's folder; empty if images have none.
    """

    images: Images
    labels: LabelArray
    fingerprint: str
    images_fingerprint: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.images_fingerprint:
            object.__setattr__(self, "images_fingerprint", self.fingerprint)
        if len(self.images) != len(self.labels):
            msg = f"The dataset has {len(self.images)} images but {len(self.labels)} labels."
            raise DataError(msg)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} images, fingerprint {self.fingerprint[:12]})"

    @classmethod
    def from_arrays(cls, images: Images, labels: LabelArray) -> "Split":
        """Return the split of images from `as_images` and labels (n_images,)."""
        of_images = digest_images(images)
        names = names_of(images)
        return cls(
            images=images,
            labels=labels,
            fingerprint=sha256_value([of_images, sha256_array(labels)]),
            images_fingerprint=sha256_value([decoder_versions(), of_images])
            if names
            else of_images,
            names=names,
        )

    def take(self, indices: LabelArray) -> "Split":
        """Return the split of the given rows, in the given order."""
        import numpy as np

        indices = np.asarray(indices, dtype=np.int64)
        of_indices = sha256_array(indices)
        return Split(
            images=_Subset(self.images, indices),
            labels=self.labels[indices],
            fingerprint=sha256_value([self.fingerprint, of_indices]),
            images_fingerprint=sha256_value([self.images_fingerprint, of_indices]),
            names=tuple(self.names[i] for i in indices) if self.names else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Groups of classes, such as the coarse labels of CIFAR-100."""

    name: str
    groups: tuple[str, ...]
    group_of: tuple[int, ...]  # of each class the index of its group; -1 if no image tells it


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that images were read from; MD5 is what publishers of datasets state."""

    name: str
    md5: str
    published: bool  # whether the published file of this name has this digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A train and a test split over the same classes.

    Parameters
    ----------
    name, source : str
        As the user gave it, such as ``"folder:photos"``; and where the data came from.
    classes : tuple of str
        Class names; a label is an index into it.
    groupings : tuple of Grouping
        Groups of the classes. A predicted class is also scored as a prediction of its group.
    files : tuple of SourceFile
        The files that the images were read from, for datasets that are published as files.
    is_limited : bool
        Whether a limit on the number of images left some out.
    unused : tuple of UnusedFiles
        Every file of the dataset that no image was taken from, counted by the reason.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    source: str
    groupings: tuple[Grouping, ...] = ()
    files: tuple[SourceFile, ...] = ()
    is_limited: bool = False
    unused: tuple[UnusedFiles, ...] = ()

    def __post_init__(self) -> None:
        for grouping in self.groupings:
            if len(grouping.group_of) != len(self.classes):
                raise DataError(
                    f"Grouping {grouping.name!r} of dataset {self.name!r} assigns "
                    f"{len(grouping.group_of)} classes, but the dataset has {len(self.classes)}."
                )
        for title, split in (("train", self.train), ("test", self.test)):
            if len(split) == 0:
                raise DataError(
                    f"Dataset {self.name!r} has no {title} images ({self.source}). "
                    "Add images, or check the path."
                )
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"Dataset {self.name!r} has {title} labels from {low} to {high}, "
                    f"but {len(self.classes)} classes: labels must be 0 to {len(self.classes) - 1}."
                )

    @classmethod
    def from_arrays(
        cls,
        train_images: Any,  # noqa: ANN401 - arrays, Pillow images or paths
        train_labels: Any,  # noqa: ANN401 - whole numbers or text
        test_images: Any,  # noqa: ANN401
        test_labels: Any,  # noqa: ANN401
        *,
        classes: Iterable[str] | None = None,
        name: str = "arrays",
    ) -> "Dataset":
        """Return a dataset of images and labels from Python.

        Parameters
        ----------
        train_images, test_images : ndarray or sequence
            Raw images: uint8 of shape (n, H, W, 3), RGB, or (n, H, W), grey. Or a sequence in which
            each image is such an array without the first axis, a Pillow image, or the path of an
            image file; sizes may differ.
        train_labels, test_labels : array-like of shape (n,)
            The class of each image: whole numbers or text.
        classes : iterable of str or None
            Class names. Numbers are indices into it, and text must be in it. None takes the
            different labels of both splits, sorted.
        name : str
            Name of the dataset in reports and records.

        Raises
        ------
        DataError
            If images or labels have another type or shape, or their numbers differ.

        Examples
        --------
        >>> import numpy as np
        >>> images = np.zeros((4, 32, 32, 3), dtype=np.uint8)
        >>> tlbench.Dataset.from_arrays(images, ["cat", "dog"] * 2, images[:2], ["cat", "dog"])
        Dataset('arrays': 4 train and 2 test images of 2 classes)
        """
        names, of_train, of_test = index_labels(train_labels, test_labels, classes)
        return cls(
            name=name,
            classes=names,
            train=Split.from_arrays(as_images(train_images), of_train),
            test=Split.from_arrays(as_images(test_images), of_test),
            source="arrays passed from Python",
        )

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} train and {len(self.test):,} test images"
        return f"{type(self).__name__}({self.name!r}: {sizes} of {len(self.classes)} classes)"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both splits and the class names."""
        return sha256_value([self.train.fingerprint, self.test.fingerprint, list(self.classes)])


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """The arguments of a dataset loader.

    Parameters
    ----------
    name, argument : str, str or None
        The whole name as the user gave it, and what follows its first colon: the path of a folder.
    data_dir, download_dir : Path or None, Path
        The user's data folder, if there is one, and where downloaded datasets are kept.
    seed : int
        Seed of the split, for datasets that come as a single set of images.
    columns : Columns
        The columns to read, for datasets that are tables.
    listener : Listener
        Notified of downloads and other long work.
    """

    name: str
    argument: str | None = None
    data_dir: Path | None = None
    download_dir: Path = field(default_factory=lambda: Path("datasets"))
    seed: int = 0
    columns: Columns = field(default_factory=Columns)
    listener: Listener = field(default_factory=Silent)


class DatasetLoader(Protocol):
    """An entry of the group ``tlbench.datasets``."""

    def __call__(self, request: DatasetRequest, /) -> Dataset:
        """Return the dataset, or raise DataError with what is missing and where it was sought."""


DATASETS: Registry[DatasetLoader] = Registry("datasets")


def load_dataset(request: DatasetRequest) -> Dataset:
    """Return the dataset of a name.

    Parameters
    ----------
    request : DatasetRequest
        Its ``name`` may carry an argument after a colon, as in ``folder:PATH``.

    Raises
    ------
    UnknownNameError
        If there is no such dataset.
    DataError
        If its files are missing or damaged.
    """
    name, colon, argument = request.name.partition(":")
    return DATASETS.load(name)(replace(request, argument=argument if colon else None))


_HIGHEST_DIGIT_VALUE: Final = 16
_DIGITS_SPLIT_SEED: Final = 0  # part of the dataset, so that runs of any seed are comparable


def load_digits(request: DatasetRequest, /) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which need no network."""
    import numpy as np
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    request.columns.refuse(request.name)
    digits = datasets.load_digits()
    grey = np.rint(digits.images * (255 / _HIGHEST_DIGIT_VALUE)).astype(np.uint8)
    images = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    labels = digits.target.astype(np.int64)
    halves = train_test_split(
        np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=_DIGITS_SPLIT_SEED
    )
    train, test = (Split.from_arrays(images[rows], labels[rows]) for rows in map(np.sort, halves))
    return Dataset(
        name=request.name,
        classes=tuple(str(name) for name in digits.target_names),
        train=train,
        test=test,
        source="scikit-learn's copy of the UCI handwritten digits, split half and half",
    )
