"""Functions recorded as CUDA graphs: the same results, kept apart, and a way out where recording cannot be."""

import gc

import pytest
import torch

from gan_core import graphs
from gan_core.graphs import Captured


def squares(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x * x, x @ y


def test_on_the_cpu_it_is_the_function_itself() -> None:
    x, y = torch.randn(3, 3), torch.randn(3, 3)
    for got, want in zip(Captured(squares)(x, y), squares(x, y), strict=True):
        assert torch.equal(got, want)


class TestOnGpu:
    pytestmark = pytest.mark.gpu

    def test_every_shape_has_its_recording_and_results_stay(self) -> None:
        run = Captured(squares, keep=2)
        kept = []
        for side in (3, 4, 5, 3, 4):  # more shapes than are kept
            x, y = torch.randn(2, side, side, device="cuda")
            kept.append((run(x, y), squares(x, y)))
        for got, want in kept:
            for mine, theirs in zip(got, want, strict=True):
                torch.testing.assert_close(mine, theirs)

    def test_batches_of_few_sizes_are_recorded(self) -> None:
        """One row of the second tensor serves all; no row of another batch is left in the results."""
        made, run = graphs.recordings_made(), Captured(lambda x, y: (x * y, x - y), rows=True)
        for count in (3, 4, 1, 2, 3, 7, 5):
            x, y = torch.randn(count, 4, 2, 2, device="cuda"), torch.randn(1, 4, 2, 2, device="cuda")
            product, difference = run(x, y)
            torch.testing.assert_close(product, x * y)
            torch.testing.assert_close(difference, x - y)
        assert graphs.recordings_made() - made == 4  # of 4, 1, 2 and 8 rows

    def test_another_one_works_after_the_first_is_gone(self) -> None:
        x = torch.randn(4, 4, device="cuda")
        first = Captured(squares)
        first(x, x)
        del first
        gc.collect()
        torch.cuda.empty_cache()
        torch.testing.assert_close(Captured(squares)(x, x)[0], x * x)

    def test_inference_mode_and_ordinary_calls_mix(self) -> None:
        run, x = Captured(squares), torch.randn(4, 4, device="cuda")
        with torch.inference_mode():
            run(x.clone(), x.clone())
        torch.testing.assert_close(run(x, x)[0], x * x)

    def test_what_cannot_be_recorded_runs_directly(self, caplog) -> None:
        def waits(x: torch.Tensor) -> torch.Tensor:
            return x * float(x.sum())  # asks the device for a number

        run, x = Captured(waits), torch.randn(4, device="cuda")
        for _ in range(2):
            torch.testing.assert_close(run(x), waits(x))
        assert "not recorded" in caplog.text

    def test_switched_off(self, monkeypatch) -> None:
        monkeypatch.setattr(graphs, "_enabled", False)
        x = torch.randn(4, 4, device="cuda")
        torch.testing.assert_close(Captured(squares)(x, x)[0], x * x)
