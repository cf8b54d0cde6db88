"""Tiny networks with random weights, as the embedded files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.pipeline import EMBEDDED_FOLDER, SelfConditionedPipeline
from gan_core.self_conditioned.predictors import MEASURES, FacePredictor
from gan_core.self_conditioned.space import AttributeSpace
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training.self_conditioned import directions

SIZE, LAYERS, W_DIM = 32, 8, 8
ATTRIBUTES = directions.ATTRIBUTES[:3]  # age, turn and smile
SHAPE = {"channel_base": 256, "channel_max": 16}
SIZES = {"z_dim": 8, "w_dim": W_DIM, "mapping_layers": 2, **SHAPE}


def plain_generator(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(SIZE, **SIZES).eval()


def conditioned_generator(seed: int = 0) -> SelfConditionedGenerator:
    """The plain one of that seed, with constants that do something."""
    net = SelfConditionedGenerator(SIZE, attributes=3, **SIZES).eval()
    net.load_state_dict({**plain_generator(seed).state_dict(), "constants": torch.randn_like(net.constants)})
    return net


def discriminator(seed: int = 0) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(SIZE, **SHAPE)


def predictor(measures: Sequence[str] = MEASURES) -> FacePredictor:
    torch.manual_seed(3)
    return FacePredictor(widths=(4, 4, 4, 4, 4), neck=4, identity=8, measures=measures).eval()


def space() -> AttributeSpace:
    torch.manual_seed(4)
    return AttributeSpace(
        ATTRIBUTES,
        torch.randn(3, LAYERS, W_DIM) / LAYERS,
        torch.zeros(3),
        torch.full((3,), -2.0),
        torch.full((3,), 2.0),
    )


def pipeline(**changes: object) -> SelfConditionedPipeline:
    def encode(images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), LAYERS, W_DIM)

    return SelfConditionedPipeline(
        conditioned_generator(), plain_generator(), space(), predictor=predictor(), **{"encode": encode, **changes}
    )


def write_embedded(folder: Path) -> None:
    """The files that `load_embedded` and `self_conditioned_models` look for, but for the encoder's."""
    own = folder / EMBEDDED_FOLDER
    for path, net in (
        (own / "generator.safetensors", conditioned_generator()),
        (own / "predictors.safetensors", predictor()),
        (folder / "people_face" / "generator.safetensors", plain_generator()),
        (folder / "people_face" / "discriminator.safetensors", discriminator()),
    ):
        store.save(path, net.state_dict(), config=net.config)
    space().save(own / "directions.safetensors")


def write_faces(folder: Path, count: int = 6) -> list[Path]:
    """Pictures of noise, named as portraits are, of people who are not held out."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    paths = [folder / f"t{i // 2}_P{i % 2 + 10 * (i // 4)}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(random.randint(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
    return paths
