"""Several pictures at once: files, folders and ZIP archives, which are untrusted and bounded before anything is read.

Nothing is written to disk here: a picture's bytes are read when it is its turn.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gan_core.errors import BadImage, BadValue

MOST_PICTURES = 200
MOST_ENTRIES = 2_000
"""Of an archive, pictures or not."""
LARGEST_PICTURE = 64 << 20
LARGEST_SET = 1 << 30
"""Bytes, unpacked."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif", ".heic", ".heif")
_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class SetPicture:
    """A picture of a set, not read yet."""

    name: str
    """Its path in the set, such as "holiday/beach.jpg"."""
    source: Path
    """The file, or the archive that it is in."""
    entry: str | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """Its bytes, at most LARGEST_PICTURE whatever its header says. Raises BadImage."""
        try:
            if self.entry is None:
                if self.source.stat().st_size > LARGEST_PICTURE:
                    raise BadImage(_LARGE)
                return self.source.read_bytes()
            with zipfile.ZipFile(self.source) as archive, archive.open(self.entry) as stream:
                content = b""
                while chunk := stream.read(_CHUNK):
                    content += chunk
                    if len(content) > LARGEST_PICTURE:
                        raise BadImage(_LARGE)
                return content
        except BadImage:
            raise
        except Exception as error:  # the archive's, each decompressor's and the disk's own
            raise BadImage("The picture could not be read from the archive.") from error


_LARGE = f"The picture has more than {LARGEST_PICTURE >> 20} MB."


@dataclass(frozen=True)
class PictureSet:
    """What was found."""

    pictures: tuple[SetPicture, ...]
    refused: tuple[tuple[str, str], ...]
    """Names of what is no picture, and why, each in a sentence."""
    name: str
    """What it is called: the archive's or folder's name, or the first picture's."""


def picture_set(paths: Sequence[Path]) -> PictureSet:
    """The pictures in files, folders and ZIP archives, in order. Raises BadValue if there are none or too many, if an
    archive is damaged or has a password, or if it would unpack to too much."""
    pictures: list[SetPicture] = []
    refused: list[tuple[str, str]] = []
    for path in paths:
        for one in _found(path):
            if isinstance(one, SetPicture):
                pictures.append(one)
            else:
                refused.append(one)
            if len(pictures) > MOST_PICTURES:
                raise BadValue(f"At most {MOST_PICTURES} pictures go through at once. Please send them in parts.")
    if not pictures:
        raise BadValue("There is no picture among these files. Please choose pictures, or a ZIP archive of them.")
    first = paths[0].stem if len(paths) == 1 else f"{PurePosixPath(pictures[0].name).stem} and others"
    return PictureSet(tuple(pictures), tuple(refused), first)


def _found(path: Path) -> Iterator[SetPicture | tuple[str, str]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if file.is_symlink() or not file.is_file() or _is_ignored(name):
                continue
            yield SetPicture(name, file) if _is_picture(name) else (name, _no_picture(name))
    elif path.suffix.lower() == ".zip":
        yield from _in_archive(path)
    else:
        yield SetPicture(path.name, path) if _is_picture(path.name) else (path.name, _no_picture(path.name))


def _in_archive(path: Path) -> Iterator[SetPicture | tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadValue(f"{path.name} is damaged or no ZIP archive. Please make it again.") from error
    if len(entries) > MOST_ENTRIES:
        raise BadValue(f"{path.name} has {len(entries):,} files; an archive may have {MOST_ENTRIES:,}.")
    if sum(entry.file_size for entry in entries) > LARGEST_SET:
        raise BadValue(f"{path.name} would unpack to more than {LARGEST_SET >> 30} GB. Please send it in parts.")
    for entry in entries:
        name = PurePosixPath(*[part for part in PurePosixPath(entry.filename).parts if part not in ("/", "..")])
        if entry.is_dir() or _is_ignored(entry.filename):
            continue
        if entry.flag_bits & 1:
            raise BadValue(f"{path.name} has a password. Please send it without one.")
        if stat.S_ISLNK(entry.external_attr >> 16) or not _is_picture(entry.filename):
            yield str(name), _no_picture(entry.filename)
        elif entry.file_size > LARGEST_PICTURE:
            yield str(name), _LARGE
        else:
            yield SetPicture(str(name), path, entry.filename)


def result_names(names: Sequence[str]) -> list[str]:
    """Names of the results, PNG files in the same folders, no two the same."""
    taken: set[str] = set()
    results = []
    for name in names:
        stem = PurePosixPath(name).with_suffix("")
        result, number = f"{stem}.png", 2
        while result.lower() in taken:
            result, number = f"{stem}-{number}.png", number + 1
        taken.add(result.lower())
        results.append(result)
    return results


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _is_ignored(name: str) -> bool:
    return any(part in _IGNORED or part.startswith("._") for part in PurePosixPath(name).parts)


def _no_picture(name: str) -> str:
    if PurePosixPath(name).suffix.lower() == ".zip":
        return "An archive inside an archive is not opened."
    return "This is not a picture."
