"""The pixels baseline: what the heads reach without any features."""

import numpy as np

from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.features.baselines import FeatureBaseline

SIDE_PIXELS = 32


def small_image(image: ImageArray) -> ImageArray:
    """Return an image as 32 x 32 pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8

    Returns
    -------
    ndarray of shape (32, 32, 3), uint8
        The image itself if it has that size, else resized with Pillow's bilinear filter, which
        averages over the covered area when it makes an image smaller.

    Notes
    -----
    One size for every image, smaller ones too: a rule that kept small images as they are would give
    rows of different lengths as soon as a folder mixes sizes. Enlarging adds no information, it
    only repeats it (digits: 8 x 8 becomes 32 x 32).
    """
    if image.shape[:2] == (SIDE_PIXELS, SIDE_PIXELS):
        return image
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BILINEAR))


def _extract(image: ImageArray) -> FloatArray:
    return small_image(image).astype(np.float32).ravel() / np.float32(255)


PIXELS = FeatureBaseline(
    name="pixels",
    summary="The raw pixels at 32 x 32, as fractions: 3,072 values.",
    extract=_extract,
    shape=(SIDE_PIXELS, SIDE_PIXELS, 3),
)
