"""The linear fits, against their definitions."""

import torch

from gan_core.training.self_conditioned.linear import ridge, separate


def leave_one_out(rows: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor, alpha: float) -> float:
    """Weighted squared error of each row by the fit to the others, the plain way."""
    total = 0.0
    for i in range(len(rows)):
        kept = torch.arange(len(rows)) != i
        coefficients, intercept = ridge(rows[kept], wanted[kept], weight[kept], torch.tensor([alpha]))
        total += float(weight[i] * (wanted[i] - rows[i] @ coefficients - intercept) ** 2)
    return total


def test_the_penalty_is_chosen_by_rows_left_out() -> None:
    torch.manual_seed(0)
    rows = torch.randn(14, 6, dtype=torch.float64) + 3
    wanted, weight = rows[:, :2].sum(1) + torch.randn(14).double() - 5, torch.rand(14).double() + 0.5
    alphas = torch.tensor([0.1, 3.0, 30.0, 3000.0])
    best = min(alphas.tolist(), key=lambda alpha: leave_one_out(rows, wanted, weight, alpha))
    found, expected = ridge(rows, wanted, weight, alphas), ridge(rows, wanted, weight, torch.tensor([best]))
    assert torch.equal(found[0], expected[0]) and best not in (0.1, 3000.0)
    # At the minimum of the weighted loss, its gradient is zero.
    miss = weight * (wanted - rows @ found[0] - found[1])
    torch.testing.assert_close(rows.T @ miss, best * found[0], rtol=1e-6, atol=1e-6)
    assert abs(float(miss.sum())) < 1e-6


def test_a_plane_between_two_classes() -> None:
    torch.manual_seed(0)
    rows = torch.randn(300, 3, dtype=torch.float64)
    high = rows[:, 1] > 0.4
    normal, offset = separate(rows, high, 5.0)
    assert ((rows @ normal + offset > 0) == high).double().mean() > 0.98
    assert -offset / normal[1] > 0.3 and normal[1] > 10 * normal[[0, 2]].abs().max()
