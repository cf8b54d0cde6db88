"""Train a Swapping Autoencoder: `python -m gan_core.training.swapping_autoencoder.train --data FOLDER --out FOLDER`.

Any folder of pictures can be used, collections of people (`--people`, see `gan_core.training.people`), or views of
places (`--places`, see `gan_core.training.places`). Training begins at a quarter of the resolution, where most is
learned and a step is cheap, and continues at higher ones (--schedule), or it begins with another run's networks
(--initial). One process, or several GPUs under torchrun. A run continues from the
files in --out: exactly from state.pt, or from the weights' files alone. `--minutes` is the time of the whole run. It
writes to --out: log.jsonl, a grid of swaps of held-out pictures with every line of the log, and the weights of all four
networks.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadImage, BadValue, StudioError
from gan_core.features import load as load_features
from gan_core.stylegan2 import Discriminator
from gan_core.training import distributed
from gan_core.training.data import split_pictures
from gan_core.training.feature_distance import FeatureDistance, ImageNetDistance
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.grids import save_grid
from gan_core.training.people import SHARES, Variation, parse_shares
from gan_core.training.places import read_places
from gan_core.training.sources import FolderSource, PeopleSource, PlacesSource, Source
from gan_core.training.swapping_autoencoder.settings import NAMES, SwappingAutoencoderSettings
from gan_core.training.swapping_autoencoder.step import ResolutionStage

log = logging.getLogger(__name__)
Schedule = Sequence[tuple[int, float]]  # halvings of the resolution, share of the run at the stage's end


def parse_schedule(text: str, resolution: int) -> list[tuple[int, float]]:
    """ "64:0.2,128:0.3,256:0.5" as (halvings, share of the run at the stage's end); "" for a quarter, a half, all.

    Raises:
        BadValue: sides that are no halvings of `resolution`, or shares that are not positive.
    """
    text = text or f"{resolution // 4}:0.15,{resolution // 2}:0.3,{resolution}:0.55"
    stages: list[tuple[int, float]] = []
    total = 0.0
    try:
        parts = [(int(side), float(share)) for side, share in (part.split(":") for part in text.split(","))]
    except ValueError:
        raise BadValue(f'The schedule "{text}" is not of the form "64:0.2,128:0.3,256:0.5".') from None
    for side, share in parts:
        halvings = (resolution // max(side, 1)).bit_length() - 1
        if side << max(halvings, 0) != resolution or share <= 0 or (stages and halvings >= stages[-1][0]):
            raise BadValue(f"The schedule's sides rise by doubling up to {resolution}, with a positive share each.")
        total += share
        stages.append((halvings, total))
    if stages[-1][0] != 0:
        raise BadValue(f"The schedule's last side has to be {resolution}.")
    return [(halvings, end / total) for halvings, end in stages]


class Run:
    """The folder of a run, which it continues from."""

    def __init__(self, out: Path, processes: distributed.ProcessGroup, *, keep_state: bool = True) -> None:
        self.out, self.processes, self.keep_state = out, processes, keep_state
        self.seconds = 0.0
        self.images = 0
        self.dropped: int | None = None  # of the stage that was saved
        self.start: dict[str, Any] | None = None
        self.exact: dict[str, Any] | None = None

    def begin_from(self, folder: Path) -> None:
        """Start from another run's weights, whatever its pictures were; its time and pictures are not counted.

        Stages of lower resolution than those weights are left out. Raises WeightsMissing or BadCheckpoint.
        """
        note = self._read_weights(folder)
        self.dropped = int(note.get("dropped", 0))

    def _read_weights(self, folder: Path) -> dict[str, Any]:
        """Start from the four networks in a folder; returns the note on their training."""
        read = {name: store.read(folder / f"{name}.safetensors") for name in NAMES}
        self.start = {name: tensors for name, (tensors, _) in read.items()}
        self.start |= {f"{name}_average": self.start[name] for name in ("encoder", "generator")}
        return read["encoder"][1].get("_training", {})

    def resume(self) -> None:
        """Read the files in the folder, if there are any."""
        state, files = self.out / "state.pt", [self.out / f"{name}.safetensors" for name in NAMES]
        if state.is_file():
            self.exact = torch.load(state, map_location="cpu", weights_only=True)
            self.start = self.exact["networks"]
            note = self.exact["note"]
        elif all(path.is_file() for path in files):
            note = self._read_weights(self.out)
        else:
            return
        self.seconds, self.images = float(note.get("seconds", 0.0)), int(note.get("images", 0))
        self.dropped = int(note.get("dropped", 0))

    def enter(self, stage: ResolutionStage) -> None:
        """Restore a stage's count of pictures and, after an interruption, its optimizers."""
        stage.images_seen = self.images
        if self.exact is not None and self.dropped == stage.dropped:
            for name, optimizer in stage.optimizers.items():
                optimizer.load_state_dict(self.exact["optimizers"][name])
            stage.steps, stage.images_here = self.exact["steps"], self.exact["images_here"]
            stage.strength.copy_(self.exact["strength"])
        self.exact = None

    def save(self, stage: ResolutionStage, facts: dict[str, Any]) -> None:
        """Weights in half precision (the averages of encoder and generator), and the exact state."""
        note = {"dropped": stage.dropped, "images": stage.images_seen, "settings": asdict(stage.settings), **facts}
        for name, net in (stage.networks | stage.averages).items():
            path = self.out / f"{name}.safetensors"
            store.save(path, net.state_dict(), config={**net.config, "_training": note})
        if self.keep_state:
            state = {
                "networks": stage.states(),
                "optimizers": {name: o.state_dict() for name, o in stage.optimizers.items()},
                "strength": stage.strength,
                "steps": stage.steps,
                "images_here": stage.images_here,
                "note": {k: note[k] for k in ("dropped", "images", "seconds")},
            }
            temporary = self.out / "state.part"
            torch.save(state, temporary)
            temporary.replace(self.out / "state.pt")


def train(
    run: Run,
    settings: SwappingAutoencoderSettings,
    schedule: Schedule,
    source: Source,
    *,
    minutes: float,
    features: FeatureDistance | ImageNetDistance | None = None,
    graphs: bool = True,
    log_seconds: float = 20.0,
    save_seconds: float = 60.0,
) -> None:
    """Train through the stages until the whole run's time is up."""
    processes, total = run.processes, minutes * 60
    begin = time.monotonic() - run.seconds
    bar = tqdm(total=round(total), initial=round(run.seconds), unit="s", disable=not processes.is_main, mininterval=5)
    for dropped, end in schedule:
        over = run.seconds >= end * total and end < 1  # this stage was finished before the interruption
        if over or run.seconds >= total or (run.dropped is not None and dropped > run.dropped):
            continue
        side = settings.resolution >> dropped
        held = source.held_out(side).to(processes.device).float().mul_(2 / 255).sub_(1)
        stream = source.stream(side, processes.device)
        stage = ResolutionStage(
            settings, stream, processes, dropped=dropped, start=run.start, features=features, graphs=graphs
        )
        run.enter(stage)
        if processes.is_main:
            how = "captured" if stage.captured else "not captured"
            log.info("%d px, batch %d, %s, from second %.0f", side, stage.batch, how, time.monotonic() - begin)
        _train_stage(run, stage, held, bar, begin, total, end, log_seconds, save_seconds)
        run.start = {name: {k: v.clone() for k, v in state.items()} for name, state in stage.states().items()}
        run.images, run.dropped, run.seconds = stage.images_seen, dropped, time.monotonic() - begin
        del stage
    bar.close()


def _train_stage(
    run: Run,
    stage: ResolutionStage,
    held: Tensor,
    bar: tqdm,
    begin: float,
    total: float,
    end: float,
    log_seconds: float,
    save_seconds: float,
) -> None:
    """Train one stage until `end` of the run's `total` seconds, which began at `begin`."""
    processes, cuda = run.processes, run.processes.device.type == "cuda"
    shown = held[:: max(len(held) // 6, 1)][:6]
    logged = saved = time.monotonic()
    counted = stage.images_seen
    over = False
    while not over:
        for _ in range(5 if cuda else 1):
            stage.step(min((time.monotonic() - begin) / total, 1.0))
        if cuda and stage.steps % 20 == 0:
            torch.cuda.synchronize()  # time is measured on the host, which must not run far ahead
        over = bool(processes.broadcast_value(time.monotonic() - begin >= end * total))
        now = time.monotonic()
        if not over and now - logged <= log_seconds:
            continue
        losses = stage.read_losses()
        if processes.is_main:
            now = time.monotonic()
            facts: dict[str, Any] = {"seconds": now - begin, "side": held.shape[-1], "steps": stage.steps}
            facts |= {"kimg": stage.images_seen / 1000}
            facts |= {"images_per_second": (stage.images_seen - counted) / max(now - logged, 1e-3)}
            facts |= losses | stage.evaluate(held)
            if cuda:
                facts["memory_gb"] = torch.cuda.max_memory_allocated() / 2**30
            facts = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
            with (run.out / "log.jsonl").open("a") as file:
                file.write(json.dumps(facts) + "\n")
            bar.set_postfix({k: facts[k] for k in ("side", "psnr", "colour_ratio", "l1", "images_per_second")})
            bar.update(round(now - begin) - bar.n)
            save_grid(stage.grid(shown), run.out / f"swaps_{round(now - begin):05d}.jpg", len(shown) + 1)
            if over or now - saved > save_seconds:
                run.save(stage, facts)
                saved = time.monotonic()
        logged, counted = time.monotonic(), stage.images_seen


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of pictures, of about the resolution or more")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    data.add_argument("--places", type=Path, help="folder of cube maps, made by gan_core.training.prepare_places")
    parser.add_argument("--shares", default=SHARES, help="with --people: share of each collection in a batch")
    parser.add_argument("--initial", type=Path, help="folder of four networks to start from, of any pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--schedule", default="", help="sides and shares of the run, as 64:0.15,128:0.3,256:0.55")
    judged = parser.add_mutually_exclusive_group()
    judged.add_argument("--features", type=Path, help="weights file of a trained discriminator, for --feature")
    judged.add_argument("--imagenet", action="store_true", help="take EfficientNet-Lite0's maps for --feature")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="use only this many pictures (trials)")
    parser.add_argument("--fresh", action="store_true", help="start anew although --out has files")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture CUDA graphs")
    parser.add_argument("--no-search", action="store_true", help="let cuDNN choose instead of timing: starts faster")
    parser.add_argument("--no-state", action="store_true", help="write no state.pt (0.3 GB) beside the weights")
    add_settings(parser, SwappingAutoencoderSettings)
    for name, value in (("--log-seconds", 20.0), ("--save-seconds", 60.0)):
        parser.add_argument(name, type=float, default=value)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = read_settings(args, SwappingAutoencoderSettings)
    if settings.batch < 2 or settings.batch % 2:
        raise BadValue("The batch has to be even, since neighbours are swapped.")
    schedule = parse_schedule(args.schedule, settings.resolution)
    processes = distributed.init(args.device)
    if args.no_search:  # timing every algorithm for every size took 40 s a stage on an H100
        torch.backends.cudnn.benchmark = False
    features: FeatureDistance | ImageNetDistance | None = None
    if args.imagenet:
        features = ImageNetDistance(load_features().requires_grad_(False))
    elif args.features is not None:
        features = FeatureDistance(build_from_file(Discriminator, args.features, "discriminator")[0], levels=4)
    source: Source
    if args.places is not None:
        source = PlacesSource(args.places, read_places(args.places).to(processes.device))
        what = f"{len(source.places)} places"
    elif args.people is not None:
        source = PeopleSource(args.people, parse_shares(args.shares), Variation())
        what = f"people of {', '.join(source.shares)}"
    else:
        source = _folder_source(args.data, args.limit)
        what = f"{len(source.paths)} pictures, {len(source.unseen)} held out"
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(args.out, processes, keep_state=not args.no_state)
    if args.initial is not None:
        run.begin_from(args.initial)
    if not args.fresh:
        run.resume()
    if processes.is_main:
        log.info("%s, %s, %d process(es)", what, settings, processes.size)
    seconds = {"log_seconds": args.log_seconds, "save_seconds": args.save_seconds}
    graphs = not args.no_graphs
    train(run, settings, schedule, source, minutes=args.minutes, features=features, graphs=graphs, **seconds)
    processes.destroy()


def _folder_source(folder: Path, limit: int | None) -> FolderSource:
    paths, held_out = (part[:limit] for part in split_pictures(folder))
    if len(paths) < 2:
        raise BadImage(f"{folder} has too few pictures to train on.")
    if not held_out:
        log.warning("No picture's name falls among the held-out ones: the log's numbers are of training pictures.")
        held_out = paths[:6]
    return FolderSource(paths, held_out)


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
