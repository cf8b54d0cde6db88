"""Helpers to fit directions: encoding and drawing in batches, patterns of labels, effects of directions."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor
from tqdm import tqdm

from gan_core.e4e.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.faces.head import HeadNet
from gan_core.stylegan2 import Generator
from gan_core.training.hfgi.measures import FinderMeasures, head_measures, pixel_measures, to_columns
from gan_core.training.hfgi.targets import Target

Columns = dict[str, np.ndarray]
COLLECTION = "collection "  # begins the name of a column that is 1 for the pictures of one collection


class GeneratorWithEncoder:
    """Encodes pictures and draws codes, in batches."""

    def __init__(self, generator: Generator, encoder: Encoder4Editing, average: Tensor, device: str) -> None:
        self.device = torch.device(device)
        kind = {"memory_format": torch.channels_last}
        self.generator = generator.to(self.device, **kind).eval()
        self.generator.requires_grad_(False)
        self.encoder = encoder.to(self.device, **kind).eval()
        self.average = average.to(self.device)

    @torch.inference_mode()
    def encode(self, images: Tensor, what: str = "") -> Tensor:
        """Codes (N, num_ws, w_dim), on the CPU, of uint8 or [-1, 1] pictures (N, 3, H, W)."""
        codes = []
        for part in tqdm(images.split(16), desc=what, disable=not what):
            part = part.to(self.device)
            part = part.float() / 127.5 - 1 if part.dtype == torch.uint8 else part
            codes.append((self.encoder(resize(part, WORKING_SIZE)) + self.average).cpu())
        return torch.cat(codes)

    @torch.inference_mode()
    def draw(self, codes: Tensor) -> Tensor:
        """Pictures (N, 3, R, R) in [-1, 1], on the CPU, of codes."""
        parts = codes.to(self.device).split(16)
        return torch.cat([self.generator.synthesis(c, noise="const").clamp(-1, 1).cpu() for c in parts])


def fit_direction(codes: np.ndarray, columns: Columns, target: Target) -> tuple[np.ndarray, float]:
    """The codes' mean change (num_ws, w_dim) for one unit of the slider, with other labels and the collection constant;
    and the unit.

    codes: (N, num_ws, w_dim). The unit is one standard deviation, or half of a binary label's difference.
    """
    collections = sorted(name for name in columns if name.startswith(COLLECTION))
    used = [name for name in (target.column, *target.leave, *collections) if name in columns]
    table = np.stack([columns[name] for name in used], 1)
    known = np.isfinite(table).all(1)
    table, y = table[known], codes[known].reshape(known.sum(), -1)
    unit = 0.5 if target.binary else float(table[:, 0].std())
    table = table - table.mean(0)
    table /= table.std(0) + 1e-9
    # A small ridge penalty: rare combinations of labels would otherwise give two large opposite effects.
    normal = table.T @ table + 0.01 * len(table) * np.eye(table.shape[1])
    pattern = np.linalg.solve(normal, table.T @ (y - y.mean(0)))[0]
    pattern *= unit / columns[target.column][known].std()
    return pattern.reshape(codes.shape[1:]), unit


def layer_window(num_ws: int, layers: tuple[int, int]) -> np.ndarray:
    """1 in the layers of a target, 0 elsewhere, (num_ws, 1); the last index of TARGETS reaches to the end."""
    index = np.arange(num_ws)
    last = num_ws - 1 if layers[1] >= 13 else layers[1]
    return ((index >= layers[0]) & (index <= last)).astype(np.float64)[:, None]


def measure_pictures(finder: FinderMeasures | None, images: Tensor) -> dict[str, Tensor]:
    """All differentiable measures (N,) of pictures (N, 3, R, R); those of landmarks only if a finder is given."""
    working = resize(images, WORKING_SIZE)
    return pixel_measures(working) | (finder(working) if finder is not None else {})


class AttributeMetrics:
    """Measures attributes of pictures: by landmarks and pixels if there is such a measure, else by ridge regression on
    codes."""

    def __init__(
        self,
        networks: GeneratorWithEncoder,
        codes: np.ndarray,
        columns: Columns,
        finder: FinderMeasures | None,
        head: HeadNet | None = None,
    ) -> None:
        self.networks, self.finder, self.head = networks, finder, head
        self.ridges: dict[str, RidgeCV] = {}
        flat = self._features(codes)
        for name, values in columns.items():
            known = np.isfinite(values)
            self.ridges[name] = RidgeCV(alphas=np.logspace(0, 4, 9)).fit(flat[known], values[known])

    @staticmethod
    def _features(codes: np.ndarray) -> np.ndarray:
        third = max(codes.shape[1] // 3, 1)
        groups = [codes[:, :third], codes[:, third : 2 * third], codes[:, 2 * third :]]
        return np.concatenate([group.mean(1) for group in groups], 1)

    def from_codes(self, codes: np.ndarray) -> Columns:
        """The regression's attributes of codes (N, num_ws, w_dim)."""
        return {name: ridge.predict(self._features(codes)) for name, ridge in self.ridges.items()}

    def from_pictures(self, images: Tensor) -> Columns:
        """Measures (N,) of pictures (N, 3, R, R) in [-1, 1]."""
        result = self.from_codes(self.networks.encode(images).numpy())
        working = resize(images, WORKING_SIZE)
        with torch.inference_mode():
            result |= to_columns(measure_pictures(self.finder, working))
            if self.head is not None:
                result |= to_columns(head_measures(self.head, working))
        return result


def calibrate(
    networks: GeneratorWithEncoder,
    metrics: AttributeMetrics,
    codes: Tensor,
    direction: Tensor,
    target: Target,
    unit: float,
    *,
    reach: float = 1.5,
) -> tuple[float, float]:
    """(Factor with which strength 1 changes the measured attribute by one unit, share of people for whom the attribute
    changes in the right direction).

    Both ends are drawn for every code of `codes`; the factor is kept between 0.4 and 4.
    """
    high = metrics.from_pictures(networks.draw(codes + reach * direction))[target.column]
    low = metrics.from_pictures(networks.draw(codes - reach * direction))[target.column]
    moved = (high - low) / (2 * reach * unit)
    return float(np.clip(1 / max(np.median(moved), 1e-3), 0.4, 4.0)), float((moved > 0).mean())


def principal(generator: Generator, count: int, samples: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """The first principal directions of w, (count, w_dim), each one standard deviation long, and their shares of the
    variance."""
    z = torch.randn(samples, generator.config["z_dim"], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        w = generator.mapping(z.to(generator.mapping.w_avg.device)).cpu().double().numpy()
    values, vectors = np.linalg.eigh(np.cov(w.T))
    order = values.argsort()[::-1][:count]
    return (vectors[:, order] * np.sqrt(values[order])).T, values[order] / values.sum()
