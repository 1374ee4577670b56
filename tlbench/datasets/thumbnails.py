"""Thumbnails of images, made while the images are read for another purpose, as one WebP sheet."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tlbench.core.arrays import ImageArray, Images

if TYPE_CHECKING:
    from PIL import Image

# Side and quality where there are few images, and where there are many. Bytes decide: 10,000
# thumbnails of 32 px are 2 MB, and a page with them may have 4.
_MANY: Final = 2000
_FORMS: Final = ((48, 60), (32, 50))
# Below this side, the blocks of a lossy codec span several thumbnails.
_LOSSLESS_BELOW: Final = 32


class ThumbnailedImages:
    """Images that keep a thumbnail of each of *rows* that is read; as safe in threads as *images*.

    Only those rows: memory must not grow with the number of images.
    """

    def __init__(self, images: Images, rows: Sequence[int]) -> None:
        self.images = images
        self._rows = frozenset(rows)
        self._side, self._quality = _FORMS[len(self._rows) > _MANY]
        self._tiles: dict[int, ImageArray] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> ImageArray:
        image = self.images[index]
        if index in self._rows:
            self._tiles[index] = _thumbnail(image, self._side)
        return image

    def sheet(self, rows: Sequence[int]) -> "ThumbnailSheet":
        """Return the thumbnails of images that were read, in the order of *rows*."""
        from PIL import Image

        tiles = [self._tiles[row] for row in rows]
        side = max(max(tile.shape[:2]) for tile in tiles)
        n_columns = math.ceil(math.sqrt(len(tiles)))
        n_lines = math.ceil(len(tiles) / n_columns)
        sheet = Image.new("RGB", (n_columns * side, n_lines * side))
        for position, tile in enumerate(tiles):
            line, column = divmod(position, n_columns)
            sheet.paste(_enlarged(tile, side), (column * side, line * side))
        file = io.BytesIO()
        lossless = side < _LOSSLESS_BELOW
        sheet.save(file, "WEBP", quality=self._quality, lossless=lossless, method=2)
        return ThumbnailSheet(content=file.getvalue(), side=side, n_columns=n_columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailSheet:
    """Square thumbnails side by side in one WebP image, line by line."""

    content: bytes
    side: int
    n_columns: int


def _thumbnail(image: ImageArray, side: int) -> ImageArray:
    """Return the centred square of an image, at most *side* pixels wide."""
    import numpy as np
    from PIL import Image

    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = image[top : top + short, left : left + short]
    if short <= side:
        return np.array(square)  # a copy: a view would keep the whole image
    small = Image.fromarray(np.ascontiguousarray(square)).resize(
        (side, side), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    return np.asarray(small)


def _enlarged(tile: ImageArray, side: int) -> "Image.Image":
    from PIL import Image

    found = Image.fromarray(tile)
    return found if found.width == side else found.resize((side, side), Image.Resampling.NEAREST)
