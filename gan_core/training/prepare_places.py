"""Prepares panoramas for training: `python -m gan_core.training.prepare_places --panoramas FOLDER --out FOLDER`.

Takes a folder of cube maps, NAME/{px,nx,py,ny,pz,nz}.webp with a table panoramas.csv, shrinks their faces to at most a
given side and writes them as WebP with the table that `gan_core.training.places` reads. All places together stay below
a size in megabytes, so that they can be sent to a training machine: the quality is lowered until they do.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from gan_core.errors import BadImage, BadValue, StudioError
from gan_core.training.cube_maps import CUBE
from gan_core.training.places import TABLE, is_held_out

log = logging.getLogger(__name__)

# Names that begin alike and show one place, or places a few steps apart, and the families that are not named so.
FAMILIES = ("modern_buildings", "teufelsberg", "blaubeuren", "brown_photostudio", "kloppenheim")
PALERMO = ("palermo_sidewalk", "palermo_square", "quattro_canti", "urban_alley_01")
LABELS = ("place", "time", "season", "content", "licence")
NOT_PLACES = ("sky only",)  # as `content`: their lower half is made up
QUALITIES = (92, 88, 84, 78, 70, 60, 45, 30)


def family_of(name: str) -> str:
    """What places of one family have in common."""
    if name in PALERMO:
        return "palermo"
    return next((family for family in FAMILIES if name.startswith(family)), name)


def prepare(panoramas: Path, out: Path, side: int, megabytes: float) -> float:
    """Write all places; returns their size in megabytes.

    Raises:
        BadImage: the folder has no table or a face is missing.
        BadValue: the places do not fit even at the lowest quality.
    """
    table = panoramas / "panoramas.csv"
    if not table.is_file():
        raise BadImage(f"{panoramas} has no panoramas.csv, which lists the places.")
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("content") not in NOT_PLACES]
    out.mkdir(parents=True, exist_ok=True)
    for quality in (None, *QUALITIES):
        folders = [(panoramas / row["name"], out / row["name"]) for row in rows]
        with ThreadPoolExecutor(4) as pool:
            work = pool.map(functools.partial(_write_place, side=side, quality=quality), *zip(*folders, strict=True))
            size = sum(tqdm(work, total=len(rows), desc=f"quality {quality or 'as it is'}")) / 1e6
        if size <= megabytes:
            break
        log.info("%.1f MB: too large, once more at a lower quality", size)
    else:
        raise BadValue(f"The places take {size:.0f} MB even at the lowest quality. Choose a smaller side.")
    with (out / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, ["name", "family", *LABELS], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"family": family_of(row["name"])} for row in rows)
    held = [row["name"] for row in rows if is_held_out(family_of(row["name"]))]
    log.info("%d places, %.1f MB; held out: %s", len(rows), size, ", ".join(held))
    return size


def _write_place(source: Path, out: Path, side: int, quality: int | None) -> int:
    """Write six faces, returns their bytes. quality: None to copy a WebP file that needs no shrinking."""
    out.mkdir(exist_ok=True)
    total = 0
    for face in CUBE:
        path = source / f"{face}.webp"
        if not path.is_file():
            raise BadImage(f"The place {source.name} lacks its face {face}.")
        with Image.open(path) as image:
            if quality is None and image.width <= side:
                shutil.copyfile(path, out / path.name)
            else:
                picture = image.convert("RGB")
                if picture.width > side:
                    picture = picture.resize((side, side), Image.Resampling.BOX)
                written = io.BytesIO()
                picture.save(written, "WEBP", quality=quality or QUALITIES[0], method=6)
                (out / path.name).write_bytes(written.getvalue())
        total += (out / path.name).stat().st_size
    return total


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--panoramas", type=Path, required=True, help="folder of cube maps with panoramas.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, default=512, help="largest side of a face in pixels")
    parser.add_argument("--megabytes", type=float, default=45.0, help="most that all places may take")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    prepare(args.panoramas, args.out, args.side, args.megabytes)


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
