"""Image formats: which are read, and what a file is by its first bytes."""

import re
from functools import cache
from importlib import import_module, metadata
from typing import Final

from tlbench.core.unused import OTHER

# Pillow's names. It is told to try no others: some of its decoders start other programs or are
# hardly ever used, and a dataset may come from anywhere.
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
_HEIF: Final = "HEIF"

# The names of which no file is opened to find out. In lower case.
_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif"}
    | {".tif", ".tiff", ".avif"}
)
_HEIF_SUFFIXES: Final = frozenset({".heic", ".heif", ".hif"})
# Raw files of cameras and scans of slides look like TIFF, but what Pillow finds is a thumbnail.
_UNREAD_SUFFIXES: Final = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srw", ".x3f", ".ndpi", ".scn", ".svs"}
    | {".eps", ".exr", ".hdr", ".ico", ".j2k", ".jp2", ".jxl", ".pbm", ".pcx", ".pgm", ".ppm"}
    | {".psd", ".svg", ".tga"}
)

HEAD_BYTES: Final = 512
_NEEDS_HEIF: Final = "install pillow-heif"
_UNREAD: Final = "format not supported"
_HEIF_BRANDS: Final = frozenset(b"heic heix hevc hevx heim heis hevm hevs".split())
_BITMAP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # bytes of each version
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_UNREAD_CONTENTS: Final = (
    (re.compile(rb"\Z"), "empty file"),
    (re.compile(rb"version https://git-lfs\."), "Git LFS pointer file (run: git lfs pull)"),
    (re.compile(rb"\s*<(?:!doctype html|html|head)\b", re.IGNORECASE), "web page"),
    (
        re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!DOCTYPE )?svg\b", re.DOTALL),
        f"SVG image ({_UNREAD})",
    ),
    (re.compile(rb"8BPS"), f"Photoshop file ({_UNREAD})"),
    (re.compile(rb"%!PS"), f"PostScript file ({_UNREAD})"),
    (re.compile(rb"%PDF"), f"PDF file ({_UNREAD})"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), f"JPEG 2000 image ({_UNREAD})"),
    (re.compile(rb"\0\0\0\x0cJXL |\xff\x0a"), f"JPEG XL image ({_UNREAD})"),
)


@cache
def _reads_heif() -> bool:
    """Return whether pillow-heif is installed; let Pillow know of it."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


def pillow_formats() -> tuple[str, ...]:
    """Return the formats that Pillow may try, by its names."""
    return (*_FORMATS, _HEIF) if _reads_heif() else _FORMATS


def decoder_versions() -> list[str]:
    """Return the versions of what decodes: other versions may give other pixels."""
    names = ["pillow", "pillow-heif"] if _reads_heif() else ["pillow"]
    return [f"{name} {metadata.version(name)}" for name in names]


def is_image_suffix(suffix: str) -> bool:
    """Return whether a file of this suffix, in lower case, is taken for an image unopened."""
    return suffix in _SUFFIXES or (suffix in _HEIF_SUFFIXES and _reads_heif())


def unread_suffix(suffix: str) -> str:
    """Return why files of this suffix, in lower case, are not opened at all; else nothing."""
    if suffix in _HEIF_SUFFIXES and not _reads_heif():
        return f"{suffix} file ({_NEEDS_HEIF})"
    return f"{suffix} file ({_UNREAD})" if suffix in _UNREAD_SUFFIXES else ""


def format_of(head: bytes) -> str:
    """Return the format of a file that begins with *head*; nothing if it is not one of ours."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if brands := _brands(head):
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return _HEIF if brands & _HEIF_BRANDS and _reads_heif() else ""
    return next((name for start, name in _SIGNATURES if head.startswith(start)), "")


def _brands(head: bytes) -> frozenset[bytes]:
    """Return the brands in the first box of an ISO media file; nothing for other files."""
    if head[4:8] != b"ftyp":
        return frozenset()
    box = head[8 : min(int.from_bytes(head[:4], "big"), len(head))]
    # A brand, a version, further brands.
    return frozenset(box[i : i + 4] for i in (0, *range(8, len(box), 4)))


def unread_content(head: bytes) -> str:
    """Return what a file is that begins with *head* and is of no format that is read."""
    if _brands(head) & _HEIF_BRANDS:
        return f"HEIC image ({_NEEDS_HEIF})"
    return next((found for start, found in _UNREAD_CONTENTS if start.match(head)), OTHER)
