"""Train HFGI on portraits: `python -m gan_core.training.hfgi.train --stage encoder|consultation ...`.

Stage "encoder" trains the basic encoder (e4e's recipe: reconstruction, offsets switched on layer by layer, codes kept
near the generator's own latents) on portraits and on generated pictures whose w is known. Stage "consultation" freezes
it and the generator and trains alignment and consultation (HFGI, section 3.4): the distortion map is distorted by a
random perspective and warped like a turning head, which the alignment has to undo; the face discriminator, which is
trained as well, scores reconstructions and edits.

The pictures are a folder's (`--data`) or those of several collections, varied in light and backdrop (`--people`, see
`gan_core.training.people`). The perceptual loss is in the discriminator's features, or with `--imagenet` in
EfficientNet-Lite0's. One process, or several GPUs under torchrun. A run continues from its own files; `--minutes` is
the time of the whole run. `--initial` starts from weights that were trained before, for example with another generator,
and runs the whole schedule.

With `--data` and a generator of pictures that are twice as high as wide, stage "encoder" trains the encoder of bodies
that InsetGAN's real bodies start from.
"""

from __future__ import annotations

import argparse
import copy
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadImage, WeightsMissing
from gan_core.features import load as load_features
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training import distributed
from gan_core.training.data import PictureStream, load_pictures, split_pictures
from gan_core.training.feature_distance import FeatureDistance, ImageNetDistance
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.hfgi.consultation import ConsultationStage
from gan_core.training.hfgi.runner import Runner, train
from gan_core.training.hfgi.settings import HFGISettings
from gan_core.training.hfgi.step import EncoderStage, TrainingStage
from gan_core.training.people import SHARES, PeopleStream, parse_shares, read_people

log = logging.getLogger(__name__)
STAGES: dict[str, Any] = {"encoder": EncoderStage, "consultation": ConsultationStage}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--stage", choices=list(STAGES), required=True)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of aligned faces, or with a folder face/")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    parser.add_argument("--shares", default=SHARES, help="with --people: share of each collection in a batch")
    parser.add_argument("--imagenet", action="store_true", help="feature distance in EfficientNet-Lite0's maps")
    parser.add_argument("--generator", type=Path, required=True, help="weights file of the face generator")
    parser.add_argument(
        "--discriminator", type=Path, help="its discriminator's file, for the feature distance and as opponent"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    parser.add_argument("--encoder", type=Path, help="basic encoder's file; by default the one in --out")
    parser.add_argument("--initial", type=Path, help="folder with this stage's weights to begin with")
    parser.add_argument("--directions", type=Path, help="the sliders' file, for edited pictures (consultation)")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="use only this many pictures (trials)")
    parser.add_argument("--fresh", action="store_true", help="start anew although --out has files of this stage")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture a CUDA graph")
    add_settings(parser, HFGISettings)
    for name, value in (("--log-seconds", 15.0), ("--save-seconds", 60.0)):
        parser.add_argument(name, type=float, default=value)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = read_settings(args, HFGISettings)
    settings.l2 = settings.l2 or STAGES[args.stage].default_l2
    processes = distributed.init(args.device)
    torch.manual_seed(settings.seed)

    generator, _ = build_from_file(Generator, args.generator, "generator")
    discriminator = None
    if args.discriminator is not None:
        discriminator, _ = build_from_file(Discriminator, args.discriminator, "discriminator")
    pictures, held = read_pictures(args, generator, processes.device)
    distance: FeatureDistance | ImageNetDistance
    distance = ImageNetDistance(load_features()) if args.imagenet else FeatureDistance(discriminator)
    stage: TrainingStage
    if args.stage == "encoder":
        stage = EncoderStage(generator, distance, pictures, settings, processes.device)
    else:
        encoder_file = args.encoder or args.out / "encoder.safetensors"
        opponent = copy.deepcopy(discriminator)  # the one in the feature distance is not trained
        shared = (generator, distance, pictures, settings, processes.device, encoder_file)
        stage = ConsultationStage(*shared, discriminator=opponent, directions=args.directions)
    already = 0.0 if args.fresh else stage.resume(args.out)
    if args.initial is not None and not already:
        stage.start_from(args.initial)
    for module in stage.trained.values():
        processes.broadcast_([t for t in module.state_dict().values() if t.is_floating_point()])
    runner = Runner(stage, settings, processes, graphs=not args.no_graphs)
    if processes.is_main:
        log.info("%d pictures, %d held out, %s, %d process(es)", len(pictures), len(held), settings, processes.size)
    seconds = {"log_seconds": args.log_seconds, "save_seconds": args.save_seconds}
    train(runner, args.out, held, minutes=args.minutes, already=already, **seconds)
    processes.destroy()


def read_pictures(
    args: argparse.Namespace, generator: Generator, device: torch.device
) -> tuple[PictureStream | PeopleStream, Tensor]:
    """What the command line names, of the generator's size: pictures to train on, and held-out ones (N, 3, H, W) in
    [-1, 1]; both on `device`.

    Raises BadImage if there are none of either.
    """
    stream: PictureStream | PeopleStream
    resolution = generator.resolution
    rows, columns = generator.config["start_shape"]
    if args.people is not None:
        shares = parse_shares(args.shares)
        stream = PeopleStream(read_people(args.people, resolution, shares).to(device))
        held = read_people(args.people, resolution, shares, held_out=True).pictures[: args.limit]
    else:
        folder = args.data / "face" if (args.data / "face").is_dir() else args.data
        paths, held_out = (part[: args.limit] for part in split_pictures(folder))
        if not paths or not held_out:
            raise BadImage(f"{folder} has too few people to train on some and hold out others.")
        size = (resolution, resolution * columns // rows)
        stream = PictureStream(load_pictures(paths, *size).to(device))
        held = load_pictures(held_out, *size)
    return stream, held.to(device).float().mul_(2 / 255).sub_(1)


if __name__ == "__main__":
    try:
        main()
    except (BadCheckpoint, BadImage, WeightsMissing) as error:
        raise SystemExit(str(error)) from error
