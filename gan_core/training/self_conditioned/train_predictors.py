"""Trains the predictor.

    python -m gan_core.training.self_conditioned.train_predictors --people PEOPLE --labels TABLES ...

Identity is learned from views: two of one face must be more similar than views of different faces (SimCLR, Chen et al.
2020). The faces are those of real people, where another picture of the person is the second view if there is one, and
faces of the generator, whose second view has a slightly different code and other colours. Attributes are learned from
the labels at the same time. Of collections of people, those held out are the test set; of a folder of portraits
(--data), people with two portraits, ten years apart. --folds additionally trains without each part of the other people,
for a cross-validation.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.stylegan2 import Generator
from gan_core.training import distributed
from gan_core.training.self_conditioned.faces import Faces, add_data, faces_of, measures_of
from gan_core.training.self_conditioned.views import random_views

log = logging.getLogger(__name__)

TEMPERATURE = 0.1
NEAR = 0.35  # the second view's code is interpolated up to this share towards another's
COMPONENTS = 32  # principal components of w, which a third head predicts to learn features from unlimited pictures


class GeneratedFaces:
    """Pairs of pictures of one generated person."""

    def __init__(self, generator: Generator, device: torch.device, near: float = NEAR) -> None:
        self.near = near
        self.generator = generator.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self.dtype = torch.bfloat16 if device.type == "cuda" else None
        self.device = device
        with torch.no_grad():
            w = generator.mapping(torch.randn(4096, generator.config["z_dim"], device=device))
            self.mean = w.mean(0)
            values, vectors = torch.linalg.eigh(torch.cov(w.T).cpu().double())
        count = min(COMPONENTS, len(values))
        whitening = vectors[:, -count:] / values[-count:].clamp_min(1e-9).sqrt()
        self.whitening = whitening.float().to(device)

    @torch.no_grad()
    def pairs(self, count: int) -> tuple[Tensor, Tensor]:
        """Pictures (2 * count, 3, R, R), the second half of the same people as the first, and the first half's codes
        (count, COMPONENTS) in standard deviations of their principal components."""
        net, n = self.generator, self.generator.num_ws
        w, other = net.mapping(torch.randn(2 * count, net.config["z_dim"], device=self.device)).chunk(2)
        w = torch.lerp(self.mean, w, 0.7 + 0.3 * torch.rand(count, 1, device=self.device))
        near = torch.lerp(w, other, self.near * torch.rand(count, 1, device=self.device))
        first, second = net.broadcast(w), net.broadcast(near).clone()
        fine = (torch.rand(count, 1, 1, device=self.device) < 0.5) & (
            torch.arange(n, device=self.device)[None, :, None] >= n * 4 // 7  # colour and light
        )
        second = torch.where(fine, torch.lerp(second, net.broadcast(other), 0.7), second)
        images = torch.cat([net.synthesis(part, noise="random", dtype=self.dtype) for part in (first, second)])
        return images.clamp(-1, 1), (w - self.mean) @ self.whitening


def contrast(identities: Tensor) -> Tensor:
    """Contrastive loss: cross entropy of finding each view's partner among all others (Chen et al. 2020, equation 1).

    identities: (2 N, D) of unit length; row i and row i + N are of one person.
    """
    n = len(identities) // 2
    scores = identities @ identities.T / TEMPERATURE
    scores = scores.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=scores.device), -torch.inf)
    partner = torch.arange(2 * n, device=scores.device).roll(n)
    return F.cross_entropy(scores, partner)


class PairsOfPeople:
    """Draws two pictures each of different people, on a device; the same picture twice of who has only one."""

    def __init__(self, people: np.ndarray, device: torch.device) -> None:
        _, owner, counts = np.unique(people, return_inverse=True, return_counts=True)
        self.order = torch.from_numpy(np.argsort(owner, kind="stable")).to(device)  # pictures, person after person
        self.counts = torch.from_numpy(counts).to(device)
        self.first = self.counts.cumsum(0) - self.counts

    def draw(self, count: int) -> Tensor:
        """Indices (2, n) of pictures of n people, `count` or all."""
        device = self.order.device
        person = torch.randperm(len(self.counts), device=device)[:count]
        have = self.counts[person]
        one = (torch.rand(len(person), device=device) * have).long()
        further = 1 + (torch.rand(len(person), device=device) * (have - 1)).long()
        return self.order[self.first[person] + torch.stack([one, (one + further) % have])]


def fit(
    faces: Faces,
    generated: GeneratedFaces,
    device: torch.device,
    *,
    minutes: float,
    measures: Sequence[str],
    batch: int,
    lr: float = 2e-3,
    seed: int = 0,
    what: str = "",
) -> FacePredictor:
    """Train a network on these faces for a time; returned in evaluation mode, on the device."""
    torch.manual_seed(seed)
    pictures, pairs = faces.pictures(generated.generator.resolution).to(device), PairsOfPeople(faces.people, device)
    labels = torch.tensor(np.stack([faces.columns[name] for name in measures], 1), dtype=torch.float32)
    # On the CPU the backward pass of narrow convolutions crashes in channels_last (PyTorch 2.14).
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    network = FacePredictor(measures=measures).to(device, memory_format=layout)
    sign = network.sign
    mean, spread = labels.nanmean(0), torch.tensor(np.nanstd(labels.numpy(), 0))
    mean[sign < 0] = 0  # mirrored as often as not
    network.mean.copy_(mean)
    network.spread.copy_(spread)
    to_code = nn.Linear(network.to_identity.in_features, generated.whitening.shape[1]).to(device)
    labels = ((labels - mean) / spread).to(device)
    known = labels.isfinite()
    labels, sign = labels.nan_to_num(), sign.to(device)

    parameters = [*network.parameters(), *to_code.parameters()]
    adam = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.05, betas=(0.9, 0.98))
    begin, step, total = time.monotonic(), 0, 0.0
    bar = tqdm(total=round(minutes * 60), unit="s", desc=what, mininterval=5)
    network.train()
    while (done := (time.monotonic() - begin) / (minutes * 60)) < 1:
        rate = lr * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * done))
        adam.param_groups[0]["lr"] = rate
        index = pairs.draw(batch)
        n = index.shape[1]
        real = pictures[index].float() / 127.5 - 1  # (2, n, 3, R, R)
        fakes, codes = generated.pairs(batch)
        views, mirrored = random_views(torch.cat([real[0], fakes[:batch], real[1], fakes[batch:]]))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            x = network.stem(views.contiguous(memory_format=layout))
            for stage in network.stages:
                x = stage(x)
            flat = network.neck(x).flatten(1)
            identity, measured, guessed = network.to_identity(flat), network.to_measures(flat), to_code(flat)
        # Both halves hold the real people first, then the generated faces.
        mirrored, measured, guessed = (x.view(2, n + batch, -1) for x in (mirrored, measured.float(), guessed.float()))
        wanted = torch.where(mirrored[:, :n], labels[index] * sign, labels[index])
        error = F.smooth_l1_loss(measured[:, :n], wanted, reduction="none", beta=0.5) * known[index]
        straight = ~mirrored[0, n:]  # a mirrored face has another code
        guess = ((guessed[0, n:] - codes).square() * straight).mean()
        loss = contrast(F.normalize(identity.float(), dim=1)) + error.sum(2).mean() + 0.3 * guess
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        step += 1
        total = total * 0.98 + loss.detach() * 0.02
        if step % 20 == 0:
            bar.set_postfix(step=step, loss=f"{float(total):.3f}")
            bar.update(min(round(done * minutes * 60), bar.total) - bar.n)
    bar.close()
    return network.eval()


def roc_auc(same: np.ndarray, different: np.ndarray) -> float:
    """Probability that a score of `same` is above one of `different` (equal ones count half)."""
    others = np.sort(different)
    below = np.searchsorted(others, same, "left") + np.searchsorted(others, same, "right")
    return float(below.mean() / (2 * len(others)))


def identity_facts(identities: Tensor, people: np.ndarray) -> dict[str, float]:
    """How well the cosine similarity separates pictures of one person from those of two people.

    identities: (N, D) of unit length.
    """
    similar = (identities @ identities.T).numpy()
    upper = np.triu(np.ones_like(similar, dtype=bool), 1)
    same = people[:, None] == people[None]
    yes, no = similar[upper & same], similar[upper & ~same]
    limit = np.quantile(no, 0.99)
    return {
        "pairs": len(yes),
        "roc_auc": roc_auc(yes, no),
        "found_at_1_percent_false": float((yes > limit).mean()),
        "same": float(yes.mean()),
        "different": float(no.mean()),
        "different_spread": float(no.std()),
    }


def measure_facts(values: Tensor, columns: dict[str, np.ndarray], measures: Sequence[str]) -> dict[str, float]:
    """Mean absolute error and correlation of predictions (N, A) for each measure, of pictures with a label; for glasses
    and the like how well they part 0 from 1 (ROC AUC)."""
    facts: dict[str, float] = {}
    for i, name in enumerate(measures):
        known = np.isfinite(columns[name])
        truth, guess = columns[name][known], values[:, i].numpy()[known]
        if len(truth) < 3 or truth.std() == 0:
            continue
        facts |= {f"{name}_mae": float(np.abs(truth - guess).mean())}
        facts |= {f"{name}_correlation": float(np.corrcoef(truth, guess)[0, 1])}
        if set(truth.tolist()) == {0.0, 1.0}:
            facts |= {f"{name}_roc_auc": roc_auc(guess[truth == 1], guess[truth == 0])}
    return facts


def cross_validate(
    faces: Faces, generated: GeneratedFaces, device: torch.device, folds: int, **settings: Any
) -> dict[str, float]:
    """`measure_facts` of every picture by a network that was not trained on its person. settings: of `fit`."""
    people = np.unique(faces.people)
    part = dict(zip(people, np.random.RandomState(0).permutation(len(people)) % folds, strict=True))
    of = np.array([part[person] for person in faces.people])
    values = torch.zeros(len(of), len(settings["measures"]))
    for fold in range(folds):
        network = fit(faces.subset(of != fold), generated, device, what=f"fold {fold + 1}", **settings)
        test = faces.subset(of == fold).pictures(generated.generator.resolution)
        values[torch.from_numpy(of == fold)] = network.predict(test.float() / 127.5 - 1)[1]
    return measure_facts(values, faces.columns, settings["measures"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_data(parser)
    parser.add_argument("--generator", type=Path, required=True, help="the face generator's file")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folds", type=int, default=0, help="0: no cross-validation")
    parser.add_argument("--fold-minutes", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=96, help="people a step, real and generated ones each")
    parser.add_argument("--near", type=float, default=NEAR, help="how far away the second code may lie")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many pictures of each collection (trials)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device = distributed.init(args.device).device
    if args.labels is None:
        raise BadValue("The predictor learns from labels: give the table, or the folder of tables, with --labels.")
    faces = faces_of(args, args.limit)
    measures = tuple(name for name in measures_of(args) if name in faces.columns)
    generated = GeneratedFaces(build_from_file(Generator, args.generator, "generator")[0], device, args.near)
    tested = faces.twice if args.people is None else faces.held_out
    learned, test = faces.subset(~tested), faces.subset(tested)
    log.info("%d pictures to learn %s from, %d of %d people to test",
             len(learned), ", ".join(measures), len(test), len(set(test.people)))  # fmt: skip

    settings = {"measures": measures, "batch": args.batch, "seed": args.seed}
    network = fit(learned, generated, device, minutes=args.minutes, what="predictor", **settings)
    facts: dict[str, dict[str, float]] = {}
    if len(test):
        identities, values = network.predict(test.pictures(generated.generator.resolution).float() / 127.5 - 1)
        facts = {"held_out": measure_facts(values, test.columns, measures)}
        if test.twice.any():
            facts["identity"] = identity_facts(identities, test.people)
    _save(args.out, network, facts)
    if args.folds:
        settings["minutes"] = args.fold_minutes
        facts["cross_validation"] = cross_validate(learned, generated, device, args.folds, **settings)
        _save(args.out, network, facts)


def _save(path: Path, network: FacePredictor, facts: dict[str, dict[str, float]]) -> None:
    rounded = {name: {k: round(v, 4) for k, v in group.items()} for name, group in facts.items()}
    store.save(path, network.state_dict(), config={**network.config, "_report": rounded})
    log.info(json.dumps(rounded))


if __name__ == "__main__":
    main()
