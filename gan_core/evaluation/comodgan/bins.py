"""Features of completions at every hole size, for the scores of figure 1 of the paper.

All networks get the same pictures, holes and latents. As in the paper, features are computed from 8-bit pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.comodgan import masks
from gan_core.comodgan.blending import blend
from gan_core.comodgan.networks import CoModGenerator, hole_condition
from gan_core.evaluation.metrics.scores import rounded

Features = Callable[[Tensor], Tensor]
BINS = 10


@torch.inference_mode()
def complete(net: CoModGenerator, image: Tensor, hole: Tensor, z: Tensor, *, psi: float = 1.0) -> Tensor:
    """Completions (N, 3, R, R) of pictures (N, 3, R, R) with holes (N, 1, R, R), 1 = hole, one for each z."""
    known = 1 - hole
    w = net.mapping.truncate(net.mapping(z), psi)
    raw = net.decode(net.encode(hole_condition(image, known)), w, noise="const" if psi > 0 else "none")
    return torch.cat([blend(r[None], i[None], k[None]) for r, i, k in zip(raw, image, known, strict=True)])


def holes_of_bin(index: int, count: int, side: int) -> Tensor:
    """Holes (count, 1, side, side) with ratios in the bin, the same in every call."""
    rng = np.random.default_rng((index, side))
    drawn = [masks.with_ratio(rng, index / BINS, (index + 1) / BINS, side) for _ in range(count)]
    return torch.from_numpy(np.stack(drawn))[:, None].float()


def features_by_hole(
    networks: Mapping[str, CoModGenerator],
    pictures: Tensor,
    features: Features,
    *,
    each: int = 8,
    psi: float = 1.0,
    plain: tuple[str, ...] = (),
    batch: int | None = None,
) -> dict[str, np.ndarray]:
    """Features of real and completed pictures.

    Args:
        networks: by name, on one device; those named in `plain` have no latent.
        pictures: (N, 3, R, R) in [-1, 1], on the CPU.
        each: holes for each picture and bin. psi: truncation of w, for networks that are not in `plain`.
        batch: pictures in a batch; None for 32 on a GPU and 4 on a CPU, whose cache is small.

    Returns:
        "real" (N * each, D), and for each network (BINS, N * each, D); row i is of the same picture in all of them.
    """
    device = next(iter(networks.values())).mapping.w_avg.device
    batch = batch or (32 if device.type == "cuda" else 4)
    many = pictures.repeat(each, 1, 1, 1)
    z_dim = next(iter(networks.values())).mapping.z_dim
    z = torch.randn(len(many), z_dim, generator=torch.Generator().manual_seed(0))
    result: dict[str, list[np.ndarray]] = {name: [] for name in networks}
    bar = tqdm(total=BINS * len(many) * len(networks), unit="picture")
    for index in range(BINS):
        holes = holes_of_bin(index, len(many), pictures.shape[-1])
        for name, net in networks.items():
            rows = []
            for part in torch.arange(len(many)).split(batch):
                image, hole, latent = (x[part].to(device) for x in (many, holes, z))
                done = complete(net, image, hole, latent, psi=0.0 if name in plain else psi)
                rows.append(features(rounded(done)).cpu())
                bar.update(len(part))
            result[name].append(torch.cat(rows).numpy())
    bar.close()
    real = np.concatenate([features(rounded(part)).cpu().numpy() for part in pictures.split(batch)])
    return {"real": np.tile(real, (each, 1))} | {name: np.stack(rows) for name, rows in result.items()}
