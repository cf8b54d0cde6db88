"""Train HFGI on a folder of portraits: `python -m gan_core.hfgi.train --stage encoder|consultation ...`.

Stage "encoder" trains the basic encoder (e4e's recipe: reconstruction, offsets switched on layer by layer,
codes kept near the generator's own latents) on portraits and on generated pictures whose w is known. Stage
"consultation" freezes it and the generator and trains alignment and consultation (HFGI, section 3.4): the
distortion map is put in a random perspective and must find back. One process, or several GPUs under torchrun.
A run continues from its own files; `--minutes` is the whole run's.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadImage
from gan_core.hfgi.stages import ConsultationStage, EncoderStage, Stage
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training import distributed
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.grids import save_grid

log = logging.getLogger(__name__)
STAGES = {"encoder": EncoderStage, "consultation": ConsultationStage}


@dataclass
class HfgiSettings:
    """Everything that shapes a run; written to the log and into the weights' files."""

    batch: int = 64  # pictures a step and process
    lr: float = 1e-3
    l2: float = 0.0  # 0 for the stage's own: 1 for the encoder; 4 for the consultation, whose errors are small
    feature: float = 0.8
    offsets: float = 0.002  # weight of the offsets' length, in units of w's spread
    prior: float = 0.01  # weight of the codes' distance from the generator's latents
    known: float = 0.25  # weight of the error of w on generated pictures, in units of w's variance
    generated: float = 0.4  # share of generated pictures (encoder)
    align: float = 0.1  # weight of the aligned map's error (consultation)
    perturb: float = 0.15  # scale of the random perspective
    clip: float = 5.0
    seed: int = 0


class Runner:
    """A stage, its optimizer and the captured step."""

    def __init__(self, stage: Stage, settings: HfgiSettings, team: distributed.Team, *, graphs: bool = True) -> None:
        self.stage, self.settings, self.team = stage, settings, team
        self.parameters = [p for module in stage.trained.values() for p in module.parameters()]
        self.gradient = torch.zeros(sum(p.numel() for p in self.parameters), device=team.device)
        offset = 0
        for p in self.parameters:  # gradients are views of one buffer, exchanged and clipped in one call
            p.grad = self.gradient.as_strided(p.shape, p.stride(), offset)
            offset += p.numel()
        cuda = team.device.type == "cuda"
        self.adam = torch.optim.Adam(self.parameters, lr=settings.lr, betas=(0.9, 0.99), fused=cuda)
        self.sums: dict[str, Tensor] = {}
        self.steps = self.counted = 0
        torch.manual_seed(settings.seed + 1 + team.rank)
        self._backward: Callable[[], None] = self._piece
        if graphs and cuda:
            self._capture()

    def _piece(self) -> None:
        self.gradient.zero_()
        losses = self.stage.losses()
        sum(losses.values()).backward()
        for name, value in losses.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros((), device=self.team.device)
            self.sums[name].add_(value.detach())

    def _capture(self) -> None:
        """Record the step as a CUDA graph; on failure go on without, saying so."""
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self._piece()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._piece()
        except RuntimeError as error:
            log.warning("The step could not be captured and runs as it is (slower): %s", error)
        else:
            self._backward = graph.replay
        for total in self.sums.values():
            total.zero_()

    def step(self, done: float) -> None:
        """One update, `done` of the run being over (0 to 1)."""
        self.stage.schedule(done)
        warm = min(1.0, (self.steps + 1) / 50)
        for group in self.adam.param_groups:
            group["lr"] = self.settings.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        self._backward()
        self.team.mean_(self.gradient)
        self.gradient.nan_to_num_(0.0, 0.0, 0.0)
        self.gradient.mul_((self.settings.clip / (self.gradient.norm() + 1e-6)).clamp(max=1.0))
        self.adam.step()
        self.steps += 1
        self.counted += 1
        self.stage.update_average(min(0.998, (1 + self.steps) / (20 + self.steps)))

    def read_losses(self) -> dict[str, float]:
        """Mean of each term since the last call; waits for the device."""
        count, self.counted = max(self.counted, 1), 0
        result = {name: total.item() / count for name, total in self.sums.items()}
        for total in self.sums.values():
            total.zero_()
        return result


