"""The networks arranged for drawing compute what the readable ones do; in half precision no grey level goes astray."""

from pathlib import Path

import pytest
import torch

from gan_core.swapping_autoencoder.fast import FastNetworks, fold_blur
from gan_core.swapping_autoencoder.networks import DownConv, Encoder, SwappingGenerator
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline, load_embedded
from ops_cuda import setup_filter

WEIGHTS = Path(__file__).resolve().parents[3] / "weights"
GREY = 2 / 255  # of pictures in [-1, 1]


def networks(wide: bool = False) -> tuple[Encoder, SwappingGenerator]:
    codes = {"structure_dim": 8, "texture_dim": 24}
    # Wide enough for blocks with the blur folded and without.
    encoder = Encoder(widths=(8, 16, 160) if wide else (4, 6, 10), texture_widths=(20, 30), **codes)
    generator = SwappingGenerator(head_widths=(12, 16), widths=(16, 12), **codes)
    with torch.no_grad():
        for parameter in (*encoder.parameters(), *generator.parameters()):
            if parameter.ndim < 2:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return tuple(net.eval().requires_grad_(False) for net in (encoder, generator))


def relative(got: torch.Tensor, want: torch.Tensor) -> float:
    assert got.dtype == torch.float32 and got.shape == want.shape
    return ((got - want).norm() / want.norm()).item()


def test_blur_and_strided_convolution_are_one() -> None:
    conv, x = DownConv(3, 5), torch.randn(2, 3, 11, 9)
    filter = setup_filter((1, 2, 1))
    blurred = torch.nn.functional.conv2d(x, filter.expand(3, 1, 3, 3), groups=3)
    want = torch.nn.functional.conv2d(blurred, conv.weight, stride=2)
    got = torch.nn.functional.conv2d(x, fold_blur(conv.weight, filter), stride=2)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("samples", "size"), [(1, (32, 32)), (3, (28, 44))])
def test_same_functions(wide: bool, samples: int, size: tuple[int, int]) -> None:
    encoder, generator = networks(wide)
    fast = FastNetworks(encoder, generator, torch.float32)
    images = torch.rand(samples, 3, *size) * 2 - 1
    with torch.inference_mode():
        codes = encoder(images)
        for got, want in zip(fast.encode(images), codes, strict=True):
            assert relative(got, want) < 1e-5
        assert relative(fast.draw(*codes), generator(*codes, noise="none")) < 1e-5
        noise = generator.draw_noise(*codes[0].shape[-2:])
        assert relative(fast.draw(*codes, *noise), generator(*codes, noise=noise)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_within_a_grey_level(dtype: torch.dtype) -> None:
    encoder, generator = networks()
    fast = FastNetworks(encoder, generator, dtype)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        want = generator(*encoder(images), noise="none")
        scale = want.std() / 0.5  # random weights draw louder than trained ones
        got = fast.draw(*fast.encode(images))
    assert ((got - want) / scale).abs().mean() < (GREY / 4 if dtype == torch.float16 else GREY)


def test_large_features_do_not_overflow() -> None:
    encoder, generator = networks()
    block = generator.head[-1]
    block.conv2.weight.abs_()  # its sums are 12 times its inputs, beyond float16; the bias brings them back
    block.conv1.bias.fill_(8000)
    block.conv2.bias.fill_(-100_000)
    codes = torch.randn(1, 8, 8, 8), torch.randn(1, 24)
    with torch.inference_mode():
        got = FastNetworks(encoder, generator, torch.float16).draw(*codes)
        assert relative(got, generator(*codes, noise="none")) < 0.05


def test_shipped_weights_in_half_precision() -> None:
    exact, cpu = (load_embedded(WEIGHTS / "people_swap", dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    images = torch.nn.functional.interpolate(torch.rand(2, 3, 12, 12) * 2 - 1, (128, 128), mode="bicubic").clamp(-1, 1)
    with torch.inference_mode():
        want, on_cpu = (pipe.draw(pipe.encode(images[:1]), [pipe.encode(images[1:])]) for pipe in (exact, cpu))
        fast = FastNetworks(exact.encoder, exact.generator, torch.float16)
        structure, texture = fast.encode(images)
        on_gpu = fast.draw(structure[:1], texture[1:]).clamp(-1, 1)
    assert 0 < (on_cpu - want).abs().mean() < GREY
    assert 0 < (on_gpu - want).abs().mean() < GREY / 4


@pytest.mark.gpu
@pytest.mark.parametrize("noisy", [False, True])
def test_pipeline_on_a_gpu(noisy: bool) -> None:
    nets = networks(wide=True)
    if not noisy:
        for module in nets[1].modules():
            if hasattr(module, "noise_strength"):
                module.noise_strength.zero_()
    slow = SwappingAutoencoderPipeline(*nets, device="cuda", dtype=torch.float32)
    fast = SwappingAutoencoderPipeline(*nets, device="cuda")
    assert fast.dtype == torch.float16 and slow.dtype == torch.float32
    for size in ((64, 64), (33, 47), (64, 64)):  # a recording used again
        images = torch.rand(2, 1, 3, *size) * 2 - 1
        want = slow.draw(slow.encode(images[0]), [slow.encode(images[1])])
        first, second = fast.encode(images[0]), fast.encode(images[1])
        got = fast.draw(first, [second])
        assert (got - want).abs().mean() < GREY
        assert torch.equal(fast.draw(first, [second]), got)
    fast.forget_device()
    assert (fast.draw(first, [second]) - got).abs().mean() < GREY
