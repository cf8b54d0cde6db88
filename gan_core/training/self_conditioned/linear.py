"""Two linear fits, in PyTorch: machines that only train have neither SciPy nor scikit-learn."""

from __future__ import annotations

import torch
from torch import Tensor

ALPHAS = torch.logspace(0, 4, 9, dtype=torch.float64)


def separate(rows: Tensor, high: Tensor, strength: float) -> tuple[Tensor, float]:
    """A linear support vector machine with squared hinge loss: normal (D,) and offset.

    rows: (N, D), of about unit spread. high: (N,) bool, which of two classes. strength: of the loss's sum against half
    the squared length of the normal and the offset.
    """
    sign = torch.where(high, 1.0, -1.0).to(rows)
    joined = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
    plane = torch.zeros_like(joined[0]).requires_grad_()
    search = torch.optim.LBFGS([plane], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        miss = (1 - sign * (joined @ plane)).clamp_min(0)
        value = 0.5 * plane.square().sum() + strength * miss.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        search.step(loss)
    found = plane.detach()
    return found[:-1], float(found[-1])


def ridge(rows: Tensor, wanted: Tensor, weight: Tensor, alphas: Tensor = ALPHAS) -> tuple[Tensor, float]:
    """Ridge regression with the penalty, of `alphas`, that predicts rows left out one at a time best.

    rows: float64 (N, D); wanted, weight: (N,). Returns coefficients (D,) and the intercept.
    """
    share = weight / weight.sum()
    mean, middle = share @ rows, share @ wanted
    root = weight.sqrt()
    scaled, target = (rows - mean) * root[:, None], (wanted - middle) * root
    values, vectors = torch.linalg.eigh(scaled.T @ scaled)
    values = values.clamp_min(0)
    along = scaled @ vectors  # (N, D), columns of length sqrt(values)
    onto = along.T @ target
    best: tuple[float, Tensor] | None = None
    for alpha in alphas.tolist():
        shrunk = 1 / (values + alpha)
        coefficients = shrunk * onto
        leverage = along.square() @ shrunk + share  # the intercept's share, too
        error = (target - along @ coefficients) / (1 - leverage).clamp_min(1e-9)
        score = float(error.square().sum())
        if best is None or score < best[0]:
            best = score, vectors @ coefficients
    assert best is not None  # there are penalties
    return best[1], float(middle - mean @ best[1])
