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


@pytest.mark.skipif(ON_GPU or INTERPRETED, reason="the kernels are tested directly in this process")
def test_kernels_in_the_interpreter() -> None:
    """Triton reads TRITON_INTERPRET at import, so the tests below run in a process of their own."""
    environment = dict(os.environ, TRITON_INTERPRET="1")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout


def close(got: torch.Tensor, want: torch.Tensor, dtype: torch.dtype) -> None:
    assert got.dtype == dtype
    error = (got.double() - want).norm() / want.norm()
    assert error < TOLERANCE[dtype], f"relative error {error:.1e}"


direct = pytest.mark.skipif(not (ON_GPU or INTERPRETED), reason="runs in test_kernels_in_the_interpreter")


@direct
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("noise_batch", [0, 1, 3])
def test_bias_act(dtype: torch.dtype, last: bool, noise_batch: int) -> None:
    from ops_cuda.kernels import bias_act as kernel

    x = torch.randn(3, 5, 9, 7, device=DEVICE).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    bias = torch.randn(5, device=DEVICE)
    noise = torch.randn(noise_batch, 1, 9, 7, device=DEVICE) if noise_batch else None
    wide = (x.double(), bias.double(), None if noise is None else noise.double())
    y = kernel.forward(x, bias, noise, 0.2, 1.5, 1.0)
    close(y, bias_act_reference(*wide, 0.2, 1.5, 1.0), dtype)
    dy = torch.randn_like(x)
    factor = torch.where(y < 0, 0.3, 1.5) * (y.abs() < 1.0)
    close(kernel.backward(dy, y, 0.2, 1.5, 1.0), dy.double() * factor.double(), dtype)


@direct
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("up", "down", "padding"), [(1, 1, [1, 1, 1, 1]), (2, 1, [2, 1, 2, 1]), (1, 2, [2, 1, 0, -1])])
def test_upfirdn2d(dtype: torch.dtype, last: bool, up: int, down: int, padding: list) -> None:
    from ops_cuda.kernels import upfirdn2d as kernel

    x = torch.randn(2, 3, 9, 10, device=DEVICE).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    for filter in (setup_filter().to(DEVICE), torch.randn(3, 2, device=DEVICE)):
        for flip in (False, True):
            size = _output_size(x.shape, filter.shape, up, down, padding)
            got = kernel.forward(x, filter, up, down, padding, flip, 2.0, size)
            want = upfirdn2d_reference(x.double(), filter.double(), up, down, padding, flip, 2.0)
            close(got, want, dtype)
