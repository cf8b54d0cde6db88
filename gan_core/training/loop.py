"""The loop around any GAN's step: time, learning rate, log, grids of samples, checkpoints, resuming."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tqdm import tqdm

from gan_core.training.grids import save_grid
from gan_core.training.stylegan2.step import GanTrainer


def train(
    trainer: GanTrainer,
    out: Path,
    *,
    minutes: float,
    images: int | None = None,
    log_seconds: float = 15.0,
    save_seconds: float = 60.0,
    keep_state: bool = True,
) -> None:
    """Train until the time or the number of pictures is up; write log.jsonl, grids and checkpoints into `out`.

    An interrupted run continues from its last checkpoint, at most `save_seconds` (and a few steps) old.
    """
    processes = trainer.processes
    out.mkdir(parents=True, exist_ok=True)
    state = out / "state.pt"
    if keep_state and state.exists():
        trainer.load_state(state)
    begin = last = saved = time.monotonic()
    seen = trainer.images_seen
    bar = tqdm(total=round(minutes * 60), unit="s", disable=not processes.is_main, mininterval=5)
    start = trainer.images_seen
    while True:
        for _ in range(20):
            trainer.step()
        now = time.monotonic()
        done = (now - begin) / (minutes * 60)
        if images is not None:
            done = max(done, (trainer.images_seen - start) / max(images - start, 1))
        done = processes.broadcast_value(done)
        over = done >= 1
        trainer.set_progress(done)
        if over or now - last > log_seconds:
            stats = trainer.read_stats()
            if processes.is_main:
                now = time.monotonic()
                stats["images_per_second"] = (trainer.images_seen - seen) / (now - last)
                stats |= {"seconds": now - begin, "kimg": trainer.images_seen / 1000}
                with (out / "log.jsonl").open("a") as file:
                    file.write(json.dumps({k: round(v, 4) for k, v in stats.items()}) + "\n")
                bar.set_postfix({k: f"{v:.3g}" for k, v in stats.items()})
                bar.update(round(now - begin) - bar.n)
                save_grid(trainer.sample(40), out / f"samples_{round(trainer.images_seen / 1000):06d}.jpg", 10)
            last, seen = time.monotonic(), trainer.images_seen
        if processes.is_main and (over or time.monotonic() - saved > save_seconds):
            trainer.save(out)
            if keep_state:
                trainer.save_state(state)
            saved = time.monotonic()
        if over:
            break
    bar.close()
