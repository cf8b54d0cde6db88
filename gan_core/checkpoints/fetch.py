"""Fetch published checkpoints: `python -m gan_core.checkpoints.fetch NAME`. Nothing calls this by itself.

A download goes to NAME.part and continues where it stopped; only when its size and sha256 are right (where
they are known) does it get its real name, so a partial file never counts as complete.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from gan_core.errors import BadCheckpoint, StudioError, UnknownName, WeightsMissing
from weights.published import (
    PUBLISHED,
    PublishedFile,
    PublishedModel,
    default_folder,
    is_complete,
    published,
)

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known


def fetch_model(model: PublishedModel, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch what is missing of a model into folder/NAME and return that folder.

    Raises WeightsMissing (no connection, address gone) and BadCheckpoint (wrong bytes), each a sentence.
    """
    target = folder / model.name
    target.mkdir(parents=True, exist_ok=True)
    for entry in model.files:
        if not (target / entry.file).is_file():
            fetch_file(entry, target / entry.file, progress)
    return target


def fetch_file(entry: PublishedFile, path: Path, progress: Progress | None = None) -> Path:
    """Download one file to `path`, continuing a partial download, and check it.

    Raises WeightsMissing and BadCheckpoint as `fetch_model` does; a file that fails its check is removed.
    """
    partial = path.with_name(path.name + ".part")
    try:
        _download(entry.url, partial, progress)
    except (urllib.error.URLError, OSError) as error:
        raise WeightsMissing(f"{entry.url} could not be fetched: {error}. Run it again to continue.") from error
    size, digest = partial.stat().st_size, _sha256(partial)
    if entry.bytes is not None and size != entry.bytes or entry.sha256 is not None and digest != entry.sha256:
        partial.unlink()
        raise BadCheckpoint(f"{entry.file} came with other content than it was published with; it was removed.")
    if entry.sha256 is None:
        logger.info("%s: no published hash to compare with; sha256 is %s", entry.file, digest)
    os.replace(partial, path)
    return path


def _download(url: str, partial: Path, progress: Progress | None) -> None:
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # the range starts at the end: all bytes are here
            return
        raise
    with response:
        if have and response.status != 206:  # a server that knows no ranges sends all of it again
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(partial, "ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.checkpoints.fetch", description=__doc__)
    names = ", ".join(entry.name for entry in PUBLISHED)
    parser.add_argument("name", nargs="?", help=f"one of: {names}; left out, they are listed")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="default: %(default)s")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.name is None:
        for entry in PUBLISHED:
            state = "here" if is_complete(entry, options.folder) else "not here"
            sys.stdout.write(f"{entry.name} ({state}): {entry.source}. Licence: {entry.licence}.\n")
        return 0
    try:
        try:
            model = published(options.name)
        except KeyError:
            raise UnknownName(f"There is no published model {options.name!r}. Known: {names}.") from None
        logger.info("licence of %s: %s", model.name, model.licence)
        with tqdm(unit="B", unit_scale=True, desc=model.name) as bar:

            def show(done: int, total: int | None) -> None:
                bar.total = total
                bar.n = done
                bar.refresh()

            folder = fetch_model(model, options.folder, show)
    except StudioError as error:
        logger.error("%s", error)
        return 1
    logger.info("complete in %s", folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
