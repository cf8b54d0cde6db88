"""Refines a trained generator's constants.

    python -m gan_core.training.self_conditioned.refine IN OUT --identity-network FILE ...

This step is not in the paper. Adversarial training finds constants that make a face look like the data's old or smiling
people, even if that changes the identity. Here only the constants are trained: a value should change its own attribute
by its share of the range, no other attribute, and the identity as little as possible. Attributes and identity are
predicted by another network than in the evaluation. The constants are few (two of 4x4 pixels for each attribute), so
this takes minutes, also on a CPU.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue, StudioError
from gan_core.self_conditioned.labels import weights_for_values
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor, load_predictor
from gan_core.self_conditioned.space import AttributeSpace, load_space
from gan_core.stylegan2 import Generator
from gan_core.training import distributed
from gan_core.training.self_conditioned.base import add_base, base_generator
from gan_core.training.self_conditioned.losses import identity_change, thumbnails

log = logging.getLogger(__name__)


@dataclass
class RefineSettings:
    """Weights of the losses, and how long to train."""

    reach: tuple[float, ...]  # change of each attribute's measure from value 0 to 1, in its own unit
    steps: int = 300
    batch: int = 4  # faces a step; two pictures of each
    lr: float = 0.003
    psi: float = 0.8  # truncation of the faces
    attribute_weight: float = 1.0  # of the edited attribute's error, in standard deviations among portraits
    others_weight: float = 0.5  # of the other attributes' changes, likewise
    identity_weight: float = 2.0  # of 1 - cosine of the identities
    anchor_weight: float = 3.0  # of the difference from the pretrained picture at the face's own values
    seed: int = 0


def refine(
    generator: SelfConditionedGenerator,
    plain: Generator,
    space: AttributeSpace,
    identity_network: FacePredictor,
    settings: RefineSettings,
) -> list[dict[str, float]]:
    """Change `generator.constants` in place; the means of each twentieth of the steps.

    All networks are on one device; only the constants are trained. Raises BadValue for a reach of another length.
    """
    s, device = settings, generator.constants.device
    if len(s.reach) != len(space.names):
        raise BadValue(f"Give {len(space.names)} ranges, one an attribute: {', '.join(space.names)}.")
    for network in (generator, plain, identity_network, space):
        network.eval().requires_grad_(False)
    generator.constants.requires_grad_(True)
    columns = [identity_network.measures.index(attribute.measure) for attribute in space.attributes]
    reach = torch.tensor(s.reach, device=device) / identity_network.spread[columns]
    random = torch.Generator().manual_seed(s.seed)
    torch.manual_seed(s.seed)  # for the random views
    adam = torch.optim.Adam([generator.constants], lr=s.lr, betas=(0.5, 0.99))
    every, rows, found = max(s.steps // 20, 1), [], []
    for step in tqdm(range(s.steps), desc="refining"):
        adam.param_groups[0]["lr"] = s.lr * min((step + 1) / 10, 2 * (1 - step / s.steps), 1.0)
        z = torch.randn(s.batch, plain.mapping.z_dim, generator=random).to(device)
        w_plus = plain.broadcast(plain.mapping.truncate(plain.mapping(z), s.psi))
        own = space.values(w_plus)
        edited = F.one_hot(torch.randint(len(reach), (s.batch,), generator=random), len(reach)).to(own)
        asked = torch.lerp(own, torch.rand(s.batch, 1, generator=random).to(own), edited)
        with torch.no_grad():
            anchors = thumbnails(plain.synthesis(w_plus, noise="const"))
        # Neighbouring rows are the same face, unedited and edited.
        weights = weights_for_values(torch.stack([own, asked], 1).flatten(0, 1))
        images = generator.draw(w_plus.repeat_interleave(2, 0), weights)
        measured = identity_network.read(identity_network.prepare(images))[1][:, columns]
        error = measured[1::2] - measured[0::2] - (asked - own) * reach
        miss = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2, reduction="none")
        parts = {
            "attribute": (miss * edited).sum(1).mean(),
            "others": (miss * (1 - edited)).sum(1).mean() / max(len(reach) - 1, 1),
            "identity": identity_change(identity_network, images),
            "anchor": (thumbnails(images[0::2]) - anchors).abs().mean(),
        }
        loss = sum(getattr(s, f"{name}_weight") * part for name, part in parts.items())
        adam.zero_grad()
        loss.backward()
        adam.step()
        rows.append([float(part.detach()) for part in parts.values()])
        if len(rows) == every:
            found.append(dict(zip(parts, torch.tensor(rows).mean(0).tolist(), strict=True)))
            log.info("step %d: %s", step + 1, {name: round(value, 4) for name, value in found[-1].items()})
            rows = []
    generator.constants.requires_grad_(False)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="file of a trained generator")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument(
        "--identity-network", type=Path, required=True, help="file of a predictor, not the one that evaluates"
    )
    parser.add_argument("--directions", type=Path, required=True, help="file of the attributes' directions")
    add_base(parser)
    parser.add_argument(
        "--reach", required=True, type=_numbers, help="change of each attribute's measure over its range: 22,16,0.05"
    )
    parser.add_argument("--device", default="auto")
    for name in ("steps", "batch", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(RefineSettings, name))
    for name in ("lr", "psi", "attribute_weight", "others_weight", "identity_weight", "anchor_weight"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(RefineSettings, name))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    device = distributed.init(args.device).device
    names = RefineSettings.__dataclass_fields__
    settings = RefineSettings(**{name: getattr(args, name) for name in names})
    generator, _ = build_from_file(SelfConditionedGenerator, args.source, "generator")
    plain = base_generator(args)
    space, identity_network = load_space(args.directions), load_predictor(args.identity_network)
    refine(generator.to(device), plain.to(device), space.to(device), identity_network.to(device), settings)
    config = store.read(args.source)[1]
    refined = {name: getattr(args, name) for name in names}
    store.save(args.out, generator.state_dict(), config={**config, "refined": refined})


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
