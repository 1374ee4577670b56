"""Thumbnails of images, made while the images are read for another purpose, as one WebP sheet."""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from tlbench.core.arrays import ImageArray, Images

if TYPE_CHECKING:
    from PIL import Image

_MANY: Final = 2000
_SIDES: Final = (48, 32)  # where there are few images, and where there are many
# Below this side, the blocks of a lossy codec span several thumbnails.
_LOSSLESS_BELOW: Final = 32
# The size of a sheet: a page with 1,017 images may have 1 MB, and with 10,000 images 4 MB.
_BYTES: Final = 300_000
_BYTES_PER_IMAGE: Final = 190
_QUALITIES: Final = (60, 50, 40, 30, 20, 10, 5, 1, 0)
_SAMPLED: Final = 256  # thumbnails encoded first, to find a quality that may fit


class ThumbnailedImages:
    """Images that keep a thumbnail of each of *rows* that is read; as safe in threads as *images*.

    Only those rows: memory must not grow with the number of images.
    """

    def __init__(self, images: Images, rows: Sequence[int]) -> None:
        self.images = images
        self._rows = frozenset(rows)
        self._side = _SIDES[len(self._rows) > _MANY]
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
        tiles = [self._tiles[row] for row in rows]
        side = max(max(tile.shape[:2]) for tile in tiles)
        most = _BYTES + _BYTES_PER_IMAGE * len(tiles)
        # At random: every tenth image may be of one class.
        sample = random.Random(0).sample(tiles, min(len(tiles), _SAMPLED))  # noqa: S311 - no secret
        share = len(sample) / len(tiles)
        forms = [_Form(max(side, _LOSSLESS_BELOW), quality) for quality in _QUALITIES]
        if side < _LOSSLESS_BELOW:
            forms.insert(0, _Form(side, None))
        likely = (form for form in forms[:-1] if len(form.encode(sample)) <= share * most)
        for form in chain(likely, forms[-1:]):
            content = form.encode(tiles)
            if len(content) <= most:
                break
        return ThumbnailSheet(content=content, side=form.side, n_columns=_columns(len(tiles)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailSheet:
    """Square thumbnails side by side in one WebP image, line by line."""

    content: bytes
    side: int
    n_columns: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How a sheet is encoded: the side of its thumbnails, and the quality, None for no loss."""

    side: int
    quality: int | None

    def encode(self, tiles: Sequence[ImageArray]) -> bytes:
        """Return the sheet of some thumbnails as a WebP file."""
        from PIL import Image

        n_columns = _columns(len(tiles))
        n_lines = math.ceil(len(tiles) / n_columns)
        sheet = Image.new("RGB", (n_columns * self.side, n_lines * self.side))
        for position, tile in enumerate(tiles):
            line, column = divmod(position, n_columns)
            sheet.paste(_enlarged(tile, self.side), (column * self.side, line * self.side))
        file = io.BytesIO()
        lossless = self.quality is None
        sheet.save(file, "WEBP", quality=self.quality or 0, lossless=lossless, method=2)
        return file.getvalue()


def _columns(n_tiles: int) -> int:
    return math.ceil(math.sqrt(n_tiles))


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
