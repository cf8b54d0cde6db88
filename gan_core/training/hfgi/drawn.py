"""Adds sliders for glasses, a beard and red lips, whose directions no regression on codes of photos finds.

    python -m gan_core.training.hfgi.drawn --generator G --finder F --collection FOLDER CSV ... --directions D --out OUT

One face in ten wears glasses, mostly older men: a regression on labels moves age and sex before it draws any. So the
attribute is read from pictures (`readers.py`), the readings are differentiated through the generator at faces that it
draws, without the attribute and again some way towards it, where it begins to show; and the direction is the most
likely change of w that moves this reading alone (`sensitivities.py`). What still moves with it, such as hair, is
outside the narrow region that these sliders may change (`gan_core.hfgi.regions`). People held out take no part.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.networks import resize
from gan_core.errors import BadValue
from gan_core.features import load
from gan_core.hfgi.models import Slider
from gan_core.stylegan2 import Generator
from gan_core.training.data import load_pictures
from gan_core.training.hfgi.directions import join, read_labels
from gan_core.training.hfgi.fitting import layer_window
from gan_core.training.hfgi.measures import SIZE, FinderMeasures, colour_measures, pixel_measures, to_columns
from gan_core.training.hfgi.readers import FaceFeatures, Readers, extremes
from gan_core.training.hfgi.sensitivities import sensitivities, solve_direction

log = logging.getLogger(__name__)
PSI = 0.9
AHEAD_SHARE = 1 / 3  # of the second look: with half of it frames fade and lids darken, without it few frames are drawn
_FACE = ("yaw_deg", "corner_lift", "mouth_open", "eye_open", "light", "hair", "red", "blue")


@dataclass(frozen=True)
class DrawnTarget:
    """One slider. step: standard deviations of w that strength 1 moves the layer that moves most. ahead: the same, of
    the second look; 0: none. layers: first and last index."""

    slider: Slider
    measure: str
    leave: tuple[str, ...]
    layers: tuple[int, int]
    step: float
    ahead: float = 0.0
    men: bool = False


TARGETS = (
    DrawnTarget(
        Slider("glasses", "Glasses", low=0.0, region="eyes", note="frames are drawn from about 1.5 on"),
        "glasses", ("age", "gender", "beard", *_FACE), (0, 7), 2.7, ahead=5.0,
    ),
    DrawnTarget(
        Slider("beard", "Beard", low=-1.5, region="lower_face"),
        "beard", ("age", "gender", "glasses", *_FACE), (2, 9), 2.2, ahead=4.0, men=True,
    ),
    DrawnTarget(
        Slider("lips", "Red lips", low=-1.0, region="mouth"),
        "lips", ("age", "gender", "beard", "glasses", *_FACE), (5, 13), 2.2,
    ),
)  # fmt: skip


def draw_faces(generator: Generator, count: int, seed: int = 77) -> tuple[Tensor, Tensor]:
    """w (count, w_dim) and uint8 pictures (count, 3, 256, 256), on the CPU."""
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
    codes, pictures = [], []
    with torch.inference_mode():
        for part in z.to(generator.mapping.w_avg.device).split(16):
            w = generator.mapping.truncate(generator.mapping(part), PSI)
            image = resize(generator.synthesis(generator.broadcast(w), noise="const").clamp(-1, 1), SIZE)
            codes.append(w.cpu())
            pictures.append(((image + 1) * 127.5).round().byte().cpu())
    return torch.cat(codes), torch.cat(pictures)


def fit_readers(
    collections: list[tuple[str, str]], features: FaceFeatures, drawn: Tensor, limit: int | None = None
) -> tuple[Readers, np.ndarray]:
    """The readers, and the features (N, features) of the drawn pictures (N, 3, 256, 256), uint8.

    collections: folders and tables of labelled faces; limit: use only so many of each.
    """
    parts = [read_labels(Path(folder), Path(table), limit) for folder, table in collections]
    labelled = join(parts)
    kept = ~labelled.held_out
    files = [file for file, keep in zip(labelled.files, kept, strict=True) if keep]
    pictures = torch.cat([load_pictures(files, SIZE), drawn])
    found = features.of_pictures(pictures)
    readers, people = Readers(), found[: len(files)]
    for name, yes_or_no in (("glasses", True), ("gender", True), ("age", False)):
        readers.fit(name, people, labelled.columns[name][kept], yes_or_no=yes_or_no)
    shade = np.concatenate(
        [to_columns(colour_measures(part.float() / 127.5 - 1))["shade"] for part in pictures.split(64)]
    )
    is_man = readers(torch.from_numpy(found).float())["gender"].numpy() < 0
    readers.fit("beard", found, extremes(shade, is_man), yes_or_no=True)
    return readers, found[len(files) :]


Measure = Callable[[Tensor], dict[str, Tensor]]
Look = tuple[Tensor, dict[str, np.ndarray]]
"""Codes (N, num_ws, w_dim) of drawn faces, and the mean derivatives of the measures there."""


def first_look(
    generator: Generator, w: Tensor, readings: dict[str, np.ndarray], measure: Measure, people: int, *, men: bool
) -> Look:
    """Derivatives at some drawn faces without glasses, men and as many women, or men only.

    w: (N, w_dim) of all drawn faces; readings: (N,) by name, of the same. Raises BadValue if there is no such face.
    """
    kinds = [readings["gender"] < -1] + ([] if men else [readings["gender"] > 1])
    draw, bare = np.random.RandomState(1), readings["glasses"] < 0
    chosen = np.concatenate([draw.permutation(np.flatnonzero(kind & bare))[: people // len(kinds)] for kind in kinds])
    if not len(chosen):
        raise BadValue("None of the drawn faces is surely a man's or a woman's without glasses: draw more --faces.")
    codes = generator.broadcast(w[torch.from_numpy(chosen)]).to(generator.mapping.w_avg.device)
    return codes, sensitivities(generator, codes, measure)


def find_direction(generator: Generator, w: Tensor, target: DrawnTarget, measure: Measure, look: Look) -> Tensor:
    """The direction (num_ws, w_dim) of strength 1. w: (N, w_dim) of drawn faces."""
    likely = generator.broadcast(w).double().numpy()
    spread = w.std(0)
    window = layer_window(generator.num_ws, target.layers)

    def solve(gradients: dict[str, np.ndarray]) -> Tensor:
        direction = torch.from_numpy(solve_direction(gradients, target.measure, target.leave, likely, window)).float()
        return direction / (direction / spread).norm(dim=1).max()

    here, gradients = look
    if target.ahead:
        further = sensitivities(generator, here + target.ahead * solve(gradients).to(here), measure)
        gradients = {name: gradients[name] + AHEAD_SHARE * (further[name] - gradients[name]) for name in gradients}
    return target.step * solve(gradients)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True, help="weights file of the face generator")
    parser.add_argument("--finder", type=Path, required=True, help="the face finder's weights")
    parser.add_argument("--collection", nargs=2, action="append", required=True, metavar=("FOLDER", "CSV"),
                        help="aligned faces, in a folder named like their collection, and their labels")  # fmt: skip
    parser.add_argument("--directions", type=Path, required=True, help="directions file whose sliders are kept")
    parser.add_argument("--out", type=Path, required=True, help="directions file to write")
    parser.add_argument("--faces", type=int, default=1000, help="faces to draw (default: 1000)")
    parser.add_argument("--people", type=int, default=40, help="of them at which derivatives are taken (default: 40)")
    parser.add_argument("--limit", type=int, help="use only this many labelled pictures of each collection (trials)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=[t.slider.name for t in TARGETS], help="find only these sliders")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    generator, _ = build_from_file(Generator, args.generator, "generator")
    generator = generator.to(args.device, memory_format=torch.channels_last).eval().requires_grad_(False)
    features = FaceFeatures(load().to(args.device, memory_format=torch.channels_last))
    finder = FinderMeasures(args.finder, args.device)
    finder.refiner.requires_grad_(False)
    w, drawn = draw_faces(generator, args.faces)
    readers, found = fit_readers(args.collection, features, drawn, args.limit)
    readings = to_columns(readers(torch.from_numpy(found).float()))
    log.info("drawn faces with glasses: %.1f %%", 100 * float((readings["glasses"] > 0).mean()))
    readers.to(args.device)

    def measure(images: Tensor) -> dict[str, Tensor]:
        images = resize(images, SIZE)
        pixels = pixel_measures(images)
        pixels.pop("glasses")  # the reading, not the edges
        return readers(features(images)) | pixels | colour_measures(images) | finder(images)

    directions, config = store.read(args.directions)
    wanted = [target for target in TARGETS if args.only is None or target.slider.name in args.only]
    attributes = [entry for entry in config["attributes"] if entry["name"] not in {t.slider.name for t in wanted}]
    looks: dict[bool, Look] = {}
    for target in wanted:
        if target.men not in looks:
            looks[target.men] = first_look(generator, w, readings, measure, args.people, men=target.men)
        directions[target.slider.name] = find_direction(generator, w, target, measure, looks[target.men])
        attributes.append(asdict(target.slider))
    store.save(args.out, directions, config={**config, "attributes": attributes})


if __name__ == "__main__":
    main()
