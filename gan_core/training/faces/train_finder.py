"""Trains the face finder on portraits with known landmarks, with all data on the device, in minutes.

    python -m gan_core.training.faces.train_finder --data PORTRAITS --out RUN --minutes 2 --device cuda

The locator and the refiner are independent: on a GPU they are trained in two processes at the same time, on a CPU one
after the other. Each resumes from its own checkpoint in RUN; RUN/finder.safetensors contains both at the end.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from gan_core.faces.networks import FACE_RANGE, LANDMARKS, FaceLocator, LandmarkRefiner
from gan_core.training.faces.objectives import locator_loss, locator_scores, refiner_loss, refiner_scores
from gan_core.training.faces.portraits import pictures_and_maps, read_pictures, read_portraits
from gan_core.training.faces.scenes import Bank, Crops, Scenes, landmark_weights, locator_scenes, refiner_crops
from gan_core.training.split import is_held_out

log = logging.getLogger(__name__)
SCENE = 192  # side of the locator's training pictures


@dataclass(frozen=True)
class FinderPart:
    """One of the two networks with its data, loss and scores."""

    network: nn.Module
    draw: Callable[[Bank, int], Any]
    loss: Callable[[Any, Any], tuple[Tensor, dict[str, Tensor]]]
    scores: Callable[[Any, Any], dict[str, float]]


def draw_scenes(bank: Bank, n: int) -> Scenes:
    """Half the pictures with small faces drawn from reduced portraits (no aliasing), half with large ones."""
    middle = math.sqrt(FACE_RANGE[0] * FACE_RANGE[1])
    halves = [
        locator_scenes(bank, n // 2, SCENE, (FACE_RANGE[0], middle * 1.1), 64),
        locator_scenes(bank, n - n // 2, SCENE, (middle * 0.9, FACE_RANGE[1]), 128),
    ]
    return Scenes(*(torch.cat([getattr(h, name) for h in halves]) for name in ("pictures", "five", "state")))


def draw_crops(bank: Bank, n: int) -> Crops:
    """Mostly crops after a rough first guess, some after a first refinement."""
    parts = [refiner_crops(bank, n - n // 4), refiner_crops(bank, n // 4, rough=False)]
    return Crops(*(torch.cat([getattr(p, name) for p in parts]) for name in ("pictures", "landmarks", "face")))


def make_part(name: str, device: torch.device) -> FinderPart:
    """`locator` or `refiner`, freshly initialised on the device."""
    if name == "locator":
        return FinderPart(FaceLocator().to(device), draw_scenes, locator_loss, locator_scores)
    weights = landmark_weights(device)
    return FinderPart(
        LandmarkRefiner().to(device),
        draw_crops,
        lambda outputs, crops: refiner_loss(outputs, crops, weights),
        refiner_scores,
    )


def load_banks(data: Path, device: torch.device, limit: int | None = None) -> tuple[Bank, Bank]:
    """Training portraits and those of held-out people. limit: read only so many portraits of each."""
    portraits = read_portraits(data)
    textures = None
    if files := sorted((data / "clutter").glob("*.jpg")):
        textures = torch.from_numpy(read_pictures(files)).to(device)
    banks = []
    for held_out in (False, True):
        chosen = [p for p in portraits if is_held_out(p.person) == held_out][:limit]
        pictures, maps, landmarks = pictures_and_maps(chosen, LANDMARKS)
        banks.append(
            Bank(
                torch.from_numpy(pictures).to(device),
                torch.tensor(maps, dtype=torch.float32, device=device),
                torch.tensor(landmarks, dtype=torch.float32, device=device),
                textures,
            )
        )
    return banks[0], banks[1]


def save_atomically(path: Path, state: dict[str, Any]) -> None:
    """torch.save under a temporary name first, so that `path` is never incomplete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    os.close(handle)
    try:
        torch.save(state, name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def autocast(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 on a GPU; disabled on a CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


@torch.no_grad()
def validate(part: FinderPart, network: nn.Module, bank: Bank, batches: int, batch: int) -> dict[str, float]:
    """Mean scores on held-out people, the same pictures every time."""
    device = bank.pictures.device
    with torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []):
        torch.manual_seed(7)
        network.eval()
        rows = []
        for _ in range(batches):
            data = part.draw(bank, batch)
            rows.append(part.scores(network(data.pictures), data))
    return {key: sum(r[key] for r in rows) / len(rows) for key in rows[0]}


def train_part(name: str, arguments: argparse.Namespace) -> None:
    """Train one network for its share of the minutes; writes RUN/{name}.pt and lines of RUN/{name}.jsonl."""
    device = torch.device(arguments.device)
    torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(arguments.seed + (name == "refiner"))
    out: Path = arguments.out
    bank, held_out = load_banks(arguments.data, device, arguments.limit)
    part = make_part(name, device)
    network = part.network.to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=arguments.lr, weight_decay=1e-3, betas=(0.9, 0.98))
    spent, step, budget = 0.0, 0, arguments.minutes * 60.0
    checkpoint = out / f"{name}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        spent, step = state["spent"], state["step"]
        log.info("%s: resumed at step %d, %.0f s", name, step, spent)

    def save() -> None:
        save_atomically(
            checkpoint,
            {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "spent": spent,
                "step": step,
            },
        )

    started, last_save, last_log, offset = time.monotonic(), time.monotonic(), time.monotonic(), spent
    progress = tqdm(total=round(budget), initial=round(spent), unit="s", desc=name, mininterval=5)
    with (out / f"{name}.jsonl").open("a") as lines:
        while spent < budget:
            done = spent / budget
            rate = arguments.lr * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
            for group in optimizer.param_groups:
                group["lr"] = rate
            network.train()
            with torch.no_grad():
                data = part.draw(bank, arguments.batch)
            with autocast(device):
                outputs = network(data.pictures.contiguous(memory_format=torch.channels_last))
            loss, terms = part.loss(outputs, data)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            step += 1
            with torch.no_grad():
                keep = min(0.998, (1 + step) / (10 + step))
                for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                    if kept.is_floating_point():
                        kept.lerp_(new, 1 - keep)
                    else:
                        kept.copy_(new)
            if step % 10 == 0:  # not more often, because it waits for the GPU
                if device.type == "cuda":
                    torch.cuda.synchronize()
                spent = offset + time.monotonic() - started
                progress.n = min(round(spent), progress.total)
                progress.update(0)
            now = time.monotonic()
            if now - last_log > arguments.log_every or step <= 1:
                row = {
                    "step": step,
                    "seconds": round(spent, 1),
                    "loss": loss.item(),
                    "lr": rate,
                    **{k: v.item() for k, v in terms.items()},
                }
                lines.write(json.dumps({k: round(v, 6) for k, v in row.items()}) + "\n")
                lines.flush()
                progress.set_postfix_str(f"step {step} loss {loss.item():.3f}")
                last_log = now
            if now - last_save > 30:
                save()
                last_save = now
        save()
        scores = validate(part, average, held_out, arguments.validate, arguments.batch)
        lines.write(
            json.dumps(
                {
                    "step": step,
                    "seconds": round(spent, 1),
                    "held_out": {k: round(v, 5) for k, v in scores.items()},
                }
            )
            + "\n"
        )
    progress.close()
    log.info("%s: %d steps, held-out people: %s", name, step, scores)


