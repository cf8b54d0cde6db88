"""The networks arranged for a GPU compute what the readable ones do (on the CPU in float32, recorded on a GPU)."""

from pathlib import Path

import pytest
import torch

from gan_core.e4e.networks import Encoder4Editing, StyleHead
from gan_core.hfgi.fast import BatchedHeads, CpuNetworks, FastNetworks
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import load_embedded
from gan_core.stylegan2 import Generator

WEIGHTS = Path(__file__).resolve().parents[3] / "weights"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.float16 if DEVICE == "cuda" else torch.float32


def small_networks() -> tuple:
    torch.manual_seed(0)
    generator = Generator(64, z_dim=32, w_dim=32, mapping_layers=2, channel_base=1024, channel_max=32)
    encoder = Encoder4Editing(generator.num_ws, 32, stem=8, stages=((8, 1), (12, 1), (16, 2), (24, 1)), head=16)
    alignment = DistortionAlignment((8, 8, 12, 12), blocks=2)
    consultation = ConsultationEncoder(16, (8, 12, 12), blocks=1)
    nets = generator, encoder, alignment, consultation
    for net in nets:
        net.to(DEVICE).eval().requires_grad_(False)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 1.5)
    return nets


@pytest.fixture(scope="module")
def networks() -> tuple:
    return small_networks()


def close(got: torch.Tensor, want: torch.Tensor) -> None:
    error = ((got.float() - want).norm() / want.norm()).item()
    assert error < (2e-2 if DEVICE == "cuda" else 1e-5), error


@pytest.mark.parametrize(("samples", "rows"), [(1, 16), (3, 16), (2, 12)])
def test_heads_in_a_batch(samples: int, rows: int) -> None:
    heads = [StyleHead(12, 10, 7, 16).to(DEVICE) for _ in range(3)]
    x = torch.randn(samples, 12, rows, 16, device=DEVICE)
    with torch.inference_mode():
        want = torch.stack([head(x) for head in heads], 1)
        torch.testing.assert_close(
            BatchedHeads(heads).to(DEVICE)(x), want, rtol=1e-4, atol=1e-5 if DEVICE == "cpu" else 2e-3
        )


def test_every_network(networks: tuple) -> None:
    generator, encoder, alignment, consultation = networks
    layer = 7
    fast = FastNetworks(*networks, layer, DTYPE)
    images = torch.rand(2, 3, 256, 256, device=DEVICE) * 2 - 1
    with torch.inference_mode():
        for part in (images, images[:1] * 0.5, images * 0.5):  # other shapes, and a recording used again
            codes = encoder(part)
            close(fast.encode(part), codes)
            drawn = generator.synthesis(codes)
            close(fast.draw(codes), drawn)
            small = torch.nn.functional.interpolate(part, size=256)
            aligned = alignment(small, small.flip(3))
            close(fast.align(small, small.flip(3)), aligned)
            scale, shift = consultation(aligned)
            for got, want in zip(fast.consult(aligned), (scale, shift), strict=True):
                close(got, want)
            consulted = generator.synthesis(codes, inject={layer: lambda x: x * (1 + scale) + shift})  # noqa: B023
            close(fast.draw_consulted(codes, scale, shift), consulted)


def test_results_are_not_overwritten_by_the_next_call(networks: tuple) -> None:
    fast = FastNetworks(*networks, 7, DTYPE)
    codes = torch.randn(2, 1, networks[0].num_ws, 32, device=DEVICE)
    with torch.inference_mode():
        first = fast.draw(codes[0])
        before = first.clone()
        fast.draw(codes[1])
    assert torch.equal(first, before)


def test_on_a_cpu_with_bfloat16_no_grey_level_goes_astray() -> None:
    exact, fast = (load_embedded(WEIGHTS, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    assert exact._fast is None and isinstance(fast._fast, CpuNetworks)
    with torch.inference_mode():
        z = torch.randn(1, exact.generator.config["z_dim"])
        face = exact.decode(exact.generator.broadcast(exact.generator.mapping(z))).clamp(-1, 1)
    want, got = exact.invert(face), fast.invert(face)
    name, attribute = next(iter(exact.attributes.items()))
    edited = [pipe.edit(seen, {name: attribute.high / 2}) for pipe, seen in ((exact, want), (fast, got))]
    for mine, theirs in ((got.restored, want.restored), (edited[1], edited[0])):
        assert mine.dtype == torch.float32 and 0 < (mine - theirs).abs().mean() < 2 / 255
