"""A stand-in for every published model: random weights at full size in the published layout, and one use of it.

`tests/published_sizes.py` installs and runs them. They cost no more than drawing the numbers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.checkpoints.library import load
from gan_core.checkpoints.places import Place
from gan_core.comodgan.networks import CoModGenerator
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from gan_core.stylegan2 import Generator
from tests import parity_recipe as recipe
from tests.gan_core.checkpoints.test_adapters import nvidia_names, rosinality_names
from tests.gan_core.comodgan import published_names
from tests.gan_core.swapping_autoencoder.launchers import LAUNCHERS, checkpoint
from weights.published import published

_HFGI = Path(__file__).resolve().parent / "parity" / "hfgi"
_OURS = re.compile(r"(encoder\.styles|decoder\.convs|decoder\.to_rgbs|decoder\.noises)\.(?:noise_)?(\d+)")
_Names = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One model: its stand-in, where it is installed, how it is opened, and how it is used once."""

    make: Callable[[], dict[str, Any]]
    place: Place
    model: str
    """Its name in the registry; "" for one that only scripts open."""
    use: Callable[[Any], Tensor]
    others: tuple[str, ...] = ()
    """Cases that must be installed, too."""
    beside: Callable[[], dict[str, Any]] = dict
    """Small files of the published model by name, which lie beside the converted one."""

    @contextmanager
    def opened(self, root: Path, device: str) -> Iterator[Any]:
        """The installed model's pipeline as the app has it, or its generator where only scripts open it."""
        if self.model:
            registry = ModelRegistry(lambda: (device,))
            declare_models(registry, root)
            with registry.use(self.model) as pipeline:
                yield pipeline
        else:
            yield load(self.place, root, only=("generator", "encoder")).modules["generator"].to(device)


def _hfgi(resolution: int = 1024, *, consultation: bool = False) -> dict[str, Any]:
    """HFGI's checkpoint, or e4e's: the same without consultation, for generators of other sizes, too."""
    spec, _ = recipe.load(_HFGI)
    log = resolution.bit_length() - 1
    ends = {"encoder.styles": 2 * log - 2, "decoder.convs": 2 * log - 4}
    ends |= {"decoder.to_rgbs": log - 2, "decoder.noises": 2 * log - 3}
    kept = {}
    for name, entry in spec["keys"].items():
        place = _OURS.match(name)
        if place and int(place[2]) >= ends[place[1]]:
            continue
        if consultation or not name.startswith(("residue.", "grid_align.")):
            kept[name] = entry
    weights = {n: torch.from_numpy(value) for n, value in recipe.weights({**spec, "keys": kept}).items()}
    average = weights.pop("latent_avg")[: ends["encoder.styles"]].clone()
    return {"state_dict": weights, "latent_avg": average, "opts": {}}


def _directions() -> dict[str, Any]:
    torch.manual_seed(0)
    table = {"comp": torch.randn(80, 1, 512) / 22, "mean": torch.zeros(1, 512), "std": torch.rand(80)}
    return {
        **{f"{name}.pt": torch.randn(1, 512) / 22 for name in ("age", "smile")},
        "pose.pt": torch.randn(18, 512) / 22,
        "ffhq_pca.pt": table,
    }


