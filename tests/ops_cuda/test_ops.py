"""The three ops against float64 arithmetic written out differently, their gradients, and the torch.library contract."""

import pytest
import torch
from torch.nn import functional as F

from ops_cuda import bias_act, conv2d, conv_transpose2d, modulated_conv2d, setup_filter, upfirdn2d

DOUBLE = torch.float64


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=DOUBLE, requires_grad=True)


@pytest.mark.parametrize("act", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("noise_batch", [0, 1, 2])
def test_bias_act_value_and_gradients(act: str, clamp: float | None, noise_batch: int) -> None:
    x, b = leaf(2, 3, 4, 5), leaf(3)
    noise = leaf(noise_batch, 1, 4, 5) if noise_batch else None

    def run(x: torch.Tensor, b: torch.Tensor, *n: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, act=act, clamp=clamp, noise=n[0] if n else None)

    want = x + b.view(1, 3, 1, 1) + (0 if noise is None else noise)
    if act == "lrelu":
        want = torch.where(want > 0, want, want * 0.2) * 2**0.5
    if clamp is not None:
        want = want.clip(-clamp, clamp)
    inputs = (x, b) if noise is None else (x, b, noise)
    torch.testing.assert_close(run(*inputs), want)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("act", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("noise_batch", [0, 1, 2])
def test_scaled_bias_act_value_and_gradients(act: str, clamp: float | None, noise_batch: int) -> None:
    x, b, s = leaf(2, 3, 4, 5), leaf(3), leaf(2, 3)
    inputs = (x, b, s, leaf(noise_batch, 1, 4, 5)) if noise_batch else (x, b, s)

    def run(x: torch.Tensor, b: torch.Tensor, s: torch.Tensor, *n: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, act=act, clamp=clamp, noise=n[0] if n else None, scale=s)

    want = bias_act(x * s[:, :, None, None], b, act=act, clamp=clamp, noise=inputs[3] if noise_batch else None)
    torch.testing.assert_close(run(*inputs), want)
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("side", [5, 6])
def test_convolutions_and_their_gradients(kernel: int, stride: int, padding: int, side: int) -> None:
    x, w = leaf(2, 3, side, side + 1), leaf(4, 3, kernel, kernel)

    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return conv2d(x, w, stride=stride, padding=padding)

    torch.testing.assert_close(run(x, w), F.conv2d(x, w, stride=stride, padding=padding))
    assert torch.autograd.gradcheck(run, (x, w), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, w), fast_mode=True)
    if kernel == 1 and padding == 1:
        return  # a transposed convolution of no output at the border
    w = leaf(3, 4, kernel, kernel)

    def transposed(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return conv_transpose2d(x, w, stride=stride, padding=padding)

    torch.testing.assert_close(transposed(x, w), F.conv_transpose2d(x, w, stride=stride, padding=padding))
    assert torch.autograd.gradcheck(transposed, (x, w), fast_mode=True)
    assert torch.autograd.gradgradcheck(transposed, (x, w), fast_mode=True)


def test_third_derivative_of_a_convolution() -> None:
    """A gradient penalty's own gradient differentiates the weight gradient; the family must stay closed."""
    x, w = leaf(1, 2, 5, 5), leaf(2, 2, 3, 3)

    def penalty(w: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(conv2d(x, w, stride=2).square().sum(), x, create_graph=True)
        return gradient.square().sum()

    assert torch.autograd.gradcheck(penalty, w)
    assert torch.autograd.gradgradcheck(penalty, w, fast_mode=True)


def test_bias_act_leaves_its_input_alone() -> None:
    x = torch.randn(2, 3)
    before = x.clone()
    bias_act(x)
    assert torch.equal(x, before)


def test_bias_act_refuses_what_does_not_fit() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match="activation"):
        bias_act(x, act="swish")
    with pytest.raises(ValueError, match="bias"):
        bias_act(x, torch.zeros(4))
    with pytest.raises(ValueError, match="noise"):
        bias_act(x, noise=torch.zeros(3, 1, 4, 4))


def slow_upfirdn(x, filter, up, down, padding, gain):  # noqa: ANN001, ANN201
    """The definition, pixel by pixel."""
    n, c, h, w = x.shape
    left, right, top, bottom = padding
    spread = torch.zeros(
        n, c, h * up + max(top, 0) + max(bottom, 0), w * up + max(left, 0) + max(right, 0), dtype=x.dtype
    )
    spread[:, :, max(top, 0) : max(top, 0) + h * up : up, max(left, 0) : max(left, 0) + w * up : up] = x
    spread = spread[
        :,
        :,
        max(-top, 0) : spread.shape[2] - max(-bottom, 0),
        max(-left, 0) : spread.shape[3] - max(-right, 0),
    ]
    kh, kw = filter.shape
    flipped = filter.flip(0, 1)
    rows = []
    for i in range(0, spread.shape[2] - kh + 1, down):
        row = [
            (spread[:, :, i : i + kh, j : j + kw] * flipped).sum([2, 3])
            for j in range(0, spread.shape[3] - kw + 1, down)
        ]
        rows.append(torch.stack(row, 2))
    return torch.stack(rows, 2) * gain


CASES = [
    (1, 1, (1, 1, 1, 1)),
    (2, 1, (2, 1, 2, 1)),
    (1, 2, (1, 1, 1, 1)),
    (1, 1, (2, 2, 2, 2)),
    (2, 2, (0, 3, 1, -1)),
    (1, 2, (-1, 2, 2, 0)),
]


@pytest.mark.parametrize(("up", "down", "padding"), CASES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_upfirdn2d_value_and_gradients(up: int, down: int, padding: tuple, symmetric: bool) -> None:
    x = leaf(2, 2, 5, 6)
    filter = setup_filter().to(DOUBLE) if symmetric else torch.randn(3, 4, dtype=DOUBLE)

    def run(x: torch.Tensor) -> torch.Tensor:
        return upfirdn2d(x, filter, up=up, down=down, padding=padding, gain=1.5)

    torch.testing.assert_close(run(x), slow_upfirdn(x, filter, up, down, padding, 1.5))
    assert torch.autograd.gradcheck(run, x)
    assert torch.autograd.gradgradcheck(run, x, fast_mode=True)


def test_upfirdn2d_refuses_a_picture_smaller_than_the_filter() -> None:
    with pytest.raises(ValueError, match="too small"):
        upfirdn2d(torch.zeros(1, 1, 2, 2), setup_filter())


def slow_modulated(x, weight, styles, demodulate, up, filter):  # noqa: ANN001, ANN201
    """Equations 1 and 3, sample by sample, zero insertion instead of a transposed convolution."""
    outputs = []
    for sample, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]
        if demodulate:
            w = w / (w.square().sum([1, 2, 3], keepdim=True) + 1e-8).sqrt()
        if up == 1:
            outputs.append(F.conv2d(sample[None], w, padding=weight.shape[2] // 2))
        else:
            c, h, v = sample.shape
            spread = torch.zeros(1, c, 2 * h - 1, 2 * v - 1, dtype=x.dtype)
            spread[:, :, ::2, ::2] = sample
            full = F.conv2d(spread, w.flip(2, 3), padding=weight.shape[2] - 1)
            k = weight.shape[2]
            total = filter.shape[0] + 1 - k
            outputs.append(slow_upfirdn(full, filter, 1, 1, ((total + 1) // 2, total // 2) * 2, 4.0))
    return torch.cat(outputs)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv2d_value_and_gradients(kernel: int, up: int, batch: int, demodulate: bool) -> None:
    x, w, s = leaf(batch, 3, 4, 5), leaf(2, 3, kernel, kernel), leaf(batch, 3)
    filter = setup_filter().to(DOUBLE)

    def run(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return modulated_conv2d(x, w, s, demodulate=demodulate, up=up, resample_filter=filter)

    torch.testing.assert_close(run(x, w, s), slow_modulated(x, w, s, demodulate, up, filter))
    assert run(x, w, s).shape[2:] == (4 * up, 5 * up)
    assert torch.autograd.gradcheck(run, (x, w, s), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, w, s), fast_mode=True)


def test_modulated_conv2d_refuses_what_does_not_fit() -> None:
    x, w, s = torch.zeros(2, 3, 4, 4), torch.zeros(5, 3, 3, 3), torch.ones(2, 3)
    with pytest.raises(ValueError, match="weight"):
        modulated_conv2d(x[:, :2], w, s)
    with pytest.raises(ValueError, match="styles"):
        modulated_conv2d(x, w, s[:1])
    with pytest.raises(ValueError, match="resample_filter"):
        modulated_conv2d(x, w, s, up=2)


def test_library_contract() -> None:
    """Schema, fake kernels and autograd registration, by PyTorch's own checker."""
    for last in (False, True):
        x = torch.randn(2, 3, 4, 4)
        x = (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_()
        ops = torch.ops.gan_studio
        torch.library.opcheck(ops.bias_act.default, (x, torch.randn(3), torch.randn(1, 1, 4, 4), 0.2, 1.4, -1.0))
        torch.library.opcheck(ops.upfirdn2d.default, (x, setup_filter(), 2, 1, [2, 1, 2, 1], False, 4.0))
        args = (
            x,
            torch.randn(5, 3, 3, 3, requires_grad=True),
            torch.randn(2, 3, requires_grad=True),
            True,
            2,
        )
        torch.library.opcheck(ops.modulated_conv2d.default, args)
        scale = torch.rand(2, 3, requires_grad=True)
        torch.library.opcheck(ops.scaled_bias_act.default, (x, torch.randn(3), None, scale, 0.2, 1.4, 1.0))
        torch.library.opcheck(ops.convolution.default, (x, args[1], 2, 1, False, [0, 0]))
        finish = (x.detach(), scale.detach(), torch.randn(3), None, False, None, None, x.detach(), [1, 2], True)
        torch.library.opcheck(ops.finish.default, (*finish, scale.detach(), None, None, None, None))


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_relu6_depthwise_gradient(size: int, stride: int) -> None:
    from ops_cuda import relu6_depthwise

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 7, dtype=torch.double, generator=generator, requires_grad=True)
    in_bias, bias = (torch.randn(3, dtype=torch.double, generator=generator) for _ in range(2))
    weight = torch.randn(3, 1, size, size, dtype=torch.double, generator=generator)
    assert torch.autograd.gradcheck(lambda x: relu6_depthwise(x, in_bias, weight, bias, stride=stride), (x,))


def test_relu6_depthwise_says_what_does_not_fit() -> None:
    from ops_cuda import relu6_depthwise

    x, bias, weight = torch.zeros(1, 3, 8, 8), torch.zeros(3), torch.zeros(3, 1, 3, 3)
    with pytest.raises(ValueError, match="do not fit"):
        relu6_depthwise(x, bias, weight[:2], bias)
    with pytest.raises(ValueError, match="stride"):
        relu6_depthwise(x, bias, weight, bias, stride=3)
    with pytest.raises(ValueError, match="frozen"):
        relu6_depthwise(x, bias, weight.requires_grad_(), bias)


def test_the_short_way_on_a_cpu_is_the_registered_operation() -> None:
    """`Operation` calls past torch.library: values and gradients of both orders are those of the registered one."""
    x, b, scale, w = leaf(2, 3, 6, 6), leaf(3), leaf(2, 3), leaf(4, 3, 3, 3)
    filter, ops = setup_filter().to(DOUBLE), torch.ops.gan_studio
    cases = [
        (upfirdn2d(x, filter, up=2, padding=(2, 1, 2, 1)), ops.upfirdn2d(x, filter, 2, 1, [2, 1, 2, 1], False, 1.0)),
        (bias_act(x, b, clamp=1), ops.bias_act(x, b, None, 0.2, 2**0.5, 1.0)),
        (bias_act(x, b, scale=scale), ops.scaled_bias_act(x, b, None, scale, 0.2, 2**0.5, -1.0)),
        (conv2d(x, w, padding=1), ops.convolution(x, w, 1, 1, False, [0, 0])),
    ]
    for short, registered in cases:
        torch.testing.assert_close(short, registered)
        first, other = (torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)[0] for y in (short, registered))
        torch.testing.assert_close(first, other)
        second = [torch.autograd.grad(gradient.pow(2).sum(), x) for gradient in (first, other)]
        torch.testing.assert_close(*second)


def test_a_compiler_sees_the_operation_by_its_name() -> None:
    seen = []

    def keep(graph: torch.fx.GraphModule, _inputs: list) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    compiled = torch.compile(lambda x: bias_act(x), backend=keep, fullgraph=True)
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(compiled(x), bias_act(x))
    assert any("gan_studio.bias_act" in target for target in seen)


def test_an_operation_without_gradient_says_so_on_a_cpu() -> None:
    from ops_cuda.operation import Operation

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    operation = Operation("doubled_for_a_test", doubled)
    x = torch.ones(2, requires_grad=True)
    assert torch.equal(operation(x.detach()), torch.full((2,), 2.0))
    with pytest.raises(RuntimeError, match="no autograd|not.*autograd|does not require grad"):
        operation(x).sum().backward()