def export(out: Path) -> Path:
    """Put both networks' averaged weights into RUN/finder.safetensors (half precision); returns its path."""
    from gan_core.checkpoints import store

    tensors: dict[str, Tensor] = {}
    config: dict[str, Any] = {}
    for name, network in (("locator", FaceLocator()), ("refiner", LandmarkRefiner())):
        state = torch.load(out / f"{name}.pt", map_location="cpu", weights_only=True)
        network.load_state_dict(state["average"])
        config[name] = network.config
        tensors |= {
            f"{name}.{key}": value
            for key, value in network.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
    path = out / "finder.safetensors"
    store.save(path, tensors, config=config, half=True)
    return path


def _in_process(_rank: int, names: tuple[str, ...], arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train_part(names[_rank], arguments)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder with face/, bust/ (or a sibling NAME_bust/), landmarks.npz, portraits.csv, "
        "transfer.npz and, if wanted, clutter/ with pictures without people",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; resumed if it has checkpoints")
    parser.add_argument("--minutes", type=float, default=2.0, help="training time (each network on a CPU: half)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--part", choices=("both", "locator", "refiner"), default="both")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each process")
    parser.add_argument("--limit", type=int, default=None, help="read only so many portraits (for a quick trial)")
    parser.add_argument("--validate", type=int, default=8, help="batches of held-out people scored at the end")
    parser.add_argument("--log-every", type=float, default=5.0, help="seconds between lines of the log")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train the networks asked for, and export when both exist."""
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = ("locator", "refiner") if arguments.part == "both" else (arguments.part,)
    if len(names) == 2 and arguments.device.startswith("cuda"):
        torch.multiprocessing.spawn(_in_process, args=(names, arguments), nprocs=2)
    else:
        arguments.minutes /= len(names)
        for name in names:
            train_part(name, arguments)
    if all((arguments.out / f"{name}.pt").exists() for name in ("locator", "refiner")):
        log.info("wrote %s", export(arguments.out))


if __name__ == "__main__":
    main()
