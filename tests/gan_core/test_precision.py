"""Where half precision pays: on GPUs with matrix units, and for large networks on CPUs that multiply bfloat16."""

import pytest
import torch

from gan_core import precision
from gan_core.precision import LARGE, cpu_has_bfloat16, drawing_dtype, half_precision_pays

CPU = torch.device("cpu")


class Network(torch.nn.Module):
    """Of so many parameters; they take no memory."""

    def __init__(self, parameters: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(parameters, device="meta"))


@pytest.mark.parametrize(
    ("has", "sizes", "dtype"),
    [
        (True, (LARGE,), torch.bfloat16),
        (True, (LARGE // 2, LARGE // 2), torch.bfloat16),
        (True, (LARGE // 2,), torch.float32),
        (False, (LARGE,), torch.float32),
    ],
)
def test_on_the_cpu(monkeypatch, has: bool, sizes: tuple[int, ...], dtype: torch.dtype) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: has)
    assert drawing_dtype(CPU, *map(Network, sizes)) == dtype
    assert not half_precision_pays(CPU)


@pytest.mark.parametrize(("said", "has"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({}, False)])
def test_what_the_processor_says(monkeypatch, said: dict, has: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: said, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert cpu_has_bfloat16.__wrapped__() == has


def test_a_pytorch_that_cannot_say(monkeypatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not cpu_has_bfloat16.__wrapped__()
