"""The synthesis arranged for speed draws what the readable one draws."""

import pytest
import torch

from gan_core.stylegan2 import SynthesisNetwork
from gan_core.stylegan2.fused import FusedSynthesis, fold_upsampling
from ops_cuda import conv_transpose2d, setup_filter, upfirdn2d

ON_GPU = torch.cuda.is_available()


def network(**options) -> SynthesisNetwork:
    net = SynthesisNetwork(**{"resolution": 32, "w_dim": 24, "channel_base": 512, "channel_max": 48} | options).eval()
    for name, parameter in net.named_parameters():
        if name.endswith(("bias", "noise_strength")):
            torch.nn.init.normal_(parameter, std=0.3)
    return net


def test_upsampling_is_four_small_convolutions() -> None:
    x, weight = torch.randn(2, 3, 5, 6), torch.randn(4, 3, 3, 3)
    filter = setup_filter()
    want = upfirdn2d(conv_transpose2d(x, weight.transpose(0, 1), stride=2), filter, padding=(1, 1, 1, 1), gain=4.0)
    got = torch.nn.functional.conv2d(x, fold_upsampling(weight, filter), padding=1)
    for a in (0, 1):
        for b in (0, 1):
            part = got[:, (2 * a + b) * 4 : (2 * a + b + 1) * 4]
            torch.testing.assert_close(part, want[:, :, a::2, b::2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("noise", ["const", "none"])
@pytest.mark.parametrize("start_shape", [(4, 4), (4, 2)])
def test_same_picture(samples: int, noise: str, start_shape: tuple) -> None:
    net = network(start_shape=start_shape)
    codes = torch.randn(samples, net.num_ws, net.w_dim) * 2
    with torch.inference_mode():
        want = net(codes, noise=noise)
        got = FusedSynthesis(net, torch.float32)(codes, noise=noise)
    assert got.shape == want.shape
    assert (got - want).abs().max() < 1e-3 * want.abs().max()


def test_conditions_are_what_inject_does() -> None:
    net = network()
    codes = torch.randn(2, net.num_ws, net.w_dim)
    layer = 3  # the upsampling convolution that reaches 16 pixels
    with torch.inference_mode():
        shape = []
        net(codes, inject={layer: lambda x: shape.append(x.shape) or x})
        scale, shift = torch.randn(2, *shape[0])
        want = net(codes, inject={layer: lambda x: x * (1 + scale) + shift})
        got = FusedSynthesis(net, torch.float32)(codes, conditions={layer: (scale, shift)})
    assert (got - want).abs().max() < 1e-3 * want.abs().max()


def test_start_and_skips_are_what_the_readable_network_takes() -> None:
    net = network()
    codes = torch.randn(2, net.num_ws, net.w_dim)
    start = torch.randn(1, *net.start.shape)
    skips = {1: torch.randn(1, 48, 8, 8), 5: torch.randn(2, 16, 32, 32)}
    with torch.inference_mode():
        inject = {i: lambda x, i=i: x + skips[i] for i in skips}
        want = net(codes, start=start, inject=inject)
        fused = FusedSynthesis(net, torch.float32)
        got = fused(codes, start=start, skips=skips)
        with pytest.raises(ValueError, match="upsampling"):
            fused(codes, skips={2: skips[1]})
    assert (got - want).abs().max() < 1e-3 * want.abs().max()


def test_half_precision_stays_within_a_grey_level() -> None:
    net = network()
    codes = torch.randn(4, net.num_ws, net.w_dim)
    dtype = torch.float16 if ON_GPU else torch.bfloat16
    net = net.cuda() if ON_GPU else net
    with torch.inference_mode():
        codes = codes.to(net.start.device)
        want, got = net(codes), FusedSynthesis(net, dtype)(codes)
    span = want.max() - want.min()
    assert (got - want).abs().mean() / span < (1 / 255 if dtype == torch.float16 else 2 / 255)


def test_large_styles_do_not_overflow_half_precision() -> None:
    net = network()
    with torch.no_grad():
        for block in net.blocks:
            for conv in filter(None, (block.conv_up, block.conv)):
                conv.affine.bias.mul_(3e4)  # demodulation takes it out again
    codes = torch.randn(1, net.num_ws, net.w_dim)
    with torch.inference_mode():
        want, got = net(codes), FusedSynthesis(net, torch.float16)(codes)
    assert torch.isfinite(got).all()
    assert (got - want).abs().mean() / (want.max() - want.min()) < 2 / 255


def test_random_noise_differs_and_unknown_noise_is_refused() -> None:
    fused = FusedSynthesis(network(), torch.float32)
    codes = torch.randn(1, fused.num_ws, fused.w_dim)
    with torch.inference_mode():
        assert not torch.equal(fused(codes, noise="random"), fused(codes, noise="random"))
        with pytest.raises(ValueError, match="noise"):
            fused(codes, noise="loud")
        with pytest.raises(ValueError, match="w_plus"):
            fused(codes[:, 1:])
