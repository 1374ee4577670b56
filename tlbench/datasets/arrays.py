"""Images and labels from Python: arrays, Pillow images and paths of image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import DataError, UnreadableImageError, one_line
from tlbench.core.hashing import sha256_array, sha256_file, sha256_value
from tlbench.datasets.decode import decode_image, image_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

ImagesLike: TypeAlias = "NDArray[Any] | Sequence[NDArray[Any] | Image.Image | str | Path] | Any"
"""uint8 (n, H, W, 3), or one image after another: an array, a Pillow image or a path each."""

LabelsLike: TypeAlias = "NDArray[Any] | Sequence[Any] | Any"

_RGB: Final = 3
_BATCH_AXES: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class ImageSequence:
    """Images of any size, each an array, a Pillow image or a path; converted on each access."""

    items: Sequence[Any]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int, /) -> ImageArray:
        return _pixels(self.items[index], f"images[{index}]")


def as_images(images: ImagesLike) -> Images:
    """Return images as the library reads them.

    Parameters
    ----------
    images : ndarray or sequence
        An array of shape (n, H, W, 3), uint8, RGB, or (n, H, W), grey. Or a list, tuple, object
        array or pandas Series in which each image is such an array without the first axis, a
        Pillow image, or the path of an image file; sizes may differ.

    Returns
    -------
    Images
        Files are decoded on access, as in the dataset ``folder:PATH``: upright and RGB.

    Raises
    ------
    DataError
        If these are not images; the message says what was found.
    """
    import numpy as np

    if isinstance(images, str | os.PathLike):
        raise DataError(
            f"images must be a sequence, but it is the single path {os.fspath(images)!r}. "
            "Pass a list: [path]."
        )
    if hasattr(images, "to_numpy"):  # a column of pandas or polars
        images = images.to_numpy()
    elif not isinstance(images, Sequence) and hasattr(images, "__array__"):
        images = np.asarray(images)
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUT":
        return _stacked(images)
    if not isinstance(images, Sequence | np.ndarray):
        raise DataError(
            f"images must be an array or a sequence, got {type(images).__name__}. "
            "Pass an array of shape (n, H, W, 3), or a list of arrays, Pillow images or paths."
        )
    for index, item in enumerate(images):
        _check_item(item, f"images[{index}]")
    return ImageSequence(images)  # type: ignore[arg-type]  # an object array has len and items too


def _stacked(images: NDArray[Any]) -> ImageArray:
    """Return a batch of images (n, H, W, 3); grey ones gain their channels without a copy."""
    import numpy as np

    _check_bytes(images, "images")
    is_single = images.ndim == _BATCH_AXES - 1 and images.shape[-1] == _RGB
    if is_single:
        raise DataError(
            f"images must have shape (n, H, W, 3), got {images.shape}: a single image. "
            "Pass images[np.newaxis]."
        )
    if images.ndim == _BATCH_AXES - 1:
        return np.broadcast_to(images[..., np.newaxis], (*images.shape, _RGB))
    if images.ndim == _BATCH_AXES and images.shape[-1] == 1:
        return np.broadcast_to(images, (*images.shape[:-1], _RGB))
    if images.ndim != _BATCH_AXES or images.shape[-1] != _RGB:
        raise DataError(_wrong_shape("images", "(n, H, W, 3)", images.shape))
    return images


def _wrong_shape(name: str, wanted: str, shape: tuple[int, ...]) -> str:
    advice = ""
    if len(shape) >= _RGB and shape[-3] == _RGB:
        advice = " The channels come first: move them last with np.moveaxis(images, -3, -1)."
    elif shape and shape[-1] == _RGB + 1:
        advice = " There are four channels: drop the alpha channel, or pass Pillow images."
    return f"{name} must have shape {wanted}, RGB, got {shape}.{advice}"


def _check_bytes(image: NDArray[Any], name: str) -> None:
    if image.dtype == "uint8":
        return
    advice = "convert them to 0..255 first: np.rint(images * 255).astype(np.uint8)"
    if image.dtype.kind in "iu":
        advice = "convert them with images.astype(np.uint8), if all values are 0 to 255"
    raise DataError(
        f"{name} must be uint8 with values 0 to 255, got {image.dtype}. A backbone takes raw "
        f"pixels and scales them itself; {advice}."
    )


def _check_item(item: Any, name: str) -> None:  # noqa: ANN401 - anything may be in a list
    """Raise DataError unless *item* can be an image. No file is opened."""
    import numpy as np

    if isinstance(item, str | os.PathLike) or _is_pillow(item):
        return
    if not hasattr(item, "__array__"):
        raise DataError(
            f"{name} must be an array, a Pillow image or a path, got {type(item).__name__}."
        )
    _single(np.asarray(item), name)


def _single(image: NDArray[Any], name: str) -> ImageArray:
    import numpy as np

    _check_bytes(image, name)
    if image.ndim == _RGB - 1:
        image = image[..., np.newaxis]
    if image.ndim == _RGB and image.shape[-1] == 1:
        return np.broadcast_to(image, (*image.shape[:-1], _RGB))
    if image.ndim != _RGB or image.shape[-1] != _RGB:
        raise DataError(_wrong_shape(name, "(H, W, 3)", image.shape))
    return image


def _is_pillow(item: Any) -> bool:  # noqa: ANN401 - anything may be in a list
    from PIL import Image

    return isinstance(item, Image.Image)


def _pixels(item: Any, name: str) -> ImageArray:  # noqa: ANN401 - checked by _check_item
    import numpy as np

    if isinstance(item, str | os.PathLike):
        return decode_image(Path(item))
    if not _is_pillow(item):
        return _single(np.asarray(item), name)
    try:
        return image_pixels(item)
    except Exception as error:  # on damaged files Pillow's parsers raise nearly anything
        raise UnreadableImageError(f"Cannot decode {name}: {one_line(error)}.") from error


def digest_images(images: Images) -> str:
    """Return a digest of images in memory, or of the bytes of their files.

    Raises DataError for a file that is missing.
    """
    if not isinstance(images, ImageSequence):
        return sha256_array(images)  # type: ignore[arg-type]  # `as_images` made it
    digests = []
    for index, item in enumerate(images.items):
        if isinstance(item, str | os.PathLike):
            try:
                digests.append(sha256_file(Path(item)))
            except OSError as error:
                msg = f"images[{index}], {item}, cannot be read: {error.strerror}."
                raise DataError(msg) from error
        else:
            digests.append(sha256_array(images[index]))
    return sha256_value(digests)


def names_of(images: Images) -> tuple[str, ...]:
    """Return the paths of images from files; where no image has one, an empty tuple."""
    items = images.items if isinstance(images, ImageSequence) else ()
    if not any(isinstance(item, str | os.PathLike) for item in items):
        return ()
    return tuple(
        os.fspath(item) if isinstance(item, str | os.PathLike) else f"images[{index}]"
        for index, item in enumerate(items)
    )


def index_labels(
    train: LabelsLike, test: LabelsLike, classes: Iterable[str] | None
) -> tuple[tuple[str, ...], LabelArray, LabelArray]:
    """Return the class names, and for both splits each label's index into them, int64 (n,)."""
    train, test = _label_column(train, "train_labels"), _label_column(test, "test_labels")
    if classes is None:
        values = sorted({*train.tolist(), *test.tolist()})
        names = tuple(map(str, values))
    else:
        names = tuple(map(str, classes))
        values = list(names) if train.dtype.kind == "U" else list(range(len(names)))
    index = {value: position for position, value in enumerate(values)}
    return (
        names,
        _indices(train, index, "train_labels"),
        _indices(test, index, "test_labels"),
    )


