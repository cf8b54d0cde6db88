"""The embedded encoder of faces, alone and as a model that papers share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import load_face_generator
from gan_core.e4e.encoding import encode_with, load_encoder, load_face_encoder
from gan_core.e4e.networks import Encoder4Editing
from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from weights import catalogue


@torch.inference_mode()
def test_it_finds_the_latents_of_its_own_generator(tmp_path: Path) -> None:
    registry = ModelRegistry(("cpu",))
    declare_models(registry, tmp_path)
    generator = load_face_generator(catalogue.FOLDER)
    z = torch.randn(2, generator.config["z_dim"], generator=torch.Generator().manual_seed(7))
    w = generator.broadcast(generator.mapping.truncate(generator.mapping(z), 0.7))
    faces = generator.synthesis(w, noise="const").clamp(-1, 1)
    with registry.use("portraits/e4e") as encoder:
        latents = encode_with(encoder)(faces)
        drawn = encoder.decode(latents).clamp(-1, 1)
    assert latents.shape == w.shape
    error = ((drawn - faces) / 2).square().mean((1, 2, 3))
    between = ((faces[0] - faces[1]) / 2).square().mean()
    assert (error < 0.01).all() and (error < 0.4 * between).all()
    assert torch.allclose(load_encoder(catalogue.FOLDER)(faces), latents, atol=1e-3)
    # another generator's encoder, as the face editor has: these latents draw somebody else there
    with registry.use("people/hfgi") as editor:
        other = editor.decode(latents).clamp(-1, 1)
    assert (((other - faces) / 2).square().mean((1, 2, 3)) > error).all()


def test_a_missing_or_unfit_file(tmp_path: Path) -> None:
    generator = load_face_generator(catalogue.FOLDER)
    with pytest.raises(WeightsMissing):
        load_face_encoder(tmp_path, generator)
    encoder = Encoder4Editing(10, 8, stem=4, stages=((4, 1), (4, 1), (6, 1), (8, 1)), head=4)
    path = tmp_path / "portraits_hfgi" / "encoder.safetensors"
    store.save(path, encoder.state_dict(), config=encoder.config)
    with pytest.raises(BadCheckpoint, match="latent_avg"):
        load_face_encoder(tmp_path, generator)
