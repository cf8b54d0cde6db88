"""Edit the faces of photos: `gan-studio edit PHOTO ... --smile 2 [--age -1 ...]`.

PHOTO is a picture, a folder or a ZIP archive of pictures. In each the largest face is edited, with the embedded face
editor (HFGI), and the whole photo is written as a PNG file of the same name into --output, where earlier results of
these names are replaced. With --refine the inversion is first refined on each photo: some ten seconds more on a CPU.
What does not work is said in a sentence, and the rest goes on; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gan_core.errors import StudioError
from gan_core.hfgi.models import embedded_sliders
from gan_core.images import open_image, save_png, to_pil, to_tensor
from gan_core.picture_sets import picture_set, result_names

if TYPE_CHECKING:
    from gan_core.hfgi.pipeline import HFGIPipeline

logger = logging.getLogger(__name__)


def edited(pipeline: HFGIPipeline, photo: Image.Image, strengths: Mapping[str, float], *, refine: bool) -> Image.Image:
    """The photo with its largest face edited; the rest stays as it is.

    strengths: by attribute. Raises NoFaceFound, FaceTooSmall, UnknownName or BadValue.
    """
    from gan_core.faces import align, find_faces, paste_back
    from gan_core.faces.reference import reference_for

    aligned = align(photo, find_faces(photo)[0], pipeline.resolution)
    inversion = pipeline.invert(to_tensor(aligned.crop))
    if refine:
        for report in pipeline.refine(inversion):
            inversion = report.inversion or inversion
    before, after = (to_pil(pipeline.edit(inversion, values)) for values in ({}, strengths))
    return paste_back(photo, aligned, after, reference=reference_for(aligned.crop, before, after))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 if all pictures were edited, 1 if some were not, 2 for flags that cannot be used."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser, names = _parser()
    options = parser.parse_args(arguments)
    strengths = {name: value for name in names if (value := getattr(options, name))}
    if not strengths:
        parser.error(f"say what to change, such as --smile 2; there is --{', --'.join(names)}")
    try:
        return _run(options, strengths)
    except StudioError as error:
        logger.error("%s", error)
        return 1


def _run(options: argparse.Namespace, strengths: Mapping[str, float]) -> int:
    for path in options.photos:
        if not path.exists():
            logger.error("There is no file %s.", path)
            return 1
    found = picture_set(options.photos)

    from gan_core.pretrained import GanModel

    pipeline, failed = GanModel.embedded("hfgi").pipeline, list(found.refused)
    what = ", ".join(f"{name} {value:+g}" for name, value in strengths.items())
    names = result_names([picture.name for picture in found.pictures])
    for picture, name in zip(found.pictures, names, strict=True):
        try:
            result = edited(pipeline, open_image(picture.read()), strengths, refine=options.refine)
        except StudioError as error:
            failed.append((picture.name, str(error)))
            continue
        target = options.output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        save_png(result, target, f"edited with GAN Studio, HFGI (people, embedded): {what}")
        logger.info("%s", target)
    for name, why in failed:
        logger.error("%s: %s", name, why)
    return 1 if failed else 0


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser, and the attributes that it has flags for."""
    parser = argparse.ArgumentParser(
        prog="gan-studio edit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    parser.add_argument("--output", type=Path, default=Path("edited"), metavar="FOLDER", help="default: edited")
    parser.add_argument("--refine", action="store_true", help="refine the inversion on each photo first")
    sliders = embedded_sliders()
    for slider in sliders:
        flags = dict.fromkeys((f"--{slider.name.replace('_', '-')}", f"--{slider.name}"))
        parser.add_argument(
            *flags, dest=slider.name, type=float, default=0.0, metavar="X",
            help=f"{slider.label}, from {slider.low:g} to {slider.high:g}",
        )  # fmt: skip
    return parser, [slider.name for slider in sliders]


if __name__ == "__main__":
    sys.exit(main())