def _generator(resolution: int, names: _Names = nvidia_names, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    weights = names(Generator(resolution, **changes).eval())
    if names is nvidia_names:
        return {"G_ema": weights}
    return {"g_ema": weights, "latent_avg": torch.zeros(512)}


def _edges(resolution: int, modes: int) -> dict[str, Any]:
    weights = _generator(resolution, rosinality_names)["g_ema"]
    start = weights.pop("input.input")
    return {"g_ema": weights | {"input.multiinput": torch.randn(*start.shape, modes)}}


def _filler(names: _Names, resolution: int, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return names(CoModGenerator(resolution, **changes).eval())


def _edit(pipe: Any) -> Tensor:
    face = torch.rand(1, 3, pipe.resolution, pipe.resolution) * 2 - 1
    return pipe.edit(pipe.invert(face), dict.fromkeys(list(pipe.attributes)[:1], 2.0))


def _fill(pipe: Any) -> Tensor:
    side = pipe.resolution
    if pipe.kind == "drawing":
        return pipe.draw(torch.eye(side)[None], [0])[0]
    hole = torch.zeros(1, side, side)
    hole[:, side // 4 : side // 2] = 1
    return next(pipe.complete(pipe.prepare(torch.rand(3, side, side) * 2 - 1, hole), [0]))


def _compose(pipe: Any) -> Tensor:
    from gan_core.insetgan.sources import LatentSource

    return pipe.draw("body", LatentSource(0)).image.flatten()[:1] + pipe.draw("face", LatentSource(1)).image


def _swap(pipe: Any) -> Tensor:
    picture = torch.rand(1, 3, pipe.resolution, pipe.resolution) * 2 - 1
    return pipe.draw(pipe.encode(picture), [pipe.encode(picture.flip(3))])


def _set_value(pipe: Any) -> Tensor:
    return pipe.edit(pipe.random_face(0), {pipe.attributes[0].name: 1.0})


def _sample(generator: Any) -> Tensor:
    """A picture of random numbers, fetched from the device."""
    device = next(generator.parameters()).device
    z = torch.randn(1, generator.mapping.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    return generator(z, noise="const").cpu()


def _editors() -> Iterator[Case]:
    for entry in ("hfgi_ffhq", "e4e_ffhq"):
        make = functools.partial(_hfgi, consultation=entry == "hfgi_ffhq")
        yield Case(make, Place(entry), f"{published(entry).choice}/hfgi", _edit, beside=_directions)
    for entry in ("e4e_cars", "e4e_church", "e4e_horse"):
        model = published(entry)
        yield Case(functools.partial(_hfgi, model.resolution), Place(entry), f"{model.choice}/hfgi", _edit)
    for entry, modes in (("sc_gan_ffhq1024", 10), ("sc_gan_ffhq256", 10), ("sc_gan_cats", 7)):
        model = published(entry)
        make = functools.partial(_edges, model.resolution, modes)
        yield Case(make, Place(entry), f"{model.choice}/edges", _set_value)


def _fillers() -> Iterator[Case]:
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
        make = functools.partial(_filler, names, model.size[0], in_channels=channels)
        yield Case(make, Place(model.name), f"{choice}/fill", _fill)


def _bodies() -> Iterator[Case]:
    for entry, start in (
        ("insetgan_deepfashion", (4, 3)),
        ("stylegan_human_v2", (4, 2)),
        ("stylegan_human_v2_512", (4, 2)),
        ("shhq_sg2_1024", (4, 2)),
        ("shhq_sg2_512", (4, 2)),
    ):
        model = published(entry)
        make = functools.partial(_generator, model.size[0], start_shape=start)
        yield Case(make, Place(entry), f"{model.choice}/inset", _compose, ("insetgan_face",))


def _swappers() -> Iterator[Case]:
    launchers = {256: "church, bedroom, afhq", 512: "mountain, ffhq512", 1024: "ffhq1024"}
    for entry in ("swapping_models", "swapping_afhq"):
        for part in published(entry).parts:
            make = functools.partial(checkpoint, LAUNCHERS[launchers[part.resolution]])
            yield Case(make, Place(entry, part.folder), f"{part.choice}/swap", _swap)


def _generators() -> Iterator[Case]:
    for entry in (
        "insetgan_face", "sg2ada_metfaces", "sg2ada_afhqcat", "sg2ada_afhqdog", "sg2ada_afhqwild", "sg2_afhqv2",
        "sg2_ffhq512", "sg2_ffhq256", "sg2_ffhq1024_transfer", "stylegan2_ffhq_rosinality",
        "stylegan2_ffhq256_rosinality",
    ):  # fmt: skip
        model = published(entry)
        names = rosinality_names if model.format == "rosinality_stylegan2" else nvidia_names
        yield Case(functools.partial(_generator, model.resolution, names), Place(entry), "", _sample)


def name_of(place: Place) -> str:
    """What a case is called: its entry in the catalogue, and the part of an archive."""
    return f"{place.entry}/{place.part}" if place.part else place.entry


CASES: dict[str, Case] = {
    name_of(case.place): case
    for cases in (_editors(), _fillers(), _bodies(), _swappers(), _generators())
    for case in cases
}
