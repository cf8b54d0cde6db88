"""Install a published file that you have: `gan-studio install FILE [NAME]`. It is told by its tensors, not by its name.

It is read once and written again under this project's own names into the published weights' folder; FILE stays. Without
NAME the catalogue's entry is found; where several have networks of that shape, they are listed to choose from. Without
FILE what is installed is listed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from gan_core.checkpoints.places import Place, installed, places
from gan_core.errors import StudioError
from weights.published import default_folder, published

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.checkpoints.install", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a checkpoint as its authors publish it")
    parser.add_argument("name", nargs="?", help="ENTRY or ENTRY/PART of docs/weights.md")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="default: %(default)s")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.file is None:
        for here in installed(options.folder):
            sys.stdout.write(f"{_name(here.place)}: {here.place.label}, {here.bytes / 1e6:.0f} MB\n")
        return 0
    try:
        return _install(options.file, options.name, options.folder)
    except StudioError as error:
        logger.error("%s", error)
        return 1


def _install(file: Path, name: str | None, folder: Path) -> int:
    from gan_core.checkpoints.library import install, recognise

    if name is None:
        found = recognise(file)
        logger.info("%s", found.what)
        if not found.places:
            return 1
        if not found.sure:
            names = "\n".join(f"    {_name(place)}: {place.label}" for place in found.places)
            logger.error("Networks of this shape are the same in several models. Say which it is:\n%s", names)
            return 2
        place = found.places[0]
    else:
        chosen = next((place for place in places() if _name(place) == name), None)
        if chosen is None:
            logger.error("There is no published model %r. Known: %s.", name, ", ".join(map(_name, places())))
            return 1
        place = chosen
    logger.info("licence of %s: %s", place.label, published(place.entry).licence)
    target = install(file, place, folder, name=file.name, report=lambda fraction, text: logger.info("%s", text))
    logger.info("%s", target)
    return 0


def _name(place: Place) -> str:
    return f"{place.entry}/{place.part}" if place.part else place.entry


if __name__ == "__main__":
    sys.exit(main())
