"""Attributes as directions of the latent space: distances, values, and the plain edit, the paper's baseline.

An attribute's hyperplane gives every latent a signed distance (InterFaceGAN, Shen et al. 2020). Between the data's 0.5
and 99.5 percentiles a distance is a value in [0, 1] (Liu et al. 2022, section 3). A style channel (StyleSpace, Wu et
al. 2021) is an affine function of one layer's latent, so its value is such a distance too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, UnknownName
from gan_core.self_conditioned.labels import values_of


@dataclass(frozen=True)
class Attribute:
    """Name and labels of an attribute."""

    name: str
    label: str
    low: str = ""  # what value 0 means
    high: str = ""  # what value 1 means
    measure: str = ""  # the predictor's column that measures it
    method: str = "hyperplane"  # or "style": a channel of the style space
    note: str = ""


class AttributeSpace(nn.Module):
    """Hyperplanes of all attributes, and the data's range along each."""

    def __init__(
        self,
        attributes: Sequence[Attribute],
        normals: Tensor,  # (A, num_ws, w_dim): the distance of W+ is the sum of products, plus the offset
        offsets: Tensor,  # (A,)
        low: Tensor,  # (A,): distance of the data's 0.5 percentile
        high: Tensor,  # (A,): of its 99.5 percentile
        moves: Tensor | None = None,  # (A, w_dim): what a plain edit adds to all layers; None: see `apart`
        gain: Tensor | None = None,  # (A,): factor on the length of a plain edit; None for 1
    ) -> None:
        super().__init__()
        self.attributes = tuple(attributes)
        moves = apart(normals.sum(1)) if moves is None else moves
        tensors = {"normals": normals, "offsets": offsets, "low": low, "high": high, "moves": moves}
        tensors["gain"] = torch.ones(len(moves)) if gain is None else gain
        for name, value in tensors.items():
            self.register_buffer(name, value.detach().clone().float())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes, in order."""
        return tuple(attribute.name for attribute in self.attributes)

    def index(self, name: str) -> int:
        """Place of an attribute. Raises UnknownName."""
        if name not in self.names:
            raise UnknownName(f"There is no attribute {name!r}; the attributes are: {', '.join(self.names)}.")
        return self.names.index(name)

    def distances(self, w_plus: Tensor) -> Tensor:
        """Signed distances (N, A) of latents (N, num_ws, w_dim)."""
        return torch.einsum("nld,ald->na", w_plus.to(self.normals), self.normals) + self.offsets

    def values(self, w_plus: Tensor) -> Tensor:
        """Attribute values (N, A) in [0, 1], clipped, of latents (N, num_ws, w_dim)."""
        return values_of(self.distances(w_plus), self.low, self.high)

    def targets(self, current: Tensor, wanted: Mapping[str, float] | Sequence[float]) -> Tensor:
        """Values (A,) of which those named, or all in order, are as wanted, the others as in `current` (A,).

        Raises:
            UnknownName: an attribute of no such name.
            BadValue: a value outside [0, 1], or a list of another length.
        """
        if not isinstance(wanted, Mapping):
            if len(wanted) != len(self.names):
                raise BadValue(f"There are {len(self.names)} attributes ({', '.join(self.names)}), not {len(wanted)}.")
            wanted = dict(zip(self.names, wanted, strict=True))
        values = current.clone()
        for name, value in wanted.items():
            place = self.index(name)
            if not 0 <= value <= 1:  # also refuses NaN
                raise BadValue(f"The value of {name} must be from 0 to 1, not {value}; 0.5 is neutral.")
            values[place] = value
        return values

    def moved(self, w_plus: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """Latents (N, num_ws, w_dim) moved by as much as `wanted` values (N, A) lie from `current` ones (N, A): every
        attribute's distance changes by that difference times `gain`.

        All layers are moved alike, along each attribute's direction. The picture changes less than the distance;
        `gain`, which `evaluate` measures, compensates for it, so that the two methods are compared at edits of the same
        size.
        """
        by = (wanted - current).to(self.moves) * (self.high - self.low) * self.gain
        own = (self.normals.sum(1) * self.moves).sum(1)  # (A,): what a step does to the attribute's own distance
        return w_plus + ((by / own) @ self.moves)[:, None]

    def save(self, path: Path, facts: Mapping[str, object] | None = None) -> None:
        """Write the space to a file, with `facts` (measurements of its making) in the config."""
        config = {"attributes": [asdict(attribute) for attribute in self.attributes], "_report": dict(facts or {})}
        store.save(path, dict(self.named_buffers()), config=config, half=False)


def apart(normals: Tensor) -> Tensor:
    """Directions (A, w_dim) that change the distance to one plane each and to no other (InterFaceGAN's conditional
    manipulation), for planes with these normals (A, w_dim)."""
    return torch.linalg.pinv(normals.double()).T.to(normals)


def load_space(path: Path) -> AttributeSpace:
    """From a file written by `save`. Raises WeightsMissing or BadCheckpoint."""
    tensors, config = store.read(path)
    try:
        attributes = [Attribute(**entry) for entry in config["attributes"]]
        space = AttributeSpace(attributes, **tensors)
    except (KeyError, TypeError) as error:
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.") from error
    if len(space.normals) != len(attributes):
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.")
    return space
