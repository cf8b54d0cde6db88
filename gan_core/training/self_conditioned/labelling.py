"""Step (b): labels for the training data from the generator's latent space; and sampling of the data by its labels.

Every training picture and its mirror image is inverted, and its latent's signed distance to each hyperplane, clipped at
the data's 0.5 and 99.5 percentiles and mapped to [0, 1], is its label (Liu et al. 2022, section 3). Training then draws
pictures uniformly in the labels: a random point of the label cube, then one of its nearest neighbours (section 4).
With more than three attributes the neighbours are nearest in three random ones: the corners of a cube of more
dimensions are near to no picture, and the same few would be drawn again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.e4e.encoding import Encode
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.self_conditioned.labels import range_of, values_of
from gan_core.self_conditioned.predictors import TURNED
from gan_core.self_conditioned.space import AttributeSpace
from gan_core.training.self_conditioned.directions import ScoredSamples
from gan_core.training.self_conditioned.linear import ridge

NEIGHBOURS, DRAWS = 10, 250_000
TOGETHER = 3  # attributes in which a drawn point is compared with the pictures
_POINTS_AT_ONCE = 4096
_EXACT = "donot_use_mm_for_euclid_dist"  # products in reduced precision would mix up near neighbours


@dataclass(frozen=True)
class Labels:
    """Attribute values and latents of pictures and of their mirror images."""

    names: tuple[str, ...]  # of the pictures, see `faces.Faces`
    attributes: tuple[str, ...]
    values: Tensor  # (2 N, A) in [0, 1]: the pictures, then their mirror images
    codes: Tensor  # (2 N, num_ws, w_dim), float16

    def of(self, names: Sequence[str]) -> Labels:
        """The labels of some pictures, in their order. Raises BadValue if one has none."""
        at = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in at]
        if missing:
            raise BadValue(f"{len(missing)} pictures have no label, {missing[0]} for one; label them first (step b).")
        rows = torch.tensor([at[name] for name in names])
        both = torch.cat([rows, rows + len(self.names)])
        return replace(self, names=tuple(names), values=self.values[both], codes=self.codes[both])

    def save(self, path: Path) -> None:
        """Write to a file."""
        config = {"names": list(self.names), "attributes": list(self.attributes)}
        store.save(path, {"values": self.values, "codes": self.codes}, config=config)


def load_labels(path: Path) -> Labels:
    """From a file written by `Labels.save`. Raises WeightsMissing or BadCheckpoint."""
    tensors, config = store.read(path)
    try:
        names, attributes = tuple(config["names"]), tuple(config["attributes"])
        return Labels(names, attributes, tensors["values"], tensors["codes"].half())
    except KeyError as error:
        raise BadCheckpoint(f"{path.name} is no file of labels.") from error


@torch.no_grad()
def invert_all(encode: Encode, pictures: Tensor, batch: int = 16) -> Tensor:
    """Latents (2 N, num_ws, w_dim), float16, on the CPU, of uint8 pictures (N, 3, R, R) and of their mirror images."""
    rows = []
    for mirrored in (False, True):
        for part in tqdm(pictures.split(batch), desc="mirror images" if mirrored else "pictures"):
            images = part.float() / 127.5 - 1
            rows.append(encode(images.flip(3) if mirrored else images).half().cpu())
    return torch.cat(rows)


def refit(
    space: AttributeSpace, codes: Tensor, scores: np.ndarray, drawn: ScoredSamples | None = None
) -> AttributeSpace:
    """The space with hyperplanes fitted to the codes of pictures, for labelling.

    The latents of an encoder have another distribution than the generator's own, so a plane that separates drawn faces
    does not separate them well. Here each third of the layers is averaged and has its own normal. Directions of plain
    edits and style channels are kept.

    codes: (M, num_ws, w_dim); scores: (M, A), the predictor's, of the same pictures; drawn: faces of the generator,
    which count as much as the codes, so that the planes are valid for both. (A plane fitted to codes alone is not valid
    for drawn faces: it uses differences between layers, which these do not have.)
    """
    num_ws = codes.shape[1]
    ends = [0, num_ws // 3, 2 * (num_ws // 3), num_ws]
    groups = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    rows = torch.cat([codes[:, group].float().mean(1) for group in groups], 1).double()
    mean, spread, weight = scores.mean(0), scores.std(0), torch.ones(len(rows), dtype=torch.float64)
    if drawn is not None:
        rows = torch.cat([rows, drawn.w.double().repeat(1, len(groups))])
        scores = np.concatenate([scores, drawn.scores])
        weight = torch.cat([weight, weight.new_full((len(drawn.w),), len(weight) / len(drawn.w))])
    normals, offsets = space.normals.clone(), space.offsets.clone()
    for i, attribute in enumerate(space.attributes):
        if attribute.method == "style":
            continue
        wanted = torch.from_numpy((scores[:, i] - mean[i]) / spread[i]).double()
        found, offsets[i] = ridge(rows, wanted, weight)
        for group, normal in zip(groups, found.view(3, -1), strict=True):
            normals[i, group] = normal.float() / (group.stop - group.start)
    return AttributeSpace(space.attributes, normals, offsets, space.low, space.high, space.moves, space.gain)


def label(space: AttributeSpace, codes: Tensor) -> tuple[AttributeSpace, Tensor, Tensor]:
    """The space with the data's range, the values (2 N, A), and the distances (2 N, A), of inverted pictures.

    codes: (2 N, num_ws, w_dim), mirror images last. A picture and its mirror image have the same value, or opposite
    ones (of the measures `TURNED`): their two estimates are averaged, and the range of opposite ones is made symmetric.
    """
    distances = space.distances(codes.float())
    middle = distances.mean(0)
    sign = torch.tensor([-1.0 if attribute.measure in TURNED else 1.0 for attribute in space.attributes])
    centred = distances - middle
    first, second = centred.chunk(2)
    both = (first + second * sign) / 2
    centred = torch.cat([both, both * sign])
    low, high = range_of(centred)
    reach = torch.maximum(high, -low)
    low, high = torch.where(sign < 0, -reach, low), torch.where(sign < 0, reach, high)
    values = values_of(centred, low, high)
    # Distances are not centred at 0; the range is that of the data's codes.
    ranged = AttributeSpace(
        space.attributes, space.normals, space.offsets, low + middle, high + middle, space.moves, space.gain
    )
    return ranged, values, centred


def draw_uniformly(values: Tensor, *, count: int = DRAWS, neighbours: int = NEIGHBOURS, seed: int = 0) -> Tensor:
    """Indices (count,), on the device of the values, of pictures with values (M, A) in [0, 1], spread evenly over the
    label cube, or over those of every three attributes."""
    if values.ndim != 2 or not len(values):
        raise BadValue("Drawing by labels needs at least one labelled picture.")
    random, neighbours = torch.Generator().manual_seed(seed), min(neighbours, len(values))
    attributes = values.shape[1]
    chosen = list(combinations(range(attributes), min(TOGETHER, attributes)))
    found = []
    for which, part in zip(chosen, torch.arange(count).tensor_split(len(chosen)), strict=True):
        of_these = values[:, list(which)].float()
        for rows in part.split(_POINTS_AT_ONCE):
            points = torch.rand(len(rows), len(which), generator=random).to(of_these)
            nearest = torch.cdist(points, of_these, compute_mode=_EXACT).topk(neighbours, largest=False).indices
            pick = torch.randint(neighbours, (len(rows), 1), generator=random).to(nearest.device)
            found.append(nearest.gather(1, pick)[:, 0])
    return torch.cat(found)


def agreement(distances: Tensor, columns: dict[str, np.ndarray], measures: dict[str, str]) -> dict[str, float]:
    """Correlation of each attribute's distance (N,) with its label, where that is known of three pictures or more.

    measures: the column of each attribute, in the order of the distances' (N, A) columns.
    """
    facts = {}
    for i, (name, column) in enumerate(measures.items()):
        if column in columns:
            known = np.isfinite(columns[column])
            truth, guess = columns[column][known], distances[:, i].numpy()[known]
            if len(truth) > 2 and truth.std() > 0 and guess.std() > 0:
                facts[name] = float(np.corrcoef(guess, truth)[0, 1])
    return facts
