"""The head finder: what it must do on pictures of the embedded generator."""

from __future__ import annotations

import torch

from gan_core.faces.head import fill_in, load_head
from gan_core.training.faces.head_labels import BACKDROP, CLOTH, HEAD, seeds
from weights.catalogue import FOLDER


def test_filling_in_continues_colours() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32).clone()
    known = torch.ones(1, 1, 32, 32)
    known[..., 10:22, 10:22] = 0
    broken = ramp.clone()
    broken[..., 10:22, 10:22] = 99
    filled = fill_in(broken, known)
    assert torch.equal(filled * known, ramp * known)
    assert (filled - ramp).abs().max() < 0.25
    assert fill_in(torch.full((1, 2, 7, 5), 9.0), torch.zeros(1, 1, 7, 5)).abs().max() == 0


def test_the_embedded_finder_knows_generated_heads() -> None:
    from gan_core.checkpoints.embedded import load_face_generator

    generator, net = load_face_generator(FOLDER), load_head(FOLDER / "portraits_hfgi" / "head.safetensors")
    with torch.inference_mode():
        images = generator(torch.randn(6, 256, generator=torch.Generator().manual_seed(3)), psi=0.7).clamp(-1, 1)
    masks = net.masks(images)
    assert masks.shape == (6, 2, 256, 256) and masks.min() >= 0 and masks.max() <= 1
    known = seeds(256)
    heads, persons = masks.unbind(1)
    assert heads[:, known == HEAD].mean() > 0.95
    assert persons[:, known == BACKDROP].mean() < 0.1
    assert heads[:, known == CLOTH].mean() < 0.25 < 0.7 < persons[:, known == CLOTH].mean()
