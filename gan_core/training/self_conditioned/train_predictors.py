"""Trains the predictor: `python -m gan_core.training.self_conditioned.train_predictors --data FACES --labels CSV ...`.

Identity is learned without labels: two views of one face must be more similar than views of different faces (SimCLR,
Chen et al. 2020). The faces are portraits of people with one portrait only, and faces of the generator, whose second
view has a slightly different code and other colours. Attributes are learned from the portraits' table at the same time.
People with two portraits are the test set, for identity (the same person ten years apart) and for the attributes.
--folds additionally trains without each part of the other people, for a cross-validation.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.self_conditioned.predictors import MEASURES, FacePredictor
from gan_core.stylegan2 import Generator
from gan_core.training import distributed
from gan_core.training.data import load_pictures
from gan_core.training.self_conditioned.portraits import Portraits, read_portraits
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


def fit(
    portraits: Portraits,
    generated: GeneratedFaces,
    device: torch.device,
    *,
    minutes: float,
    batch: int,
    lr: float = 2e-3,
    seed: int = 0,
    what: str = "",
) -> FacePredictor:
    """Train a network on these portraits for a time; returned in evaluation mode, on the device."""
    torch.manual_seed(seed)
    pictures = load_pictures(portraits.paths, generated.generator.resolution).to(device)
    labels = torch.tensor(np.stack([portraits.columns[name] for name in MEASURES], 1), dtype=torch.float32)
    mean, spread = labels.nanmean(0), torch.tensor(np.nanstd(labels.numpy(), 0))
    mean[MEASURES.index("yaw_deg")] = 0  # mirrored as often as not
    # On the CPU the backward pass of narrow convolutions crashes in channels_last (PyTorch 2.14).
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    network = FacePredictor().to(device, memory_format=layout)
    network.mean.copy_(mean)
    network.spread.copy_(spread)
    to_code = nn.Linear(network.to_identity.in_features, generated.whitening.shape[1]).to(device)
    labels = ((labels - mean) / spread).to(device)
    known = labels.isfinite()
    labels = labels.nan_to_num()
    sign = torch.ones(len(MEASURES), device=device)
    sign[MEASURES.index("yaw_deg")] = -1

    parameters = [*network.parameters(), *to_code.parameters()]
    adam = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.05, betas=(0.9, 0.98))
    begin, step, total = time.monotonic(), 0, 0.0
    bar = tqdm(total=round(minutes * 60), unit="s", desc=what, mininterval=5)
    network.train()
    while (done := (time.monotonic() - begin) / (minutes * 60)) < 1:
        rate = lr * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * done))
        adam.param_groups[0]["lr"] = rate
        index = torch.randperm(len(pictures), device=device)[:batch]
        real = pictures[index].float() / 127.5 - 1
        fakes, codes = generated.pairs(batch)
        n = len(index)
        views, mirrored = random_views(torch.cat([real, fakes[:batch], real, fakes[batch:]]))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            x = network.stem(views.contiguous(memory_format=layout))
            for stage in network.stages:
                x = stage(x)
            flat = network.neck(x).flatten(1)
            identity, measured, guessed = network.to_identity(flat), network.to_measures(flat), to_code(flat)
        # Both halves hold the portraits first, then the generated faces.
        mirrored, measured, guessed = (x.view(2, n + batch, -1) for x in (mirrored, measured.float(), guessed.float()))
        wanted = torch.where(mirrored[:, :n], labels[index] * sign, labels[index])
        error = F.smooth_l1_loss(measured[:, :n], wanted, reduction="none", beta=0.5) * known[index]
        straight = ~mirrored[0, n:]  # a mirrored face has another code
        guess = ((guessed[0, n:] - codes).square() * straight).mean()
        loss = contrast(F.normalize(identity.float(), dim=1)) + 3 * error.mean() + 0.3 * guess
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
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(different))])
    return float(roc_auc_score(truth, np.concatenate([same, different])))


def identity_facts(identities: Tensor, people: np.ndarray) -> dict[str, float]:
    """How well the cosine similarity separates portraits of one person from those of two people.

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


def measure_facts(values: Tensor, columns: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean absolute error and correlation of predictions (N, A) for each measure, of pictures with a label."""
    facts: dict[str, float] = {}
    for i, name in enumerate(MEASURES):
        known = np.isfinite(columns[name])
        truth, guess = columns[name][known], values[:, i].numpy()[known]
        facts |= {f"{name}_mae": float(np.abs(truth - guess).mean())}
        facts |= {f"{name}_correlation": float(np.corrcoef(truth, guess)[0, 1])}
    return facts


def cross_validate(
    portraits: Portraits, generated: GeneratedFaces, device: torch.device, folds: int, minutes: float, batch: int
) -> dict[str, float]:
    """`measure_facts` of every portrait by a network that was not trained on its person."""
    people = np.unique(portraits.people)
    part = dict(zip(people, np.random.RandomState(0).permutation(len(people)) % folds, strict=True))
    of = np.array([part[person] for person in portraits.people])
    values = torch.zeros(len(of), len(MEASURES))
    for fold in range(folds):
        network = fit(
            portraits.subset(of != fold), generated, device, minutes=minutes, batch=batch, what=f"fold {fold + 1}"
        )
        test = load_pictures(portraits.subset(of == fold).paths, generated.generator.resolution)
        values[torch.from_numpy(of == fold)] = network.predict(test.float() / 127.5 - 1)[1]
    return measure_facts(values, portraits.columns)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of aligned faces")
    parser.add_argument("--labels", type=Path, required=True, help="the portraits' table")
    parser.add_argument("--generator", type=Path, required=True, help="the face generator's file")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folds", type=int, default=0, help="0: no cross-validation")
    parser.add_argument("--fold-minutes", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=96, help="people a step, portraits and generated ones each")
    parser.add_argument("--near", type=float, default=NEAR, help="how far away the second code may lie")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many portraits (trials)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device = distributed.init(args.device).device
    portraits = read_portraits(args.data, args.labels, MEASURES, args.limit)
    generated = GeneratedFaces(build_from_file(Generator, args.generator, "generator")[0], device, args.near)
    learned, test = portraits.subset(~portraits.twice), portraits.subset(portraits.twice)
    log.info(
        "%d portraits to learn from, %d of %d people to test", *map(len, (learned.paths, test.paths, set(test.people)))
    )

    network = fit(learned, generated, device, minutes=args.minutes, batch=args.batch, seed=args.seed, what="predictor")
    facts: dict[str, dict[str, float]] = {}
    if test.paths:
        pictures = load_pictures(test.paths, generated.generator.resolution).float() / 127.5 - 1
        identities, values = network.predict(pictures)
        facts = {"identity": identity_facts(identities, test.people), "held_out": measure_facts(values, test.columns)}
    _save(args.out, network, facts)
    if args.folds:
        minutes, batch = args.fold_minutes, args.batch
        facts["cross_validation"] = cross_validate(learned, generated, device, args.folds, minutes, batch)
        _save(args.out, network, facts)


def _save(path: Path, network: FacePredictor, facts: dict[str, dict[str, float]]) -> None:
    rounded = {name: {k: round(v, 4) for k, v in group.items()} for name, group in facts.items()}
    store.save(path, network.state_dict(), config={**network.config, "_report": rounded})
    log.info(json.dumps(rounded))


if __name__ == "__main__":
    main()
