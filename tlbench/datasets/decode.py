"""Image files become upright RGB bytes, or an error that says what is wrong with them."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import UnreadableImageError, one_line
from tlbench.core.unused import OTHER
from tlbench.datasets.formats import HEAD_BYTES, format_of, pillow_formats, unread_content

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION_TAG: Final = 0x0112
_WHITE: Final = (255, 255, 255, 255)


def quiet_pillow() -> None:
    """Silence Pillow's warnings (odd metadata, large images) for the whole process."""
    # Once per dataset: changing the filters around each image is not safe in threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(path: Path) -> ImageArray:
    """Return the pixels (H, W, 3), uint8, RGB, of an image file; safe in threads.

    The format is recognised by the content. Images are rotated as the EXIF orientation says, 16-bit
    grey is scaled to 8 bits, transparent pixels are laid over white, and of an animation or a file
    of several pages the first is returned.
    """
    return _decode(path, str(path), lambda: _head(path))


def decode_bytes(content: bytes, name: str) -> ImageArray:
    """Return the pixels of an image in memory, as `decode_image` does; errors call it by *name*."""
    return _decode(io.BytesIO(content), name, lambda: content[:HEAD_BYTES])


def _decode(file: Path | io.BytesIO, name: str, read_head: Callable[[], bytes]) -> ImageArray:
    from PIL import Image

    try:
        with Image.open(file, formats=pillow_formats()) as image:
            return image_pixels(image)
    except Exception as error:  # on damaged files Pillow's parsers raise nearly anything
        msg = f"Cannot decode {name}: {_reason(read_head, error)}"
        raise UnreadableImageError(msg) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def image_pixels(image: "Image.Image") -> ImageArray:
    """Return the pixels (H, W, 3), uint8, RGB, of a Pillow image, converted like a file's."""
    import numpy as np

    image.load()  # pixels before metadata: with a broken EXIF block the image is still an image
    return np.asarray(_to_rgb(_upright(image)))


def _reason(read_head: Callable[[], bytes], error: Exception) -> str:
    """Return what is wrong with a file, and what to do."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        try:
            return _about_content(read_head())
        except OSError as gone:
            error = gone
    if isinstance(error, OSError) and error.strerror:  # of the system, not of Pillow
        return f"{error.strerror}. Check the file and its permissions."
    reason = one_line(error).rstrip(".") or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return f"{reason}. Make the image smaller, or remove it."
    return f"{reason}. Repair the file, or remove it from the dataset."


def _about_content(head: bytes) -> str:
    """Return why Pillow recognises no image in a file that begins so, and what to do."""
    if found := format_of(head):
        return f"the header of this {found} file is damaged. Repair the file, or remove it."
    found = unread_content(head)
    if found == OTHER:
        return "its content is not of a known image format. Get the file again, or remove it."
    return f"not an image but {found}. Replace the file, or remove it."


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

    if image.mode == "F":
        # Pillow would cut off at 0 and 255, and most such files have values from 0 to 1.
        msg = "pixels are floating-point numbers, whose white is unknown; 8 or 16 bits are read"
        raise ValueError(msg)
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow has modes of its own for it and would clip at 255.
        wide = np.asarray(image).clip(0, 65535).astype(np.float64)
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images that are decoded on each access; safe to read from several threads."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> ImageArray:
        return decode_image(self.paths[index])
