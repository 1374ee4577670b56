"""Decode one image file to RGB pixels, or say why it cannot be decoded."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import UnreadableImageError

if TYPE_CHECKING:
    from PIL import Image


SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
"""Endings, in lower case, of the files that `decode_image` reads."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_ORIENTATION_TAG: Final = 0x0112
_WHITE: Final = (255, 255, 255, 255)


def quiet_pillow() -> None:
    """Silence Pillow's warnings (odd metadata, large images) for the whole process.

    A dataset calls this once when it is loaded: to change the filters around each image would not
    be safe in threads.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(path: Path) -> ImageArray:
    """Decode a JPEG, PNG or WebP file; safe to call from several threads.

    Parameters
    ----------
    path : Path
        The file. Its content decides the format, not its suffix.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB, turned upright as the EXIF orientation says. Grey becomes three equal channels,
        16-bit grey is scaled to 8 bits, transparent pixels are laid over white, palettes and CMYK
        are converted by Pillow without colour profiles, and of an animation the first frame counts.

    Raises
    ------
    UnreadableImageError
        If the file cannot be read, is truncated or no such image, or is so large that Pillow takes
        it for a decompression bomb.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            # Pixels before metadata: with a broken EXIF block the image is still an image.
            image.load()
            return np.asarray(_to_rgb(_upright(image)))
    except Exception as error:  # on damaged files Pillow's parsers raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"Cannot decode {path}: {reason}. Repair the file, or remove it from the dataset."
        raise UnreadableImageError(msg) from error


def _upright(image: "Image.Image") -> "Image.Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about the orientation
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):
        # 16-bit grey, which Pillow holds in modes of its own and would cut off at 255.
        wide = np.asarray(image).clip(0, 65535).astype(np.float64)
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")
