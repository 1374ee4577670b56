"""Image files and Pillow images as arrays of pixels."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import UnreadableImageError, one_line

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})  # in lower case
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_ORIENTATION_TAG: Final = 0x0112
_WHITE: Final = (255, 255, 255, 255)


def quiet_pillow() -> None:
    """Silence Pillow's warnings (odd metadata, large images) for the whole process."""
    # Once per dataset: changing the filters around each image is not safe in threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(path: Path) -> ImageArray:
    """Return the pixels (H, W, 3), uint8, RGB, of a JPEG, PNG or WebP file; safe in threads.

    Images are rotated as the EXIF orientation says, 16-bit grey is scaled to 8 bits, transparent
    pixels are laid over white, and of an animation the first frame is returned.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image_pixels(image)
    except Exception as error:  # on damaged files Pillow's parsers raise nearly anything
        reason = one_line(error) or type(error).__name__
        msg = f"Cannot decode {path}: {reason}. Repair the file, or remove it from the dataset."
        raise UnreadableImageError(msg) from error


def image_pixels(image: "Image.Image") -> ImageArray:
    """Return the pixels (H, W, 3), uint8, RGB, of a Pillow image, converted like a file's."""
    import numpy as np

    image.load()  # pixels before metadata: with a broken EXIF block the image is still an image
    return np.asarray(_to_rgb(_upright(image)))


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
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):
        # 16-bit grey: Pillow has modes of its own for it and would clip at 255.
        wide = np.asarray(image).clip(0, 65535).astype(np.float64)
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")
