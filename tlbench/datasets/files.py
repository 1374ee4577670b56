"""The image files in and below a folder, and an account of every file that is not one."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tlbench.core.errors import DataError
from tlbench.core.progress import Listener, task
from tlbench.core.unused import HIDDEN, OTHER, UnusedTally
from tlbench.datasets.formats import (
    HEAD_BYTES,
    format_of,
    is_image_suffix,
    unread_content,
    unread_suffix,
)

# What operating systems, archives and network drives leave in a folder beside hidden files.
_LITTER: Final = frozenset({"__macosx", "@eadir", "thumbs.db", "desktop.ini"})
# Errors that concern one file or folder; others, such as too many open files, concern them all.
_OF_ONE_FILE: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
)


def problem_of(path: Path, error: OSError) -> str:
    """Return in a few words why one file cannot be read; raise what concerns more than one file."""
    reason = error.strerror or type(error).__name__
    if error.errno not in _OF_ONE_FILE:
        raise DataError(f"Cannot read {path}: {reason}. Check the disk and the limits.") from error
    return reason


@dataclass(frozen=True, slots=True)
class ImageFinder:
    """Looks for image files under *root*, and counts in *unused* all that it passes over.

    Names decide first: a file that is called ``.jpg`` is opened only when its pixels are wanted,
    and one that is called ``.psd`` never. Of other names, the first bytes decide.
    """

    root: Path
    unused: UnusedTally = field(default_factory=UnusedTally)

    def leave_out(self, reason: str, path: Path) -> None:
        """Count a file that is not used."""
        self.unused.add(reason, path.relative_to(self.root).as_posix())

    def entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Return the image files and the folders that lie directly in a folder, sorted by name."""
        files: list[Path] = []
        folders: list[Path] = []
        try:
            with os.scandir(folder) as listed:
                found = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            self.leave_out(f"folder that cannot be read ({problem_of(folder, error)})", folder)
            return files, folders
        for entry in found:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                for hidden in _files_below(path):
                    self.leave_out(HIDDEN, hidden)
            elif path.is_dir():
                folders.append(path)
            elif reason := unread(path):
                self.leave_out(reason, path)
            else:
                files.append(path)
        return files, folders

    def below(self, folder: Path) -> list[Path]:
        """Return the image files in and below a folder, sorted; no folder is read twice."""
        # A link may lead to a folder that contains it, or to one that other links lead to as well.
        above = folder.relative_to(self.root).parents
        seen = {_identity(folder), *(_identity(self.root / one) for one in above)}
        found: list[Path] = []
        waiting = [folder]
        while waiting:
            files, folders = self.entries(waiting.pop())
            found += files
            for one in sorted(folders, key=Path.is_symlink):
                identity = _identity(one)
                if identity in seen:
                    self.leave_out("link to a folder that is read already", one)
                else:
                    seen.add(identity)
                    waiting.append(one)
        return sorted(found)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _files_below(path: Path) -> Iterator[Path]:
    """Yield a file, or all files in and below a folder; no link is followed."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in sorted(names))


def unread(path: Path) -> str:
    """Return why a file is not taken for an image; nothing if it is."""
    if not path.is_file():
        return "special file (pipe, socket or device)" if path.exists() else "broken link"
    suffix = path.suffix.lower()
    if is_image_suffix(suffix):
        return ""
    if reason := unread_suffix(suffix):
        return reason
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"file that cannot be read ({problem_of(path, error)})"
    return "" if format_of(head) else unread_content(head)


def not_an_image(head: bytes) -> str:
    """Return what a file is whose name is that of an image, if its first bytes tell otherwise.

    Nothing for a damaged image, whose decoding tells more.
    """
    reason = "" if format_of(head) else unread_content(head)
    return "" if reason == OTHER else reason


def digest_files(
    files: Sequence[Path], leave_out: Callable[[str, Path], None], listener: Listener
) -> dict[Path, str]:
    """Return the SHA-256 of each file's bytes; leave out what the first of them rule out."""
    digests: dict[Path, str] = {}
    with task(listener, "read image files", len(files), "images"):
        for path in files:
            try:
                with path.open("rb") as file:
                    reason = not_an_image(file.read(HEAD_BYTES))
                    if not reason:
                        file.seek(0)
                        digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                reason = f"file that cannot be read ({problem_of(path, error)})"
            if reason:
                leave_out(reason, path)
            listener.advance()
    return digests
