"""The Triton kernels against the float64 references: on the GPU where there is one, else in Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch

from ops_cuda import setup_filter
from ops_cuda.bias_act import _reference as bias_act_reference
from ops_cuda.upfirdn2d import _output_size
from ops_cuda.upfirdn2d import _reference as upfirdn2d_reference

pytest.importorskip("triton")
ON_GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if ON_GPU else "cpu"
TOLERANCE = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}
# The interpreter runs a program for each pixel or row, one after another: there one of the two narrow types, and small
# maps, are enough to find a wrong index or a wrong formula. A GPU gets everything.
DTYPES = list(TOLERANCE) if ON_GPU else [torch.float32, torch.bfloat16]


@pytest.mark.skipif(ON_GPU or INTERPRETED, reason="the kernels are tested directly in this process")
def test_kernels_in_the_interpreter() -> None:
    """Triton reads TRITON_INTERPRET at import, so the tests below run in a process of their own."""
    environment = dict(os.environ, TRITON_INTERPRET="1")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout


def close(got: torch.Tensor, want: torch.Tensor, dtype: torch.dtype, tolerance: float | None = None) -> None:
    assert got.dtype == dtype
    error = (got.double() - want).norm() / want.norm()
    assert error < (tolerance or TOLERANCE[dtype]), f"relative error {error:.1e}"


direct = pytest.mark.skipif(not (ON_GPU or INTERPRETED), reason="runs in test_kernels_in_the_interpreter")


def laid_out(x: torch.Tensor, last: bool) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last) if last else x


@direct
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("noise_batch", [0, 1, 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_bias_act(dtype: torch.dtype, last: bool, noise_batch: int, scaled: bool) -> None:
    from ops_cuda.kernels import bias_act as kernel

    x = laid_out(torch.randn(3, 5, 9, 7, device=DEVICE).to(dtype), last)
    bias = torch.randn(5, device=DEVICE)
    noise = torch.randn(noise_batch, 1, 9, 7, device=DEVICE) if noise_batch else None
    scale = torch.rand(3, 5, device=DEVICE) + 0.5 if scaled else None
    wide = (x.double(), bias.double(), *(None if t is None else t.double() for t in (noise, scale)))
    y = kernel.forward(x, bias, noise, scale, 0.2, 1.5, 1.0)
    close(y, bias_act_reference(*wide, 0.2, 1.5, 1.0), dtype)


@direct
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5, 9, 7), (70, 6), (2, 130, 3, 3), (1, 3, 80, 90)])
@pytest.mark.parametrize("last", [False, True])
def test_bias_act_backward(dtype: torch.dtype, shape: tuple, last: bool) -> None:
    from ops_cuda.kernels import bias_act as kernel

    last = last and len(shape) == 4
    dy, y = (laid_out(torch.randn(shape, device=DEVICE).to(dtype), last) for _ in range(2))
    dx, total = kernel.backward(dy, y, 0.2, 1.5, 1.0, True)
    want = dy.double() * torch.where(y < 0, 0.3, 1.5) * (y.abs() < 1.0)
    close(dx, want, dtype)
    close(total, want.sum([0, *range(2, y.ndim)]), torch.float32, 1e-5)
    assert kernel.backward(dy, y, 0.2, 1.5, 1.0, False)[1].numel() == 0


@direct
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5, 9, 7), (1, 3, 80, 90), (2, 130, 3, 3)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("noise_batch", [0, 3])
def test_scaled_bias_act_backward(dtype: torch.dtype, shape: tuple, last: bool, noise_batch: int) -> None:
    from ops_cuda.bias_act import _scaled_bias_act
    from ops_cuda.kernels import bias_act as kernel

    n, c, h, w = shape
    x, dy = (laid_out(torch.randn(shape, device=DEVICE).to(dtype), last) for _ in range(2))
    bias, scale = torch.randn(c, device=DEVICE), torch.rand(n, c, device=DEVICE) + 0.5
    noise = torch.randn(min(noise_batch, n), 1, h, w, device=DEVICE) if noise_batch else None
    dx, total, weighted, dnoise = kernel.backward_scaled(dy, x, bias, noise, scale, 0.2, 1.5, 1.0)
    inputs = [t.double().requires_grad_() for t in (x, bias, scale) + (() if noise is None else (noise,))]
    y = _scaled_bias_act(inputs[0], inputs[1], inputs[3] if noise_batch else None, inputs[2], 0.2, 1.5, 1.0)
    want = torch.autograd.grad(y, inputs, dy.double())
    close(dx, want[0], dtype)
    close(total.sum(0), want[1], torch.float32, 1e-5)
    close(weighted, want[2], torch.float32, 1e-5)
    if noise_batch:
        close(dnoise.sum_to_size(noise.shape), want[3], torch.float32, 1e-5)


CASES = [
    (1, 1, [1, 1, 1, 1]),
    (1, 1, [2, 2, 2, 2]),
    (1, 1, [-1, 2, 0, 3]),
    (1, 2, [1, 1, 1, 1]),
    (1, 2, [2, 1, 0, -1]),
    (2, 1, [2, 1, 2, 1]),
    (2, 1, [1, 2, 1, 2]),
    (2, 1, [3, 0, -1, 4]),
]


SMALL, WIDE = (1, 2, 5, 4), (1, 130, 5, 3)  # the second takes more than one program's channels
MAPS = [(dtype, shape, last) for dtype in DTYPES for shape in (SMALL, WIDE) for last in (False, True)]
if not ON_GPU:
    MAPS = [(torch.float32, SMALL, False), (torch.float32, SMALL, True), (torch.bfloat16, (1, 130, 5, 3), True)]


@direct
@pytest.mark.parametrize(("dtype", "shape", "last"), MAPS)
@pytest.mark.parametrize(("up", "down", "padding"), CASES)
def test_upfirdn2d(dtype: torch.dtype, shape: tuple, last: bool, up: int, down: int, padding: list) -> None:
    from ops_cuda.kernels import upfirdn2d as kernel

    assert kernel.serves(up, down)
    if up > 1 and not ON_GPU:
        shape = (*shape[:2], 3, 2)  # four times as many pixels come out
    x = laid_out(torch.randn(shape, device=DEVICE).to(dtype), last)
    filters = [setup_filter().to(DEVICE), torch.randn(3, 2, device=DEVICE)]
    for filter, flip in ((filters[0], False), (filters[1], False), (filters[1], True)):
        size = _output_size(x.shape, filter.shape, up, down, padding)
        got = kernel.forward(x, filter, up, down, padding, flip, 2.0, size)
        want = upfirdn2d_reference(x.double(), filter.double(), up, down, padding, flip, 2.0)
        close(got, want, dtype)


@direct
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("noise_batch", [0, 1, 2])
@pytest.mark.parametrize("parts", ["features", "picture", "first picture", "condition", "block's end", "enlarged skip"])
def test_finish(dtype: torch.dtype, shuffle: bool, noise_batch: int, parts: str) -> None:
    from ops_cuda.finish import _reference
    from ops_cuda.kernels import finish as kernel

    n, c, h, w = 2, 20, 6, 8
    shape = (n, 4 * c, h // 2, w // 2) if shuffle else (n, c, h, w)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=DEVICE)

    coloured = parts in ("picture", "first picture", "condition")
    arguments: dict = {
        "raw": normal(*shape).to(dtype),
        "scale": normal(n, 2 * c)[:, :c],  # rows apart, as they are in a table of all layers
        "bias": normal(c),
        "noise": normal(noise_batch, 1, h, w) if noise_batch else None,
        "shuffle": shuffle,
        "condition_scale": normal(n, c, h, w).to(dtype) if parts == "condition" else None,
        "condition_shift": normal(n, c, h, w).to(dtype) if parts == "condition" else None,
        "skip": {"block's end": normal(n, c, h, w), "enlarged skip": normal(n, c, h // 2, w // 2)}.get(parts),
        "mirror": [2, 1] if parts in ("block's end", "first picture") else [0, 0],
        "plain": parts in ("block's end", "enlarged skip"),
        "styles": normal(n, c) if "picture" not in parts else None,
        "rgb_weight": normal(3, c) if coloured else None,
        "rgb_styles": normal(n, c) if coloured else None,
        "rgb_bias": normal(3) if coloured else None,
        "image": normal(n, 3, h // 2, w // 2) if parts in ("picture", "condition") else None,
    }
    if arguments["skip"] is not None:
        arguments["skip"] = arguments["skip"].to(dtype)
    wide = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    got, want = kernel.forward(**arguments), _reference(**wide)
    for mine, theirs, kind in zip(got, want, (dtype, torch.float32, dtype), strict=True):
        assert mine.shape == theirs.shape
        if theirs.numel():
            close(mine, theirs, kind)


@direct
def test_upfirdn2d_of_a_part_of_a_map() -> None:
    from ops_cuda.kernels import upfirdn2d as kernel

    part = laid_out(torch.randn(2, 6, 10, 9, device=DEVICE), True)[:, :, 1:-1, 1:-1]
    padding, filter = [1, 0, 1, 0], setup_filter((1, 2, 1)).to(DEVICE)
    got = kernel.forward(part, filter, 1, 2, padding, False, 1.0, _output_size(part.shape, filter.shape, 1, 2, padding))
    close(got, upfirdn2d_reference(part.double(), filter.double(), 1, 2, padding, False, 1.0), torch.float32)
    assert got.is_contiguous(memory_format=torch.channels_last)


@direct
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel_size", "stride", "shape"), [(3, 1, (2, 5, 7, 8)), (3, 2, (1, 130, 8, 6)), (5, 2, (2, 16, 9, 7))]
)
def test_relu6_depthwise(dtype: torch.dtype, kernel_size: int, stride: int, shape: tuple) -> None:
    from ops_cuda.kernels import relu6_depthwise as kernel
    from ops_cuda.relu6_depthwise import _reference, _reference_backward

    x = laid_out((torch.randn(shape, device=DEVICE) * 2).to(dtype), True)
    c = shape[1]
    weight = torch.randn(c, 1, kernel_size, kernel_size, device=DEVICE)
    in_bias, bias = torch.randn(c, device=DEVICE), torch.randn(c, device=DEVICE)
    y = kernel.forward(x, in_bias, weight, bias, stride)
    close(y, _reference(x.double(), in_bias.double(), weight.double(), bias.double(), stride), dtype)
    dy = torch.randn_like(y)
    dx = kernel.backward(dy, y, x, in_bias, weight, stride)
    wide = (t.double() for t in (dy, y, x, in_bias, weight))
    close(dx, _reference_backward(*wide, stride), dtype)
