"""Fetch published checkpoints: `python -m gan_core.checkpoints.fetch NAME`. Nothing calls this by itself.

A download continues where it stopped; only when its size and sha256 are right (where they are known) does a file get
its real name, so a partial file never counts as complete. `download.py` says what is respected and what is refused.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from gan_core.checkpoints.download import Progress, Stop, fetch_file
from gan_core.errors import BadCheckpoint, StudioError, UnknownName, WeightsMissing
from weights.published import PUBLISHED, PublishedFile, PublishedModel, default_folder, is_complete, published

logger = logging.getLogger(__name__)


def fetch_model(
    model: PublishedModel, folder: Path, progress: Progress | None = None, *, stop: Stop = lambda: False
) -> Path:
    """Fetch what is missing of a model into folder/NAME and return that folder.

    progress: bytes so far and in all, of all its files together where their sizes are known. Where one set of files
    cannot be fetched, the next that makes the same model is tried.
    Raises WeightsMissing, BadCheckpoint and Cancelled as `fetch_file` does, each a sentence.
    """
    target = folder / model.name
    sets = [files for files in model.sets if files and all(file.sources for file in files)]
    if not sets:
        raise WeightsMissing(f"{model.name} has no address that a program can fetch. Get it by hand: {model.page}")
    _make(target)
    for i, files in enumerate(sets):
        try:
            _fetch_set(files, target, progress, stop)
            return target
        except (WeightsMissing, BadCheckpoint) as error:
            if i + 1 == len(sets):
                raise
            logger.info("%s Other files of the same model are tried.", error)
    return target


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsMissing(f"The folder for weights cannot be written: {error.strerror}.") from error


def _fetch_set(files: Sequence[PublishedFile], target: Path, progress: Progress | None, stop: Stop) -> None:
    known = [file.bytes for file in files if file.bytes is not None]
    together = sum(known) if len(known) == len(files) else None
    before = 0
    for entry in files:
        path = target / entry.file

        def show(done: int, total: int | None, before: int = before) -> None:
            if progress:
                progress(before + done, together if together is not None else total and before + total)

        if not path.is_file():
            fetch_file(entry, path, show, stop=stop)
        before += path.stat().st_size


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
            if not entry.fetchable:
                state += f", by hand from {entry.page}"
            sys.stdout.write(f"{entry.name} ({state}): {entry.title}. Licence: {entry.licence}.\n")
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
