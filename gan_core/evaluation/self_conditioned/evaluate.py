"""The paper's evaluation: `python -m gan_core.evaluation.self_conditioned.evaluate --people PEOPLE --out FOLDER`.

Random faces are edited by random amounts, by this method and by two kinds of plain directions in the plain generator:
hyperplanes (InterFaceGAN, Shen et al. 2020) and principal components (GANSpace, Harkonen et al. 2020). The predictor
measures the change of the attribute and the similarity of the identity (Liu et al. 2022, section 5). To make the
amounts comparable, plain edits are first calibrated to change the measured attribute equally on average. Then the
distance of generated pictures from real ones is measured, on all data and on each attribute's tails, for both
generators.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import WeightsMissing
from gan_core.evaluation.metrics.features import NAME, EmbeddedFeatures
from gan_core.evaluation.metrics.ids import frechet_distance
from gan_core.evaluation.self_conditioned.curves import Curve, compare, draw_curves, summarise
from gan_core.self_conditioned.labels import weights_for_values
from gan_core.self_conditioned.pipeline import SelfConditionedPipeline, load_embedded
from gan_core.stylegan2 import Discriminator
from gan_core.training.self_conditioned.base import add_base, base_encoder, base_file, base_generator
from gan_core.training.self_conditioned.faces import add_data, faces_of
from gan_core.training.self_conditioned.labelling import Labels, invert_all, label, load_labels

log = logging.getLogger(__name__)

OURS, PLAIN, COMPONENTS = "self-conditioned", "hyperplane", "principal component"
BEYOND = 0.25  # plain edits go this share of the range beyond it, so that they also reach large measured changes
CALIBRATION_FACES, MOST_GAIN = 32, 12.0
TAIL = 0.1
Edit = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents, current and wanted values, to pictures
Identity = Callable[[Tensor], Tensor]  # pictures (N, 3, R, R) in [-1, 1] to identities (N, D) of unit length


def predictor_of(pipe: SelfConditionedPipeline) -> Any:
    """The predictor. Raises WeightsMissing if there is none."""
    if pipe.predictor is None:
        raise WeightsMissing("The predictor's weights are not on this machine, and nothing can be measured without it.")
    return pipe.predictor


@torch.no_grad()
def random_faces(pipe: SelfConditionedPipeline, count: int, psi: float, seed: int) -> tuple[Tensor, Tensor]:
    """Latents (count, num_ws, w_dim) of random faces, and their own values (count, A)."""
    z = torch.randn(count, pipe.plain.config["z_dim"], generator=torch.Generator().manual_seed(seed)).to(pipe.device)
    w_plus = pipe.plain.broadcast(pipe.plain.mapping.truncate(pipe.plain.mapping(z), psi))
    return w_plus, pipe.space.values(w_plus)


class Methods:
    """The three ways to edit, on latents (N, num_ws, w_dim) of the plain generator and values (N, A)."""

    def __init__(self, pipe: SelfConditionedPipeline, components: int = 20) -> None:
        self.pipe, self.space = pipe, pipe.space
        plain = pipe.plain
        z = torch.randn(8192, plain.config["z_dim"], generator=torch.Generator().manual_seed(1))
        w = plain.mapping(z.to(pipe.device))
        values, vectors = torch.linalg.eigh(torch.cov(w.T).double().cpu())
        principal = (vectors[:, -components:] * values[-components:].sqrt()).T.float().to(pipe.device)
        along = self.space.normals.sum(1) @ principal.T  # (A, components): what one deviation does to each distance
        best = along.abs().argmax(1)
        self.components = [components - 1 - int(i) for i in best]  # 0 is the largest
        self.steps = principal[best] / along.gather(1, best[:, None])  # (A, w_dim), for a distance of 1
        self.gain = torch.ones(len(best), device=pipe.device)  # of the principal components'

    def ours(self, w_plus: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """This method."""
        return self.pipe.generator.draw(w_plus, weights_for_values(wanted.clamp(0, 1)).to(w_plus))

    def plain(self, w_plus: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """Along the hyperplanes' normals, other attributes held."""
        return self.pipe.plain.synthesis(self.space.moved(w_plus, current, wanted))

    def principal(self, w_plus: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """Along the principal component that changes the attribute most."""
        by = (wanted - current) * (self.space.high - self.space.low) * self.gain
        return self.pipe.plain.synthesis(w_plus + (by @ self.steps)[:, None])

    @torch.no_grad()
    def calibrate(self, psi: float, faces: int = CALIBRATION_FACES) -> dict[str, list[float]]:
        """Set the gains of the plain edits so that from 0 to 1 they change the measured attribute as much as this
        method on the average of some faces; returns both methods' gains."""
        pipe, space = self.pipe, self.space
        w_plus, current = random_faces(pipe, faces, psi, seed=99)

        def change(edit: Edit, attribute: int) -> float:
            column = predictor_of(pipe).measures.index(pipe.attributes[attribute].measure)
            ends = []
            for value in (0.0, 1.0):
                wanted = current.clone()
                wanted[:, attribute] = value
                parts = zip(w_plus.split(16), current.split(16), wanted.split(16), strict=True)
                ends.append(torch.cat([predictor_of(pipe).predict(edit(*part))[1][:, column] for part in parts]))
            return float((ends[1] - ends[0]).mean())

        for i in range(len(space.names)):
            aim = change(self.ours, i)
            for edit, gain in ((self.plain, space.gain), (self.principal, self.gain)):
                gain[i] = 1.0
                for _ in range(4):
                    ratio = aim / max(change(edit, i), 0.05 * abs(aim) + 1e-6)
                    gain[i] = (gain[i] * min(max(ratio, 0.4), 2.5)).clamp(0.2, MOST_GAIN)
        return {PLAIN: space.gain.tolist(), COMPONENTS: self.gain.tolist()}

    def items(self) -> list[tuple[str, Edit, float]]:
        """Name, edit, and how far beyond [0, 1] it may be asked to go."""
        return [(OURS, self.ours, 0.0), (PLAIN, self.plain, BEYOND), (COMPONENTS, self.principal, BEYOND)]


@torch.no_grad()
def measure_edits(
    pipe: SelfConditionedPipeline, methods: Methods, attribute: int, faces: int, sizes: int, psi: float, seed: int = 0
) -> dict[str, Curve]:
    """Measured change and identity similarity of `sizes` random edits of each of `faces` random faces."""
    random = torch.Generator().manual_seed(seed + attribute)
    column = predictor_of(pipe).measures.index(pipe.attributes[attribute].measure)
    w_plus, current = random_faces(pipe, faces, psi, seed)
    sizes_of = torch.rand(faces, sizes, generator=random)
    found: dict[str, list] = {name: [] for name, _, _ in methods.items()}
    for i in tqdm(range(faces), desc=f"edits of {pipe.attributes[attribute].name}"):
        for name, edit, beyond in methods.items():
            wanted = current[i].repeat(sizes + 1, 1)  # the first is the unedited face
            wanted[1:, attribute] = (sizes_of[i] * (1 + 2 * beyond) - beyond).to(wanted)
            latents = w_plus[i : i + 1].expand(sizes + 1, -1, -1)
            pictures = edit(latents, current[i].expand_as(wanted), wanted).clamp(-1, 1)
            identities, values = predictor_of(pipe).predict(pictures)
            change = (values[1:, column] - values[0, column]).numpy()
            asked = (wanted[1:, attribute] - current[i, attribute]).cpu().numpy()
            found[name].append((change, (identities[1:] @ identities[0]).numpy(), asked))
    return {name: Curve(*(np.stack([row[k] for row in rows]) for k in range(3))) for name, rows in found.items()}


def nearest_latents(values: Tensor, current: Tensor) -> Tensor:
    """Assign a different latent to each of the wanted values (N, A), by index (N,), such that the sum of squared
    differences to the latents' own values `current` (N, A) is minimal."""
    return torch.from_numpy(linear_sum_assignment(torch.cdist(values, current).square().numpy())[1])


@torch.no_grad()
def tail_distances(
    pipe: SelfConditionedPipeline,
    methods: Methods,
    features: Callable[[Tensor], Tensor],
    pictures: Tensor,
    labels: Labels,
    *,
    matched: bool = True,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Frechet distance of generated from real pictures (uint8 (N, 3, R, R)): all of them with their mirror images, and
    the top and bottom tenth of each attribute; as many generated as real ones, without truncation.

    This method draws the real pictures' values, each with a latent of similar values (`nearest_latents`) or, if not
    `matched`, with any latent. The plain generator draws random pictures, or ("moved") the same latents moved to the
    same values by its directions.
    """
    real = torch.cat([features(part.float() / 127.5 - 1) for part in (pictures, pictures.flip(3))]).numpy()
    values = labels.values.to(pipe.device)
    z = torch.randn(len(values), pipe.plain.config["z_dim"], generator=torch.Generator().manual_seed(seed + 7))
    w = torch.cat([pipe.plain.mapping(part.to(pipe.device)) for part in z.split(256)])
    if matched:
        current = torch.cat([pipe.space.values(pipe.plain.broadcast(part)) for part in w.split(256)])
        w = w[nearest_latents(labels.values, current.cpu()).to(w.device)]
    rows: dict[str, list[Tensor]] = {OURS: [], "plain": [], "moved": []}
    size = 32 if values.is_cuda else 4  # a CPU's cache is small
    for part, wanted in tqdm(list(zip(w.split(size), values.split(size), strict=True)), desc="samples"):
        w_plus = pipe.plain.broadcast(part)
        current = pipe.space.values(w_plus)
        rows[OURS].append(features(methods.ours(w_plus, current, wanted).clamp(-1, 1)))
        rows["plain"].append(features(pipe.plain.synthesis(w_plus).clamp(-1, 1)))
        rows["moved"].append(features(methods.plain(w_plus, current, wanted).clamp(-1, 1)))
    generated = {name: torch.cat(parts).numpy() for name, parts in rows.items()}
    facts = {"all": {name: frechet_distance(real, rows) for name, rows in generated.items()}}
    table = labels.values.numpy()
    anyone = np.random.RandomState(seed).permutation(len(table))
    for i, name in enumerate(pipe.space.names):
        order = table[:, i].argsort(kind="stable")
        count = max(int(TAIL * len(order)), 2)
        for end, chosen in (("low", order[:count]), ("high", order[-count:])):
            fakes = {kind: rows[chosen] for kind, rows in generated.items() if kind != "plain"}
            fakes["plain"] = generated["plain"][anyone[:count]]  # whatever it draws
            facts[f"{name} {end}"] = {kind: frechet_distance(real[chosen], rows) for kind, rows in fakes.items()}
    return facts


@torch.no_grad()
def measure_across(
    pipe: SelfConditionedPipeline,
    methods: Methods,
    attribute: int,
    faces: int,
    sizes: int,
    psi: float,
    seed: int = 0,
    *,
    identity: Identity | None = None,
) -> dict[str, Curve]:
    """As `measure_edits`, of edits across the range: from each of `sizes` random values in its lower third to each of
    as many in its upper third, of one face. These edits are about twice as large as edits from a face's own value, for
    both methods. identity: what tells faces apart; the predictor if not given."""
    random = torch.Generator().manual_seed(seed + attribute)
    column = predictor_of(pipe).measures.index(pipe.attributes[attribute].measure)
    w_plus, current = random_faces(pipe, faces, psi, seed)
    ends = torch.rand(faces, 2, sizes, generator=random) / 3 + torch.tensor([0.0, 2 / 3])[:, None]
    found: dict[str, list] = {OURS: [], PLAIN: []}
    for i in tqdm(range(faces), desc=f"edits across {pipe.attributes[attribute].name}"):
        for name, edit, beyond in methods.items()[:2]:
            wanted = current[i].repeat(2 * sizes, 1)
            wanted[:, attribute] = (ends[i].flatten() * (1 + 2 * beyond) - beyond).to(wanted)
            pictures = edit(w_plus[i : i + 1].expand(len(wanted), -1, -1), current[i].expand_as(wanted), wanted)
            identities, values = predictor_of(pipe).predict(pictures.clamp(-1, 1))
            if identity is not None:
                identities = identity(pictures.clamp(-1, 1).cpu())
            asked, measured = wanted[:, attribute].cpu(), values[:, column]
            change, steps = (v[None, sizes:] - v[:sizes, None] for v in (measured, asked))
            similarity = identities[:sizes] @ identities[sizes:].T
            found[name].append([x.flatten().numpy() for x in (change, similarity, steps)])
    return {name: Curve(*(np.stack([row[k] for row in rows]) for k in range(3))) for name, rows in found.items()}


@torch.no_grad()
def measure_two_at_once(
    pipe: SelfConditionedPipeline, methods: Methods, faces: int, psi: float, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Each two attributes set to their ends at once, all four ways: by pair ("age and pose") and method the mean
    `similarity` to the unedited face, and how far each of the two was measured to go from its low to its high end."""
    names, corners = pipe.space.names, torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    columns = [predictor_of(pipe).measures.index(attribute.measure) for attribute in pipe.attributes]
    pairs = list(combinations(range(len(names)), 2))
    w_plus, current = random_faces(pipe, faces, psi, seed)
    rows: dict[str, dict[str, list[list[float]]]] = {}
    for face in tqdm(range(faces), desc="two attributes at once"):
        for method, edit, _ in methods.items()[:2]:
            wanted = current[face].repeat(1 + 4 * len(pairs), 1)  # the first is the unedited face
            for k, pair in enumerate(pairs):
                wanted[1 + 4 * k : 5 + 4 * k, list(pair)] = corners.to(wanted)
            latents = w_plus[face : face + 1].expand(len(wanted), -1, -1)
            pictures = edit(latents, current[face].expand_as(wanted), wanted).clamp(-1, 1)
            identities, values = predictor_of(pipe).predict(pictures)
            alike, measured = (identities[1:] @ identities[0]).split(4), values[1:, columns].split(4)
            for pair, one, change in zip(pairs, alike, measured, strict=True):
                apart = ((corners * 2 - 1) * change[:, list(pair)]).mean(0) * 2
                key = " and ".join(names[i] for i in pair)
                rows.setdefault(key, {}).setdefault(method, []).append([float(one.mean()), *apart.tolist()])
    return {
        key: {
            method: dict(zip(("similarity", *key.split(" and ")), np.mean(found, 0).round(4).tolist(), strict=True))
            for method, found in by_method.items()
        }
        for key, by_method in rows.items()
    }


@torch.no_grad()
def reference_values(pipe: SelfConditionedPipeline, pictures: Tensor) -> np.ndarray:
    """Measures (N, A) of the portraits by the same predictor, in the attributes' order."""
    columns = [predictor_of(pipe).measures.index(a.measure) for a in pipe.attributes]
    parts = [predictor_of(pipe).predict(part.float() / 127.5 - 1)[1] for part in pictures.split(64)]
    return torch.cat(parts)[:, columns].numpy()


def evaluate_edits(
    pipe: SelfConditionedPipeline,
    methods: Methods,
    reference: np.ndarray,
    faces: int,
    sizes: int,
    psi: float,
    out: Path,
) -> dict[str, dict]:
    """All attributes' curves, in numbers; draws them into `out`/curves.svg, those across the range into across.svg."""
    facts: dict[str, dict] = {}
    panels: dict[str, dict[str, Any]] = {"curves": {}, "across": {}}
    for i, attribute in enumerate(pipe.attributes):
        curves = measure_edits(pipe, methods, i, faces, sizes, psi)
        away = np.abs(reference[:, i] - np.median(reference[:, i]))
        summary = {name: summarise(curve, away) for name, curve in curves.items()}
        far = float(np.quantile(away, 0.9))
        facts[attribute.name] = {
            "far_is_beyond": far,
            "principal_component": methods.components[i],
            "curves": summary,
            "against_hyperplane": compare(curves[OURS], curves[PLAIN], away),
            "against_principal_component": compare(curves[OURS], curves[COMPONENTS], away),
        }
        across = measure_across(pipe, methods, i, faces, max(sizes // 3, 1), psi)
        summary_across = {name: summarise(curve, away) for name, curve in across.items()}
        for name, shown in (("curves", summary), ("across", summary_across)):
            panels[name][attribute.label] = {"unit": attribute.measure, "far": far, "curves": shown}
        facts[attribute.name]["across"] = summary_across
        facts[attribute.name]["across_against_hyperplane"] = compare(across[OURS], across[PLAIN], away)
        log.info("%s: %s", attribute.name, json.dumps(facts[attribute.name]["against_hyperplane"]))
    out.mkdir(parents=True, exist_ok=True)
    for name, panel in panels.items():
        draw_curves(panel, out / f"{name}.svg")
    return facts


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_data(parser)
    add_base(parser)
    parser.add_argument(
        "--own", type=Path, help="folder of generator, directions, predictors; in --weights if not given"
    )
    parser.add_argument("--values", type=Path, help="labels file of step b; made again where there is none")
    parser.add_argument("--out", type=Path, required=True, help="folder for numbers and curves")
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--sizes", type=int, default=12, help="edits of each face and attribute")
    parser.add_argument("--psi", type=float, default=0.7, help="truncation of the faces that are edited")
    parser.add_argument("--limit", type=int, help="use only so many portraits (trials)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    encode = base_encoder(args, args.device)
    pipe = load_embedded(args.weights, own=args.own, plain=base_generator(args), encode=encode, device=args.device)
    methods = Methods(pipe)
    faces = faces_of(args, args.limit)
    pictures = faces.pictures(pipe.resolution)
    if args.values is not None:
        labels = load_labels(args.values).of(faces.names)
    else:
        codes = invert_all(encode, pictures)
        values = label(copy.deepcopy(pipe.space).cpu(), codes)[1]
        labels = Labels(faces.names, pipe.space.names, values, codes)
    discriminator, _ = build_from_file(Discriminator, base_file(args, "discriminator"), "discriminator")
    facts: dict[str, object] = {"distance": NAME, "faces": args.faces, "sizes": args.sizes, "psi": args.psi}
    facts["gains"] = methods.calibrate(args.psi)
    log.info("gains: %s", json.dumps(facts["gains"]))
    reference = reference_values(pipe, pictures)
    facts["edits"] = evaluate_edits(pipe, methods, reference, args.faces, args.sizes, args.psi, args.out)
    facts["two_at_once"] = measure_two_at_once(pipe, methods, max(args.faces // 2, 1), args.psi)
    log.info("two at once: %s", json.dumps(facts["two_at_once"]))
    features = EmbeddedFeatures(discriminator.to(args.device))
    for name, matched in (("distances", True), ("distances_of_any_latents", False)):
        facts[name] = tail_distances(pipe, methods, features, pictures, labels, matched=matched)
        log.info("%s: %s", name, json.dumps(facts[name]))
    (args.out / "evaluation.json").write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
