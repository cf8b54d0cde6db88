"""Runs a stage of HFGI's training: optimizer, captured steps, log, grids, files."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.training import distributed
from gan_core.training.capture import capture
from gan_core.training.gradients import Flat, check_finite
from gan_core.training.grids import save_grid
from gan_core.training.hfgi.step import TrainingStage

if TYPE_CHECKING:
    from gan_core.training.hfgi.settings import HFGISettings

log = logging.getLogger(__name__)
Piece = Callable[[], None]


class Runner:
    """A stage, its optimizers and the captured pieces of a step."""

    def __init__(
        self, stage: TrainingStage, settings: HFGISettings, processes: distributed.ProcessGroup, *, graphs: bool = True
    ) -> None:
        self.stage, self.settings, self.processes = stage, settings, processes
        self.gradient = Flat(*stage.trained.values())
        cuda = processes.device.type == "cuda"
        self.adam = torch.optim.Adam(self.gradient.parameters, lr=settings.lr, betas=(0.9, 0.99), fused=cuda)
        self.sums: dict[str, Tensor] = {}
        self.steps = self.counted = 0
        torch.manual_seed(settings.seed + 1 + processes.rank)
        self._pieces: dict[str, Piece] = {"draw": self._draw_piece}
        if stage.adversary is not None:
            self._pieces |= {
                "discriminator": lambda: self._discriminator_piece(False),
                "penalty": lambda: self._discriminator_piece(True),
            }
        if graphs and cuda:
            self._capture()

    def _add(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros((), device=self.processes.device)
            self.sums[name].add_(value.detach())

    def _draw_piece(self) -> None:
        self.gradient.buffer.zero_()
        losses = self.stage.losses()
        sum(losses.values()).backward()
        self._add(losses)

    def _discriminator_piece(self, penalise: bool) -> None:
        assert self.stage.adversary is not None
        self._add(self.stage.adversary.discriminator_terms(penalise))

    def _capture(self) -> None:
        """Record the pieces, and reset the sums of the warm-up."""
        self._pieces = capture(self._pieces)
        for total in self.sums.values():
            total.zero_()

    def step(self, done: float) -> None:
        """One update, `done` of the run being over (0 to 1)."""
        s, adversary = self.settings, self.stage.adversary
        self.stage.schedule(done)
        warm = min(1.0, (self.steps + 1) / 50)
        for group in self.adam.param_groups:
            group["lr"] = s.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        self._pieces["draw"]()
        buffer = self.gradient.buffer
        self.processes.all_reduce_mean_(buffer)
        self.gradient.drop_non_finite()
        buffer.mul_((s.clip / (buffer.norm() + 1e-6)).clamp(max=1.0))
        self.adam.step()
        if adversary is not None:
            self._pieces["penalty" if self.steps % s.penalty_every == 0 else "discriminator"]()
            self.processes.all_reduce_mean_(adversary.gradient.buffer)
            adversary.update(warm)
        self.steps += 1
        self.counted += 1
        self.stage.update_average(min(0.998, (1 + self.steps) / (20 + self.steps)))

    def read_losses(self) -> dict[str, float]:
        """Mean of each term since the last call; waits for the device."""
        count, self.counted = max(self.counted, 1), 0
        adversary = self.stage.adversary
        check_finite([self.gradient, *([adversary.gradient] if adversary is not None else [])], count)
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
    """Train until the whole run's time is up; write log.jsonl, grids and weights into `out`.

    held_out: pictures (N, 3, R, R) in [-1, 1]. minutes: of the whole run, of which `already` seconds have passed.
    """
    stage, processes, settings = runner.stage, runner.processes, runner.settings
    out.mkdir(parents=True, exist_ok=True)
    total = minutes * 60
    begin = time.monotonic() - already
    logged = saved = time.monotonic()
    pictures, cuda = 0, processes.device.type == "cuda"
    bar = tqdm(total=round(total), initial=round(already), unit="s", disable=not processes.is_main, mininterval=5)
    over = already >= total
    while not over:
        for _ in range(5 if cuda else 1):
            runner.step(min((time.monotonic() - begin) / total, 1.0))
            pictures += settings.batch * processes.size
        if cuda and runner.steps % 20 == 0:
            torch.cuda.synchronize()  # time is measured on the host, which must not run far ahead
        over = bool(processes.broadcast_value(time.monotonic() - begin >= total))
        now = time.monotonic()
        if over or now - logged > log_seconds:
            losses = runner.read_losses()
            if processes.is_main:
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
