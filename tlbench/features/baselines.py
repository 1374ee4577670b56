"""Feature baselines: features that need no network, such as pixels and HOG."""

from collections.abc import Callable
from dataclasses import dataclass

from tlbench.core.arrays import FloatArray, ImageArray, Images, LabelArray
from tlbench.core.errors import DataError, MissingDependencyError, UnreadableImageError
from tlbench.core.progress import Listener, task
from tlbench.core.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBaseline:
    """An entry of the group ``tlbench.baselines``.

    Parameters
    ----------
    name, summary : str
        Name on the command line, and one line for ``tlbench list baselines``.
    requires : tuple of str
        Distributions that are needed in addition to the base install.
    extract : callable
        Returns the features (n_features,), float32, of one image (H, W, 3), uint8, RGB. Their
        number must not depend on the image. Raises MissingDependencyError if a distribution in
        *requires* is absent.
    shape : tuple of int or None
        (H, W, C) of the feature map that a row of features is; None if the features are not a map.
    """

    name: str
    summary: str
    requires: tuple[str, ...] = ()
    extract: Callable[[ImageArray], FloatArray]
    shape: tuple[int, int, int] | None = None


BASELINES: Registry[FeatureBaseline] = Registry("baselines")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFeatures:
    """Features of the readable images of a set."""

    features: FloatArray  # (n_kept, n_features)
    index: LabelArray  # (n_kept,): position of each row's image in the set, increasing
    skipped: tuple[tuple[int, str], ...]  # position of each unreadable image, and the reason


def compute_baseline(
    baseline: FeatureBaseline, images: Images, *, strict: bool, listener: Listener
) -> BaselineFeatures:
    """Return the features of all images.

    Parameters
    ----------
    baseline, images : FeatureBaseline, Images
        What to compute, and raw images, whose sizes may differ.
    strict : bool
        Whether an unreadable image is an error; otherwise it is left out and recorded.
    listener : Listener
        Notified of the progress.

    Raises
    ------
    UnreadableImageError
        If an image is unreadable and *strict* is true.
    DataError
        If no image is readable, or two images have different numbers of features.
    MissingDependencyError
        If the baseline needs a package that is not installed.
    """
    import numpy as np

    table = np.empty((0, 0), dtype=np.float32)
    kept: list[int] = []
    skipped: list[tuple[int, str]] = []
    with task(listener, f"{baseline.name} features", len(images), "images"):
        for position in range(len(images)):
            try:
                image = images[position]
            except UnreadableImageError as error:
                if strict:
                    raise
                skipped.append((position, str(error)))
            else:
                row = baseline.extract(image)
                if not kept:
                    table = np.empty((len(images), len(row)), dtype=np.float32)
                if row.shape != table.shape[1:]:
                    raise DataError(
                        f"Feature baseline {baseline.name!r} gave features of shape {row.shape} "
                        f"for image {position}, but {table.shape[1:]} for the first. Fix the "
                        "plugin: the number of features must not depend on the image."
                    )
                table[len(kept)] = row
                kept.append(position)
            listener.advance()
    if not kept:
        msg = f"No {baseline.name} features: none of the {len(images)} images can be read."
        raise DataError(msg + (f" The first: {skipped[0][1]}" if skipped else " Add images."))
    return BaselineFeatures(
        features=table[: len(kept)],
        index=np.array(kept, dtype=np.int64),
        skipped=tuple(skipped),
    )


_SIDE_PIXELS = 32


def _small_image(image: ImageArray) -> ImageArray:
    """Return an image (H, W, 3) as (32, 32, 3), resized with Pillow's bilinear filter if needed."""
    import numpy as np

    if image.shape[:2] == (_SIDE_PIXELS, _SIDE_PIXELS):
        return image
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((_SIDE_PIXELS, _SIDE_PIXELS), Image.Resampling.BILINEAR))


def _pixels(image: ImageArray) -> FloatArray:
    import numpy as np

    return _small_image(image).astype(np.float32).ravel() / np.float32(255)


def _hog(image: ImageArray) -> FloatArray:
    """Return HOG of the image at 32 x 32 with the settings of Dalal and Triggs (2005).

    Nine orientations, cells of 8 x 8 pixels, blocks of 2 x 2 cells, L2-Hys, and at each pixel the
    channel with the strongest gradient: 3 x 3 blocks of 36 values. doi:10.1109/CVPR.2005.177.
    """
    import numpy as np

    try:
        from skimage.feature import hog
    except ImportError as error:
        raise MissingDependencyError(
            f"The feature baseline 'hog' needs scikit-image, which cannot be imported ({error}). "
            "Run: pip install 'tlbench[baselines]'."
        ) from error

    values = hog(
        _small_image(image),
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        channel_axis=-1,
    )
    return np.asarray(values, dtype=np.float32)


PIXELS = FeatureBaseline(
    name="pixels",
    summary="Raw pixels at 32 x 32, as fractions: 3,072 values.",
    extract=_pixels,
    shape=(_SIDE_PIXELS, _SIDE_PIXELS, 3),
)

HOG = FeatureBaseline(
    name="hog",
    summary="Histograms of oriented gradients at 32 x 32: 324 values.",
    requires=("scikit-image",),
    extract=_hog,
)