def _label_column(labels: LabelsLike, name: str) -> NDArray[Any]:
    """Return labels as an array (n,) of whole numbers or of text."""
    import numpy as np

    column = np.asarray(labels)
    if column.ndim > 1 and column.shape[1:] == (1,):  # a column, as Keras's datasets have it
        column = column[:, 0]
    if column.dtype.kind == "O" and all(isinstance(one, str) for one in column.ravel()):
        column = column.astype(str)
    if column.dtype.kind == "b":
        column = column.astype(np.int64)
    if column.ndim != 1 or column.dtype.kind not in "iuU":
        advice = " For one-hot rows, pass labels.argmax(axis=1)." if column.ndim > 1 else ""
        raise DataError(
            f"{name} must be whole numbers or text, one for each image, got "
            f"{column.dtype} of shape {column.shape}.{advice}"
        )
    return column


def _indices(labels: NDArray[Any], index: dict[Any, int], name: str) -> LabelArray:
    """Return each label's class index, int64 (n,)."""
    import numpy as np

    values, inverse = np.unique(labels, return_inverse=True)
    if unknown := [value for value in values.tolist() if value not in index]:
        known = ", ".join(map(str, index))
        raise DataError(f"{name} holds {unknown[0]!r}, which is not one of the classes: {known}.")
    found = np.array([index[value] for value in values.tolist()], dtype=np.int64)
    return found[inverse] if len(found) else np.empty(0, dtype=np.int64)
