"""Each format that is read, by its content; and none besides."""

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image, features

from tlbench.core.errors import UnreadableImageError
from tlbench.datasets import formats
from tlbench.datasets.decode import decode_image

GENERATOR = np.random.default_rng(1)
PIXELS = GENERATOR.integers(0, 256, size=(6, 9, 3), dtype=np.uint8)
SMOOTH = np.broadcast_to(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (48, 32, 3)).copy()
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow lacks AVIF")


@pytest.fixture
def heif():
    """Make HEIC files readable."""
    pytest.importorskip("pillow_heif")
    formats._reads_heif.cache_clear()
    assert formats._reads_heif()


@pytest.fixture
def no_heif(monkeypatch):
    """Act as if pillow-heif were not installed."""
    monkeypatch.setattr(formats, "_reads_heif", lambda: False)


@pytest.mark.parametrize("name", ["i.bmp", "i.tif", "i.tiff", "i.dib"])
@pytest.mark.parametrize("renamed", ["same", "i.jpg", "noname"])
def test_lossless_formats_keep_their_bytes(tmp_path, name, renamed):
    """Whatever the file is called."""
    Image.fromarray(PIXELS).save(tmp_path / name, format="BMP" if name == "i.dib" else None)
    path = tmp_path / name
    if renamed != "same":
        path = path.rename(tmp_path / renamed)
    np.testing.assert_array_equal(decode_image(path), PIXELS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", None])
def test_tiff_is_read_with_its_usual_compressions(tmp_path, compression):
    Image.fromarray(PIXELS).save(tmp_path / "i.tif", compression=compression)
    np.testing.assert_array_equal(decode_image(tmp_path / "i.tif"), PIXELS)


@pytest.mark.parametrize("name", ["i.jpg", "i.jpe", "i.jfif", "i.jpeg"])
def test_the_family_of_jpeg(tmp_path, name):
    Image.fromarray(SMOOTH).save(tmp_path / name, format="JPEG", quality=95)
    # quantisation at quality 95 rounds coefficients by one or two
    assert np.abs(decode_image(tmp_path / name).astype(int) - SMOOTH).max() <= 4


def test_a_jpeg_of_several_pictures_gives_the_first(tmp_path):
    """Phones write previews behind the photograph, in the format MPO."""
    first, second = Image.fromarray(SMOOTH), Image.new("RGB", (32, 48), "red")
    first.save(tmp_path / "i.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    assert np.abs(decode_image(tmp_path / "i.jpg").astype(int) - SMOOTH).max() <= 4


@needs_avif
def test_avif_is_near_its_pixels(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "i.avif", quality=95)
    # lossy, as JPEG is
    assert np.abs(decode_image(tmp_path / "i.avif").astype(int) - SMOOTH).max() <= 4


def test_heic_is_read_with_the_plugin(tmp_path, heif):
    """Under its own name and under that of a JPEG, as phones and clouds rename it."""
    for name in ("i.heic", "i.jpg"):
        Image.fromarray(SMOOTH).save(tmp_path / name, format="HEIF", quality=95)
        # lossy, as JPEG is
        assert np.abs(decode_image(tmp_path / name).astype(int) - SMOOTH).max() <= 4


def test_without_the_plugin_a_heic_photo_is_named_as_such(tmp_path, no_heif):
    box = b"ftypheic\0\0\0\0mif1heic"
    (tmp_path / "i.jpg").write_bytes(struct.pack(">I", 4 + len(box)) + box + b"\0" * 100)
    with pytest.raises(UnreadableImageError, match=r"i\.jpg: not an image but HEIC .*pillow-heif"):
        decode_image(tmp_path / "i.jpg")


def test_a_plugin_that_cannot_be_imported_is_no_plugin(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats._reads_heif.cache_clear()
    try:
        assert formats.pillow_formats() == formats._FORMATS
    finally:
        formats._reads_heif.cache_clear()


ORIENTED = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: np.rot90(PIXELS, 1),
    7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(PIXELS, -1),
}


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("i.jpg", {"quality": 100, "subsampling": 0}, 6),
        ("i.webp", {"lossless": True}, 0),
        ("i.tif", {}, 0),
        ("i.tif", {"compression": "tiff_lzw"}, 0),
        pytest.param("i.avif", {"quality": 100, "subsampling": "4:4:4"}, 6, marks=needs_avif),
    ],
)
def test_orientation_is_applied_once_in_every_format(
    tmp_path, orientation, name, options, tolerance
):
    """Pillow turns some formats by itself: they must not be turned twice."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(ORIENTED[orientation]))
    stored.save(tmp_path / name, exif=exif, **options)
    actual = decode_image(tmp_path / name)
    assert actual.shape == PIXELS.shape
    # lossy formats at their best move values by a few; a wrong turn moves them by a hundred
    assert np.abs(actual.astype(int) - PIXELS).max() <= tolerance


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_of_heic_is_applied_once(tmp_path, heif, orientation):
    large = {6: np.rot90(SMOOTH, 1), 8: np.rot90(SMOOTH, -1), 3: SMOOTH[::-1, ::-1], 1: SMOOTH}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(large[orientation]))
    # As bytes, of which the plugin makes the container's own rotation, as cameras do.
    stored.save(tmp_path / "i.heic", exif=exif.tobytes(), quality=95)
    # lossy, as above
    assert np.abs(decode_image(tmp_path / "i.heic").astype(int) - SMOOTH).max() <= 6


def test_first_frame_of_a_gif(tmp_path):
    """With its transparent pixels over white."""
    frames = [Image.new("RGBA", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].putpixel((0, 0), (0, 0, 0, 0))
    frames[0].save(tmp_path / "i.gif", save_all=True, append_images=frames[1:])
    image = decode_image(tmp_path / "i.gif")
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["i.tif", "i.png", "i.gif", "i.webp"])
def test_first_of_several_pages(tmp_path, name):
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    # WebP is lossy here
    assert np.abs(decode_image(tmp_path / name)[1, 1].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_tiff_are_scaled(tmp_path, order):
    """In both byte orders."""
    wide = np.array([[0, 128, 129, 257], [32768, 65406, 65407, 65535]], dtype=f"{order}u2")
    image = Image.frombytes("I;16" if order == "<" else "I;16B", (4, 2), wide.tobytes())
    image.save(tmp_path / "i.tif")
    expected = [[0, 0, 1, 1], [128, 254, 255, 255]]
    assert decode_image(tmp_path / "i.tif")[..., 0].tolist() == expected


@pytest.mark.parametrize("mode", ["CMYK", "LA", "RGBA", "P", "1", "L"])
def test_modes_of_tiff(tmp_path, mode):
    image = Image.fromarray(PIXELS).convert("RGB" if mode == "P" else "L").convert(mode)
    image.save(tmp_path / "i.tif")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(tmp_path / "i.tif"), expected)


def test_floating_point_pixels_are_refused_with_the_reason(tmp_path):
    """Their white may be 1 or 255 or any number: a guess would make images black."""
    Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)).save(tmp_path / "i.tif")
    with pytest.raises(UnreadableImageError, match="floating-point"):
        decode_image(tmp_path / "i.tif")


def encoded(kind):
    buffer = io.BytesIO()
    if kind == "EPS":
        Image.fromarray(PIXELS).save(buffer, format="EPS")
    elif kind == "PSD":
        header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 1, 1, 8, 3)
        buffer.write(header + b"\0" * 12 + b"\0\0" + b"\1\2\3")
    else:
        Image.fromarray(PIXELS).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["EPS", "PSD", "PPM", "PCX", "TGA", "ICO", "JPEG2000", "SGI"])
@pytest.mark.parametrize("name", ["i.jpg", "own"])
def test_other_decoders_of_pillow_are_never_run(tmp_path, monkeypatch, kind, name):
    """Whether the file's name hides what it is, or says it."""
    own = {"JPEG2000": "jp2"}.get(kind, kind.lower())
    path = tmp_path / (f"i.{own}" if name == "own" else name)
    path.write_bytes(encoded(kind))
    Image.init()
    with Image.open(path) as image:  # Pillow itself would read it
        assert image.format == kind

    def run(*_):
        pytest.fail(f"the decoder of {kind} was run")

    monkeypatch.setitem(Image.OPEN, kind, (run, Image.OPEN[kind][1]))
    with pytest.raises(UnreadableImageError, match="Cannot decode"):
        decode_image(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an image but empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git LFS pointer.*lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>404", "not an image but web page"),
        (b"\n<HTML><head>", "web page"),
        (b"<?xml version='1.0'?>\n<svg xmlns=''/>", "SVG image"),
        (b"%PDF-1.7", "PDF file"),
        (b"8BPS\0\1", "Photoshop file"),
        (b"\x89PNG\r\n\x1a\nrest", "header of this PNG file is damaged"),
        (b"GIF89a", "header of this GIF file is damaged"),
        (b"no image", "its content is not of a known image format"),
    ],
)
def test_the_error_says_what_the_file_is(tmp_path, content, said):
    (tmp_path / "i.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"i\.jpg: .*{said}") as caught:
        decode_image(tmp_path / "i.jpg")
    assert "Repair the file, or remove it from the dataset" not in str(caught.value)


@pytest.mark.parametrize(("number", "said"), [(13, "Permission denied"), (5, "Input/output error")])
def test_an_error_of_the_system_is_not_called_damage(tmp_path, monkeypatch, number, said):
    def refuse(*_, **__):
        raise OSError(number, said)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UnreadableImageError, match=rf"{said}\. Check the file and its permissions"):
        decode_image(tmp_path / "i.jpg")


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", pytest.param("AVIF", marks=needs_avif)])
@pytest.mark.parametrize("kept_fraction", [0.01, 0.3, 0.9])
def test_truncated_files_are_refused(tmp_path, kind, kept_fraction):
    buffer = io.BytesIO()
    noise = GENERATOR.integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format=kind)
    content = buffer.getvalue()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * kept_fraction)])
    with pytest.raises(UnreadableImageError, match="Cannot decode"):
        decode_image(tmp_path / "cut")


def test_bombs_of_other_formats_are_refused(tmp_path):
    """The header claims a thousand million pixels."""
    side = 40_000
    bitmap = b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, 24, *[0] * 6)
    gif = encoded("GIF")
    gif = gif[:6] + struct.pack("<HH", side, side) + gif[10:]
    for name, content in (("bomb.bmp", bitmap), ("bomb.gif", gif)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError, match="decompression bomb.*smaller"):
            decode_image(tmp_path / name)