def train(
    runner: Runner,
    out: Path,
    held_out: Tensor,
    *,
    minutes: float,
    already: float = 0.0,
    log_seconds: float = 15.0,
    save_seconds: float = 60.0,
) -> None:
    """Train until the whole run's time is up; write log.jsonl, grids and weights into `out`."""
    stage, team, settings = runner.stage, runner.team, runner.settings
    out.mkdir(parents=True, exist_ok=True)
    total = minutes * 60
    begin = time.monotonic() - already
    logged = saved = time.monotonic()
    pictures, cuda = 0, team.device.type == "cuda"
    bar = tqdm(total=round(total), initial=round(already), unit="s", disable=not team.leads, mininterval=5)
    over = already >= total
    while not over:
        for _ in range(5 if cuda else 1):
            runner.step(min((time.monotonic() - begin) / total, 1.0))
            pictures += settings.batch * team.size
        if cuda and runner.steps % 20 == 0:
            torch.cuda.synchronize()  # the clock is the host's, which must not run far ahead
        over = team.agree(time.monotonic() - begin >= total)
        now = time.monotonic()
        if over or now - logged > log_seconds:
            losses = runner.read_losses()
            if team.leads:
                now = time.monotonic()
                facts = {"stage": stage.name, "seconds": now - begin, "steps": runner.steps}
                facts |= {"images_per_second": pictures / (now - logged)} | losses
                facts |= stage.evaluate(held_out)
                with (out / "log.jsonl").open("a") as file:
                    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in facts.items()}
                    file.write(json.dumps(rounded) + "\n")
                bar.set_postfix({k: f"{v:.4g}" for k, v in facts.items() if isinstance(v, float)})
                bar.update(round(now - begin) - bar.n)
                grid, columns = stage.grid(held_out[:10])
                save_grid(grid, out / f"recon_{stage.name}_{round(now - begin):05d}.png", columns)
                if over or now - saved > save_seconds:
                    stage.save(out, {"seconds": now - begin, "settings": asdict(settings), **facts})
                    saved = time.monotonic()
            logged, pictures = time.monotonic(), 0
    bar.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--stage", choices=list(STAGES), required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of aligned faces, or with a folder face/")
    parser.add_argument("--generator", type=Path, required=True, help="weights file of the face generator")
    parser.add_argument(
        "--discriminator", type=Path, help="weights file of its discriminator, for the feature distance"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    parser.add_argument("--encoder", type=Path, help="basic encoder's file; by default the one in --out")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="use only this many pictures (trials)")
    parser.add_argument("--fresh", action="store_true", help="start anew although --out has files of this stage")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture a CUDA graph")
    for name, value in asdict(HfgiSettings()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    for name, value in (("--log-seconds", 15.0), ("--save-seconds", 60.0)):
        parser.add_argument(name, type=float, default=value)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = HfgiSettings(**{name: getattr(args, name) for name in asdict(HfgiSettings())})
    settings.l2 = settings.l2 or STAGES[args.stage].default_l2
    team = distributed.join(args.device)
    torch.manual_seed(settings.seed)

    generator, _ = build_from_file(Generator, args.generator, "generator")
    discriminator = None
    if args.discriminator is not None:
        discriminator, _ = build_from_file(Discriminator, args.discriminator, "discriminator")
    folder = args.data / "face" if (args.data / "face").is_dir() else args.data
    paths, held_out = (part[: args.limit] for part in split_pictures(folder))
    if not paths or not held_out:
        raise BadImage(f"{folder} has too few people to train on some and hold out others.")
    size = generator.resolution
    pictures = load_pictures(paths, size).to(team.device)
    stage: Stage
    if args.stage == "encoder":
        stage = EncoderStage(generator, discriminator, pictures, settings, team.device)
    else:
        encoder_file = args.encoder or args.out / "encoder.safetensors"
        stage = ConsultationStage(generator, discriminator, pictures, settings, team.device, encoder_file)
    already = 0.0 if args.fresh else stage.resume(args.out)
    for module in stage.trained.values():
        team.same_([t for t in module.state_dict().values() if t.is_floating_point()])
    runner = Runner(stage, settings, team, graphs=not args.no_graphs)
    if team.leads:
        log.info("%d pictures, %d held out, %s, %d process(es)", len(paths), len(held_out), settings, team.size)
    held = load_pictures(held_out, size).to(team.device).float().mul_(2 / 255).sub_(1)
    seconds = {"log_seconds": args.log_seconds, "save_seconds": args.save_seconds}
    train(runner, args.out, held, minutes=args.minutes, already=already, **seconds)
    team.leave()


if __name__ == "__main__":
    try:
        main()
    except (BadCheckpoint, BadImage) as error:
        raise SystemExit(str(error)) from error
