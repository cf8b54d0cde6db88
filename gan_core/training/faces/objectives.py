"""Losses and scores of the finder's two networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.networks import STRIDE, five_from_landmarks
from gan_core.training.faces.placing import frame_of
from gan_core.training.faces.scenes import Crops, Scenes


def locator_loss(outputs: tuple[Tensor, Tensor, Tensor], scenes: Scenes) -> tuple[Tensor, dict[str, Tensor]]:
    """Penalty-reduced focal loss on the centre map (Zhou et al. 2019) and L1 on size and points.

    outputs: as from FaceLocator. Faces with state -1 switch the loss off around them.
    """
    heat, log_size, points = (o.float() for o in outputs)
    n, _, h, w = heat.shape
    faces = scenes.five.shape[1]
    centre, side, _ = (t.view(n, faces, *t.shape[1:]) for t in frame_of(scenes.five.flatten(0, 1)))
    device = heat.device
    y, x = torch.meshgrid(torch.arange(h, device=device) + 0.5, torch.arange(w, device=device) + 0.5, indexing="ij")
    cells = torch.stack([x, y], -1) * STRIDE
    away = (cells[None, None] - centre[:, :, None, None]).norm(dim=-1)  # (n, faces, h, w)
    spread = (0.11 * side).clamp_min(0.5 * STRIDE)[:, :, None, None]
    bump = torch.exp(-((away / spread) ** 2) / 2)
    face, ignored = (scenes.state > 0)[:, :, None, None], (scenes.state < 0)[:, :, None, None]
    nearest = away.flatten(2).argmin(-1)
    peak = F.one_hot(nearest, h * w).view(n, faces, h, w).bool() & face
    target = torch.where(peak, 1.0, bump * face).amax(1, keepdim=True)
    keep = 1 - ((away < 0.35 * side[:, :, None, None]) & ignored).any(1, keepdim=True).float()
    probability = heat.sigmoid().clamp(1e-5, 1 - 1e-5)
    positive = (target >= 0.999).float()
    focal = (
        -(
            positive * (1 - probability) ** 2 * probability.log()
            + (1 - positive) * (1 - target) ** 4 * probability**2 * (1 - probability).log()
        )
        * keep
    )
    count = positive.sum().clamp_min(1)

    # Size and points are learned at every cell near a centre, each cell for its nearest face.
    close = torch.where((bump > 0.6) & face | peak, away / side[:, :, None, None], torch.inf)
    ratio, owner = close.min(1)
    owned = ratio.isfinite().float()[:, None]
    pick = owner.flatten(1)
    side_at = side.gather(1, pick).view(n, 1, h, w)
    five_at = scenes.five.flatten(2).gather(1, pick[..., None].expand(-1, -1, 10)).view(n, h, w, 5, 2)
    wanted_points = ((five_at - cells[None, :, :, None]) / side_at.view(n, h, w, 1, 1)).permute(0, 3, 4, 1, 2)
    wanted_size = (side_at / 64).clamp_min(1e-3).log2()
    owned_count = owned.sum().clamp_min(1)
    size_loss = ((log_size - wanted_size).abs() * owned).sum() / owned_count
    point_loss = ((points - wanted_points).abs() * owned[:, None]).sum() / owned_count / 10
    heat_loss = focal.sum() / count
    return heat_loss + size_loss + 12 * point_loss, {
        "heat": heat_loss,
        "size": size_loss,
        "points": point_loss,
    }


def refiner_loss(
    outputs: tuple[Tensor, Tensor, Tensor], crops: Crops, weights: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Smooth L1 on landmarks, a term for compact heat maps, and cross-entropy of face or no face."""
    points, spread, face = (o.float() for o in outputs)
    inside = ((crops.landmarks > 0) & (crops.landmarks < 1)).all(-1).float() * crops.face[:, None]
    error = F.smooth_l1_loss(points, crops.landmarks, beta=0.01, reduction="none").sum(-1)
    count = inside.sum().clamp_min(1)
    landmark_loss = (error * weights * inside).sum() / count
    compact = ((spread - 0.03).abs() * inside).sum() / count
    face_loss = F.binary_cross_entropy_with_logits(face, crops.face)
    total = 20 * landmark_loss + 0.5 * compact + 0.3 * face_loss
    return total, {"landmarks": landmark_loss, "spread": compact, "face": face_loss}


@torch.no_grad()
def locator_scores(outputs: tuple[Tensor, Tensor, Tensor], scenes: Scenes, threshold: float = 0.35) -> dict[str, float]:
    """recall: faces found. precision: peaks that are faces. points: their mean error in FFHQ sides."""
    heat, _, points = outputs
    probability = heat.float().sigmoid()
    peaks = (F.max_pool2d(probability, 3, 1, 1) == probability) & (probability > threshold)
    n, _, h, w = heat.shape
    at = peaks[:, 0].nonzero()
    centre, side, _ = (t.view(n, -1, *t.shape[1:]) for t in frame_of(scenes.five.flatten(0, 1)))
    wanted = int((scenes.state > 0).sum())
    if len(at) == 0:
        return {"recall": 0.0, "precision": 1.0, "points": 1.0}
    cells = (at[:, [2, 1]] + 0.5) * STRIDE
    away = (cells[:, None] - centre[at[:, 0]]).norm(dim=-1) / side[at[:, 0]]
    away = torch.where(scenes.state[at[:, 0]] != 0, away, torch.inf)
    best, which = away.min(1)
    hit = best < 0.3
    state = scenes.state[at[:, 0], which]
    truth = hit & (state > 0)
    found = torch.unique(at[truth][:, 0] * scenes.state.shape[1] + which[truth]).numel()
    counted = int((~(hit & (state < 0))).sum())
    error = 1.0
    if bool(truth.any()):
        rows = at[truth]
        s = side[rows[:, 0], which[truth]]
        got = points.float()[rows[:, 0], :, :, rows[:, 1], rows[:, 2]] * s[:, None, None] + cells[truth][:, None]
        error = float(((got - scenes.five[rows[:, 0], which[truth]]).norm(dim=-1) / s[:, None]).mean())
    return {"recall": found / max(wanted, 1), "precision": int(truth.sum()) / max(counted, 1), "points": error}


@torch.no_grad()
def refiner_scores(outputs: tuple[Tensor, Tensor, Tensor], crops: Crops) -> dict[str, float]:
    """points: mean error of eyes and mouth corners in eye distances; face: accuracy at a threshold of one half."""
    points, _, face = outputs
    got, wanted = five_from_landmarks(points.float()), five_from_landmarks(crops.landmarks)
    eyes = (wanted[:, 1] - wanted[:, 0]).norm(dim=-1)
    error = ((got - wanted)[:, [0, 1, 3, 4]].norm(dim=-1).mean(-1) / eyes)[crops.face > 0]
    right = ((face > 0).float() == crops.face).float().mean()
    return {"points": float(error.mean()), "points_median": float(error.median()), "face": float(right)}
