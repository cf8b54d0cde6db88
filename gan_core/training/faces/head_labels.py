"""Labels for the head finder, made without manual labelling from the features of the face generator.

The generator's features separate skin, hair, cloth and backdrop (Zhang et al. 2021, "DatasetGAN", section 3). In an
FFHQ-aligned crop the class is known at a few places: the middle is face, the area below the upper edge is hair or
forehead, the upper corners are backdrop, the lower ones cloth. A small classifier of the features is trained on these
places and applied to all pixels; GrabCut (Rother et al. 2004; OpenCV's) then moves the outline to the picture's edges.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.faces.head import HEAD_SIZE
from gan_core.stylegan2 import Generator

HEAD, BACKDROP, CLOTH = range(3)
_SEED_SIZE = 64


def _ellipse(x: Tensor, y: Tensor, at: tuple[float, float], half: tuple[float, float]) -> Tensor:
    return ((x - at[0]) / half[0]) ** 2 + ((y - at[1]) / half[1]) ** 2 < 1


def seeds(size: int = _SEED_SIZE) -> Tensor:
    """Class of each pixel in nearly every aligned portrait, (size, size); -1 where it varies."""
    at = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(at, at, indexing="ij")
    known = torch.full((size, size), -1)
    head = _ellipse(x, y, (0.5, 0.56), (0.24, 0.28)) | _ellipse(x, y, (0.5, 0.2), (0.14, 0.09))
    known[head | ((x - 0.5).abs() < 0.08) & (y > 0.86) & (y < 0.93)] = HEAD  # the last is the neck
    known[((x - 0.5).abs() > 0.43) & (y < 0.45) | ((x - 0.5).abs() > 0.36) & (y < 0.14)] = BACKDROP
    known[((x - 0.5).abs() > 0.28) & (y > 0.93)] = CLOTH
    return known


@torch.inference_mode()
def draw_with_features(generator: Generator, codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, R, R) in [-1, 1] and features (N, C, size, size) of codes (N, num_ws, w_dim).

    The features are those of the 32, 64 and 128 pixel layers, each of length 1 over its channels.
    """
    seen: dict[int, Tensor] = {}

    def keep(index: int) -> object:
        def look(x: Tensor) -> Tensor:
            seen[index] = x
            return x

        return look

    start = generator.config["start_shape"][0]
    layers = [2 * ((side // start).bit_length() - 1) for side in (32, 64, 128) if side <= generator.resolution]
    images = generator.synthesis(codes, inject={index: keep(index) for index in layers})  # type: ignore[arg-type]
    maps = [F.normalize(seen[index].float(), dim=1) for index in layers]
    maps = [F.interpolate(m, (size, size), mode="bilinear", align_corners=False) for m in maps]
    return images.clamp(-1, 1), torch.cat(maps, 1)


class FeatureClassifier:
    """Classifies features as head, backdrop or cloth; trained on the seeds."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def fit(self, codes: Tensor, steps: int = 400) -> FeatureClassifier:
        """Learn from the pictures of codes (N, num_ws, w_dim)."""
        known = seeds()
        rows, classes = [], known[known >= 0]
        for part in codes.split(8):
            _, features = draw_with_features(self.generator, part, _SEED_SIZE)
            rows.append(features.permute(0, 2, 3, 1)[:, known >= 0].flatten(0, 1).clone())
        x, y = torch.cat(rows), classes.repeat(len(codes))
        self.mean, self.std = x.mean(0), x.std(0) + 1e-4
        x = (x - self.mean) / self.std
        self.net = nn.Sequential(nn.Linear(x.shape[1], 48), nn.LeakyReLU(0.1), nn.Linear(48, 3))
        adam = torch.optim.AdamW(self.net.parameters(), lr=3e-3, weight_decay=1e-2)
        share = torch.bincount(y, minlength=3).float()
        weight = share.mean() / share
        for _ in range(steps):
            some = torch.randint(len(x), (min(4096, len(x)),))
            noisy = x[some] + 0.3 * torch.randn(len(some), x.shape[1])
            loss = F.cross_entropy(self.net(noisy), y[some], weight=weight, label_smoothing=0.05)
            adam.zero_grad()
            loss.backward()
            adam.step()
        return self

    @torch.inference_mode()
    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, R, R), and the classes' probabilities (N, 3, HEAD_SIZE, HEAD_SIZE)."""
        images, features = draw_with_features(self.generator, codes, HEAD_SIZE)
        scores = self.net((features.permute(0, 2, 3, 1) - self.mean) / self.std)
        return images, scores.softmax(-1).permute(0, 3, 1, 2)


def outline(picture: np.ndarray, person: np.ndarray) -> np.ndarray | None:
    """Mask (S, S) bool of the person with its outline moved to the picture's edges; None if the colours do not allow
    it.

    picture: (S, S, 3) uint8. person: (S, S), probability of each pixel to be no backdrop. Only pixels in a band around
    the given outline change their class.
    """
    import cv2

    def shrink(mask: np.ndarray, pixels: int) -> np.ndarray:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pixels, pixels))
        return cv2.erode(mask.astype(np.uint8), kernel, borderValue=1) > 0

    marks = np.where(person < 0.5, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    marks[shrink(person < 0.2, 13)] = cv2.GC_BGD
    marks[shrink(person > 0.8, 9)] = cv2.GC_FGD
    if not ((marks == cv2.GC_BGD).any() and (marks == cv2.GC_FGD).any()):
        return None
    cv2.grabCut(
        np.ascontiguousarray(picture),
        marks,
        None,  # type: ignore[call-overload]  # no mask of what to look at
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        3,
        cv2.GC_INIT_WITH_MASK,
    )
    found = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    # nearly all or nearly nothing: the backdrop has the person's colours
    return found if 0.2 < found.mean() < 0.9 and found[60:80, 50:78].mean() > 0.95 else None


def without_cloth(picture: np.ndarray, person: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Mask (S, S) bool of the head among a person's pixels; it includes long hair but no clothes.

    picture: (S, S, 3) uint8. person: (S, S) bool. head: (S, S), probability of head against cloth from the features
    alone. Hair below the chin is recognised by the colour of the hair beside the face, with which it is connected.
    """
    side = len(person)
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    low = y > 0.7
    beside = person & (y > 0.35) & (y < 0.62) & (((x - 0.5) / 0.25) ** 2 + ((y - 0.56) / 0.28) ** 2 > 1)
    result = person & (~low | (head > 0.5))
    if beside.sum() < 20:
        return result
    hair = picture[beside].astype(np.float64)
    spread = np.linalg.inv(np.cov(hair.T) + 60 * np.eye(3))
    offset = picture.astype(np.float64) - hair.mean(0)
    alike = np.einsum("ijk,kl,ijl->ij", offset, spread, offset) < 6
    hangs = (person & (y > 0.6) & (y < 0.7)).sum(0) >= 0.09 * side  # columns with something all the way down there
    return result | (person & low & alike & hangs[None] & (np.abs(x - 0.5) > 0.14))
