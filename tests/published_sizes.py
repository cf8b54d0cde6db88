"""Every published model at full size, with random weights in the published layout, through the path of a real file.

    python -m tests.published_sizes [NAME ...] [--device cpu] [--update]

For each model a stand-in checkpoint is written under the file's published layout, installed as the Models page installs
it, declared in the registry as the app does, and its pipeline run twice at full size. What the second run took, and the
most memory that the process held, are printed; --update writes them to weights/tried.json, which docs/weights.md
quotes. Each model runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gan_core.checkpoints.library import install
from gan_core.checkpoints.places import Place
from gan_core.comodgan.networks import CoModGenerator
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from gan_core.stylegan2 import Generator
from tests import parity_recipe as recipe
from tests.gan_core.checkpoints.test_adapters import nvidia_names
from tests.gan_core.comodgan import published_names
from tests.gan_core.swapping_autoencoder.launchers import LAUNCHERS, checkpoint
from weights.published import published

ROOT = Path(__file__).resolve().parents[1]
TRIED = ROOT / "weights" / "tried.json"


@dataclass(frozen=True)
class Case:
    """One model: its stand-in, where it is installed, what the registry calls it, and how it is used once."""

    make: Callable[[], dict[str, Any]]
    place: Place
    model: str
    use: Callable[[Any], torch.Tensor]
    others: tuple[str, ...] = ()
    """Cases that must be installed, too."""


def _hfgi(consultation: bool) -> dict[str, Any]:
    spec, _ = recipe.load(ROOT / "tests" / "parity" / "hfgi")
    weights = {name: torch.from_numpy(value) for name, value in recipe.weights(spec).items()}
    average = weights.pop("latent_avg")
    kept = {n: t for n, t in weights.items() if consultation or not n.startswith(("residue.", "grid_align."))}
    return {"state_dict": kept, "latent_avg": average, "opts": {}}


def _faces(resolution: int, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return {"G_ema": nvidia_names(Generator(resolution, **changes).eval())}


def _filler(names: Callable[[CoModGenerator], dict], resolution: int, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return names(CoModGenerator(resolution, **changes).eval())


def _edit(pipe: Any) -> torch.Tensor:
    face = torch.rand(1, 3, pipe.resolution, pipe.resolution) * 2 - 1
    return pipe.edit(pipe.invert(face), {})


def _fill(pipe: Any) -> torch.Tensor:
    side = pipe.resolution
    if pipe.kind == "drawing":
        return pipe.draw(torch.eye(side)[None], [0])[0]
    hole = torch.zeros(1, side, side)
    hole[:, side // 4 : side // 2] = 1
    return next(pipe.complete(pipe.prepare(torch.rand(3, side, side) * 2 - 1, hole), [0]))


def _compose(pipe: Any) -> torch.Tensor:
    from gan_core.insetgan.pipeline import LatentSource

    return pipe.draw("body", LatentSource(0)).image.flatten()[:1] + pipe.draw("face", LatentSource(1)).image


def _swap(pipe: Any) -> torch.Tensor:
    picture = torch.rand(1, 3, pipe.resolution, pipe.resolution) * 2 - 1
    return pipe.draw(pipe.encode(picture), [pipe.encode(picture.flip(3))])


def _cases() -> dict[str, Case]:
    cases = {
        "hfgi_ffhq": Case(lambda: _hfgi(True), Place("hfgi_ffhq"), "ffhq/hfgi", _edit),
        "e4e_ffhq": Case(lambda: _hfgi(False), Place("e4e_ffhq"), "e4e/hfgi", _edit),
        "insetgan_face": Case(lambda: _faces(1024), Place("insetgan_face"), "", _compose),
    }
    for entry, start in (
        ("insetgan_deepfashion", (4, 3)),
        ("stylegan_human_v2", (4, 2)),
        ("stylegan_human_v2_512", (4, 2)),
        ("shhq_sg2_1024", (4, 2)),
        ("shhq_sg2_512", (4, 2)),
    ):
        model = published(entry)
        cases[entry] = Case(
            lambda start=start, model=model: _faces(model.size[0], start_shape=start),
            Place(entry),
            f"{model.choice}/inset",
            _compose,
            ("insetgan_face",),
        )
    for choice, names in (
        ("ffhq512", published_names.port),
        ("ffhq1024", published_names.port),
        ("places512", published_names.tensorflow),
        ("edges2shoes", published_names.port),
        ("edges2handbags", published_names.port),
        ("ffhq256", published_names.migan),
        ("places256", published_names.migan),
        ("places512_migan", published_names.migan),
    ):
        model = published(f"comodgan_{choice}")
        channels = 3 if model.alignment == "drawing" else 4
        cases[model.name] = Case(
            lambda names=names, model=model, channels=channels: _filler(names, model.size[0], in_channels=channels),
            Place(model.name),
            f"{choice}/fill",
            _fill,
        )
    launchers = {256: "church, bedroom, afhq", 512: "mountain, ffhq512", 1024: "ffhq1024"}
    for entry in ("swapping_models", "swapping_afhq"):
        for part in published(entry).parts:
            options = LAUNCHERS[launchers[part.resolution]]
            cases[f"{entry}/{part.choice}"] = Case(
                lambda options=options: checkpoint(options), Place(entry, part.folder), f"{part.choice}/swap", _swap
            )
    return cases


CASES = _cases()


def _put(name: str, folder: Path) -> float:
    """Install a stand-in; the seconds that the conversion took."""
    case = CASES[name]
    path = folder / "stand_in.bin"
    torch.save(case.make(), path)
    begin = time.monotonic()
    install(path, case.place, folder / "weights")
    path.unlink()
    return time.monotonic() - begin


def measure(name: str, folder: Path, device: str) -> dict[str, float]:
    """Load and run an installed model in this process. Seconds and bytes."""
    case = CASES[name]
    if not case.model:
        return {}
    registry = ModelRegistry(lambda: (device,))
    declare_models(registry, folder / "weights")
    begin = time.monotonic()
    with registry.use(case.model) as pipeline, torch.inference_mode():
        loaded = time.monotonic() - begin
        case.use(pipeline)
        if device != "cpu":
            torch.cuda.synchronize()
        begin = time.monotonic()
        result = case.use(pipeline)
        if device != "cpu":
            torch.cuda.synchronize()
        seconds = time.monotonic() - begin
    assert torch.isfinite(result).all()
    if device == "cpu":
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    else:
        memory = torch.cuda.max_memory_allocated()
    return {"load": round(loaded, 1), "seconds": round(seconds, 2), "memory": memory}


def _in_a_process(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "tests.published_sizes", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(CASES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--put", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.put:
        print(json.dumps(_put(options.names[0], options.put)))  # noqa: T201
        return
    if options.measure:
        print(json.dumps(measure(options.names[0], options.measure, options.device)))  # noqa: T201
        return
    found = json.loads(TRIED.read_text()) if TRIED.is_file() else {}
    for name in options.names or [name for name, case in CASES.items() if case.model]:
        with tempfile.TemporaryDirectory() as folder:
            for other in CASES[name].others:
                _in_a_process(other, "--put", folder)
            converted = float(_in_a_process(name, "--put", folder))
            facts = json.loads(_in_a_process(name, "--measure", folder, "--device", options.device))
        facts["convert"] = round(converted, 1)
        print(name, facts, flush=True)  # noqa: T201
        machine = f"{torch.get_num_threads()} threads" if options.device == "cpu" else torch.cuda.get_device_name()
        found.setdefault(name, {})[options.device.partition(":")[0]] = {**facts, "machine": machine}
        if options.update:
            TRIED.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
