"""An operation that PyTorch's compiler and exporter know by name, and that costs little where they are not at work.

A `torch.library` custom op passes through layers of Python at every call: measured on a CPU, 0.07 ms, and 0.3 ms where
gradients are wanted, beside 2 s for `torch._dynamo`, which the first call imports. For the small maps of a generator
that is more than the arithmetic. So on ordinary CPU tensors the same functions are called without those layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_ORDINARY = (Tensor, torch.nn.Parameter)  # no stand-ins for tensors, by which PyTorch traces


class Operation:
    """`torch.library.custom_op("gan_studio::<name>")` of a function that changes none of its arguments."""

    def __init__(self, name: str, forward: Callable[..., Any]) -> None:
        self._forward = forward
        self._definition = torch.library.custom_op(f"gan_studio::{name}", forward, mutates_args=())
        self._registered = getattr(torch.ops.gan_studio, name).default
        self._function: type[torch.autograd.Function] | None = None
        self.register_fake = self._definition.register_fake

    def register_autograd(self, backward: Callable[..., Any], *, setup_context: Callable[..., None]) -> None:
        """As `torch.library`'s: setup_context(ctx, inputs, output) keeps what backward(ctx, *gradients) needs."""
        self._definition.register_autograd(backward, setup_context=setup_context)

        # `setup_context` is called here: apart, PyTorch binds the arguments by name at each call, which is as slow.
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = self._forward(*inputs)
            setup_context(ctx, inputs, output)
            return output

        steps = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
        self._function = type(self._forward.__name__, (torch.autograd.Function,), steps)

    def __call__(self, *arguments: Any) -> Any:
        """The function's result."""
        if torch.compiler.is_compiling():
            return self._registered(*arguments)
        wanted = False
        for one in arguments:
            if isinstance(one, Tensor):
                if type(one) not in _ORDINARY or one.device.type != "cpu":
                    return self._registered(*arguments)
                wanted = wanted or one.requires_grad
        if not (wanted and torch.is_grad_enabled()):
            return self._forward(*arguments)
        if self._function is None:  # the registered one says that it has no gradient
            return self._registered(*arguments)
        return self._function.apply(*arguments)


def operation(name: str) -> Callable[[Callable[..., Any]], Operation]:
    """Decorator: the function is the operation `gan_studio::<name>`, its schema read off the annotations."""
    return lambda forward: Operation(name, forward)
