"""A kernel that fails is left to the reference, alone and with one warning. Fake kernels here, so that no GPU is
needed."""

import ast
import logging
import sys
import types
from pathlib import Path

import pytest
import torch

from ops_cuda import backend, bias_act, setup_filter, status, upfirdn2d


@pytest.fixture
def kernels(monkeypatch):
    """Triton, as the ops see it: `kernels.upfirdn2d.forward` and the like may be replaced; calls are recorded."""
    from ops_cuda.bias_act import _reference as bias_act_reference
    from ops_cuda.upfirdn2d import _reference as upfirdn2d_reference

    calls = []

    def upfirdn2d_forward(x, filter, up, down, padding, flip, gain, size):
        calls.append("upfirdn2d")
        return upfirdn2d_reference(x, filter, up, down, padding, flip, gain)

    def bias_act_forward(*arguments):
        calls.append("bias_act")
        return bias_act_reference(*arguments)

    found = types.SimpleNamespace(
        calls=calls,
        upfirdn2d=types.SimpleNamespace(serves=lambda up, down: True, forward=upfirdn2d_forward),
        bias_act=types.SimpleNamespace(forward=bias_act_forward),
    )
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # CPU tensors are served, too
    monkeypatch.setattr(backend, "_status", backend.BackendStatus("triton", "kernels are compiled on first use"))
    monkeypatch.setattr(backend, "_off", {})
    for name in ("upfirdn2d", "bias_act"):
        monkeypatch.setitem(sys.modules, f"ops_cuda.kernels.{name}", getattr(found, name))
    return found


def blur(x):
    return upfirdn2d(x, setup_filter(), padding=(2, 1, 2, 1))


def test_a_failing_kernel_is_turned_off_and_the_others_go_on(kernels, caplog):
    x = torch.randn(1, 2, 6, 6)
    want = blur(x)
    assert kernels.calls == ["upfirdn2d"]
    attempts = []

    def fails(*arguments):
        attempts.append(1)
        raise RuntimeError("no such instruction on this GPU")

    kernels.upfirdn2d.forward = fails
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            torch.testing.assert_close(blur(x), want)
            bias_act(x, torch.zeros(2))
    assert len(attempts) == 1, "it is not tried again"
    assert kernels.calls == ["upfirdn2d"] + ["bias_act"] * 3, "the other kernel goes on"
    (record,) = caplog.records
    assert "upfirdn2d.forward is off" in record.getMessage() and "no such instruction" in record.getMessage()
    assert status().name == "triton" and "upfirdn2d.forward failed" in status().reason


def test_two_failing_kernels_are_both_named(kernels, caplog):
    def fails(*arguments):
        raise ValueError("broken")

    kernels.upfirdn2d.forward = kernels.bias_act.forward = fails
    x = torch.randn(1, 2, 6, 6)
    blur(x)
    bias_act(x, torch.zeros(2))
    assert [record.args[0] for record in caplog.records] == ["upfirdn2d.forward", "bias_act.forward"]
    assert all(name in status().reason for name in ("upfirdn2d.forward", "bias_act.forward"))


def test_forward_and_backward_are_two_kernels(kernels):
    def fails(*arguments):
        raise ValueError("broken")

    kernels.bias_act.backward = fails
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    for _ in range(2):
        bias_act(x, torch.zeros(2)).sum().backward()
    assert kernels.calls == ["bias_act"] * 2
    assert list(backend._off) == ["bias_act.backward"]


def test_out_of_memory_turns_nothing_off(kernels):
    def fails(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    forward, kernels.upfirdn2d.forward = kernels.upfirdn2d.forward, fails
    with pytest.raises(torch.OutOfMemoryError):
        blur(torch.randn(1, 2, 6, 6))
    kernels.upfirdn2d.forward = forward
    blur(torch.randn(1, 2, 6, 6))
    assert kernels.calls == ["upfirdn2d"] and backend._off == {}


def test_every_op_says_which_kernel_failed():
    """The call stands in an except clause that no other test here reaches for every op."""
    for path in (Path(backend.__file__).parent).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "backend.give_up":
                kernel = [word.value for word in node.args[1:] if isinstance(word, ast.Constant)]
                assert kernel and kernel[0] == path.stem, f"{path.name}:{node.lineno}"
