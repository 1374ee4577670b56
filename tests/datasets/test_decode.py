"""Image files become upright RGB bytes, or an error that names them."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tlbench.core.errors import UnreadableImageError
from tlbench.datasets import quiet_pillow
from tlbench.datasets.decode import decode_image

GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, size=(6, 9, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    """Return a function that saves an image and gives its path."""

    def write(image, name="image.png", **options):
        path = tmp_path / name
        image.save(path, **options)
        return path

    return write


@pytest.mark.parametrize(("name", "options"), [("i.png", {}), ("i.webp", {"lossless": True})])
def test_rgb_keeps_its_bytes(save, name, options):
    """Lossless formats give the pixels that were saved."""
    image = decode_image(save(Image.fromarray(PIXELS), name, **options))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, PIXELS)


def test_jpeg_is_near_its_pixels(save):
    """A JPEG of a smooth image is within a few values of it."""
    smooth = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 48, 3))
    image = decode_image(save(Image.fromarray(smooth.copy()), "i.jpg", quality=95))
    assert image.shape == (64, 48, 3)
    # quantisation at quality 95 rounds coefficients by one or two
    assert np.abs(image.astype(int) - smooth).max() <= 4


def test_content_counts_not_the_suffix(save):
    """A PNG that is called .jpg is read as what it is."""
    path = save(Image.fromarray(PIXELS), "i.jpg", format="PNG")
    np.testing.assert_array_equal(decode_image(path), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(save, orientation):
    """The eight orientations of EXIF are turned upright."""
    # What a camera stores so that the turn of the standard (TIFF 6.0, tag 274) gives PIXELS.
    stored = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, 1),
        7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PIXELS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(decode_image(path), PIXELS)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_broken_exif_leaves_the_image(save, exif):
    """An EXIF block that makes no sense says nothing about the orientation."""
    quiet_pillow()
    path = save(Image.fromarray(PIXELS), "i.webp", lossless=True, exif=exif)
    np.testing.assert_array_equal(decode_image(path), PIXELS)


def test_grey_becomes_three_equal_channels(save):
    """Grey is repeated."""
    grey = PIXELS[..., 0]
    image = decode_image(save(Image.fromarray(grey)))
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=-1))


def test_bilevel_becomes_black_and_white(save):
    """One bit a pixel becomes 0 and 255."""
    image = decode_image(save(Image.fromarray(PIXELS[..., 0] > 127)))
    np.testing.assert_array_equal(image[..., 1], np.where(PIXELS[..., 0] > 127, 255, 0))


def test_sixteen_bits_are_scaled(save):
    """16-bit grey keeps its relative brightness: 65535 becomes 255, and nothing is cut off."""
    wide = np.array([[0, 128, 129, 257], [32768, 65406, 65407, 65535]], dtype=np.uint16)
    image = decode_image(save(Image.fromarray(wide)))
    assert image[..., 2].tolist() == [[0, 0, 1, 1], [128, 254, 255, 255]]


def test_palette_is_looked_up(save):
    """Palette indices become their colours."""
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8), mode=None).convert("P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    image = decode_image(save(palette))
    assert image.tolist() == [[[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0]]]


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"], ids=["index", "bytes"])
def test_transparent_palette_shows_white(save, transparency):
    """Transparent entries of a palette are laid over white, without a warning of Pillow's."""
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    image = decode_image(save(palette, transparency=transparency))
    assert image.tolist() == [[[255, 255, 255], [0, 0, 255]]]


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),
        ("RGBA", (0, 0, 0, 51), [204, 204, 204]),
        ("LA", (0, 51), [204, 204, 204]),
    ],
)
def test_alpha_is_laid_over_white(save, mode, pixel, expected):
    """Transparent pixels show a white ground in proportion."""
    image = decode_image(save(Image.new(mode, (2, 3), pixel)))
    assert image.shape == (3, 2, 3)
    assert image[1, 1].tolist() == expected


def test_transparent_colour_shows_white(save):
    """The one transparent colour of an RGB image is laid over white."""
    image = decode_image(save(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3)))
    assert (image == 255).all()


def test_cmyk_is_converted(save):
    """A CMYK JPEG becomes RGB: full cyan has no red."""
    image = decode_image(save(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "i.jpg"))
    # JPEG quantisation moves the values a little
    np.testing.assert_allclose(image[8, 8], [0, 255, 255], atol=6)


def test_animation_gives_its_first_frame(save):
    """Of several frames the first counts."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = save(frames[0], "i.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert decode_image(path)[0, 0].tolist() == [255, 0, 0]


def encoded(suffix):
    buffer = io.BytesIO()
    Image.fromarray(GENERATOR.integers(0, 256, size=(40, 40, 3), dtype=np.uint8)).save(
        buffer, format={"jpg": "JPEG"}.get(suffix, suffix.upper())
    )
    return buffer.getvalue()


ENCODED = {suffix: encoded(suffix) for suffix in ("jpg", "png", "webp")}


@pytest.mark.parametrize("suffix", ENCODED)
@pytest.mark.parametrize("kept_fraction", [0, 0.01, 0.3, 0.9])
def test_truncated_image_is_refused(tmp_path, suffix, kept_fraction):
    """An image that ends too early is an error with its path, never padded with grey."""
    path = tmp_path / f"cut.{suffix}"
    content = ENCODED[suffix]
    path.write_bytes(content[: int(len(content) * kept_fraction)])
    with pytest.raises(
        UnreadableImageError, match=rf"Cannot decode .*cut\.{suffix}: \S+"
    ) as caught:
        decode_image(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    """An image that was deleted since the folder was scanned is unreadable."""
    with pytest.raises(UnreadableImageError, match=r"gone\.png: .*No such file"):
        decode_image(tmp_path / "gone.png")


def png_of(width, height):
    """Write the header of a PNG that claims a size, with no pixels behind it."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_decompression_bomb_is_refused(tmp_path):
    """A small file that claims a thousand million pixels is refused before they are allocated."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(40_000, 40_000))
    with pytest.raises(UnreadableImageError, match=r"bomb\.png: .*decompression bomb"):
        decode_image(path)


def test_warnings_of_pillow_are_no_errors(save, monkeypatch):
    """A large image, which Pillow warns of, is decoded also where warnings are errors."""
    path = save(Image.fromarray(PIXELS))
    # between once and twice the limit Pillow warns, beyond it refuses
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", PIXELS.shape[0] * PIXELS.shape[1] - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet_pillow()
        np.testing.assert_array_equal(decode_image(path), PIXELS)


@settings(deadline=None)
@given(
    suffix=st.sampled_from(sorted(ENCODED)),
    position=st.integers(0, 400),
    replacement=st.binary(max_size=4),
    removed=st.integers(0, 4),
)
def test_damaged_images_give_pixels_or_an_error_of_ours(
    tmp_path_factory, suffix, position, replacement, removed
):
    """Damage anywhere in an image raises nothing but UnreadableImageError."""
    quiet_pillow()
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    content = ENCODED[suffix]
    path.write_bytes(content[:position] + replacement + content[position + removed :])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # a damaged size costs no time
        try:
            image = decode_image(path)
        except UnreadableImageError:
            return
    assert image.dtype == np.uint8
    assert image.shape[2:] == (3,)
