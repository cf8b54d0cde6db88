"""Fits the latent directions of HFGI's sliders.

    python -m gan_core.training.hfgi.directions --generator G --encoder E --collection FOLDER CSV ...

Portraits are inverted, and their codes are regressed on several labels at once, so that a direction does not change
attributes that are correlated with its own (an open mouth with a smile, black-and-white film with age), nor lead from
one collection's people to another's (politicians are older, and in suits). The direction is the regression's pattern,
the mean change of the codes along a label; unlike the normal of a classifier's hyperplane (InterFaceGAN, Shen et al.
2020) it stays in the distribution of the codes (Haufe et al. 2014). Mirrored portraits, with the opposite yaw, are used
as well. A direction is restricted to the layers that its attribute depends on and scaled so that strength 1 changes the
measured attribute by about one standard deviation. For attributes that landmarks measure well (smile, mouth, eyes),
directions are computed from the generator's gradients instead, see `sensitivities.py`. Principal directions of w
(GANSpace, Harkonen et al. 2020) can be added.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.errors import BadValue
from gan_core.faces.head import HeadNet, load_head
from gan_core.stylegan2 import Generator
from gan_core.training.data import SUFFIXES, load_pictures
from gan_core.training.grids import save_grid
from gan_core.training.hfgi.fitting import (
    COLLECTION,
    AttributeMetrics,
    Columns,
    GeneratorWithEncoder,
    calibrate,
    fit_direction,
    layer_window,
    measure_pictures,
    principal,
)
from gan_core.training.hfgi.measures import FinderMeasures, head_measures, mesh_measures, pixel_measures, to_columns
from gan_core.training.hfgi.sensitivities import sensitivities, solve_direction
from gan_core.training.hfgi.targets import PRINCIPAL_STEP, TARGETS
from gan_core.training.people import is_held_out
from gan_core.training.table import genders, numbers, read_table

log = logging.getLogger(__name__)
MEASURED = ("age", "grey", "yaw_deg", "mouth_open", "corner_lift", "eye_open", "glasses")  # columns of the tables


@dataclass
class Labelled:
    """Labelled pictures of one collection.

    files: N pictures. held_out: (N,) bool, whether the person is held out of training. columns: labels (N,), NaN where
    unknown.
    """

    files: list[Path]
    held_out: np.ndarray
    columns: Columns


def read_labels(folder: Path, table: Path, limit: int | None = None) -> Labelled:
    """The rows of `table` whose picture is in `folder`, which is named like its collection (or face/ in one that is);
    and what landmarks.npz beside the table adds.

    Raises BadValue if there are none.
    """
    pictures = {p.stem: p for p in folder.iterdir() if p.suffix in SUFFIXES}
    found = dict(list(read_table(table, pictures).items())[:limit])
    rows = list(found.values())
    columns = {name: numbers(rows, name) for name in MEASURED}
    columns["gender"] = genders(rows)
    files = [pictures[name] for name in found]
    mesh = table.with_name("landmarks.npz")
    if mesh.is_file():
        columns |= mesh_column(mesh, files)
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    collection = folder.parent.name if folder.name == "face" else folder.name
    return Labelled(files, np.array([is_held_out(collection, name) for name in found]), columns)


def join(collections: list[Labelled]) -> Labelled:
    """All collections as one. A column for each but the first tells which pictures are its own, so that a direction
    can leave that constant."""
    names = sorted({name for part in collections for name in part.columns})
    sizes = [len(part.files) for part in collections]

    def column(part: Labelled, name: str) -> np.ndarray:
        return part.columns.get(name, np.full(len(part.files), np.nan))

    columns = {name: np.concatenate([column(part, name) for part in collections]) for name in names}
    owner = np.repeat(np.arange(len(collections)), sizes)
    columns |= {f"{COLLECTION}{i}": (owner == i).astype(np.float64) for i in range(1, len(collections))}
    held_out = np.concatenate([part.held_out for part in collections])
    return Labelled([file for part in collections for file in part.files], held_out, columns)


def mesh_column(path: Path, files: list[Path]) -> Columns:
    """Columns that are computed from the landmarks ("nod"), in the files' order."""
    with np.load(path) as stored:
        at = {str(name): i for i, name in enumerate(stored["id"])}
        mesh = stored["xy"].astype(np.float64)[[at[file.stem] for file in files]]
    points = torch.from_numpy(mesh)
    return {"nod": to_columns(mesh_measures({i: points[:, i] for i in range(mesh.shape[1])}))["nod"]}


def draw_contact_sheet(
    networks: GeneratorWithEncoder, codes: Tensor, directions: dict[str, Tensor], path: Path
) -> None:
    """A row for each direction: each code of `codes` (N, num_ws, w_dim) at strengths -3, -1.5, 0, 1.5 and 3."""
    rows = []
    for direction in directions.values():
        for code in codes:
            rows.append(networks.draw(torch.stack([code + s * direction for s in (-3, -1.5, 0, 1.5, 3)])))
    save_grid(resize(torch.cat(rows), 128), path, 5 * len(codes))


def find_directions(
    networks: GeneratorWithEncoder,
    codes: Tensor,
    mirrored: Tensor,
    columns: Columns,
    held_out: np.ndarray,
    finder: FinderMeasures | None,
    head: HeadNet | None,
    report: Callable[[str, dict], None],
) -> tuple[dict[str, Tensor], list[dict]]:
    """All targets' directions and their descriptions; see the module's docstring.

    codes, mirrored: (N, num_ws, w_dim) of the pictures and of their mirror images; held_out: (N,) bool.
    """
    both = np.concatenate([codes[~held_out].numpy(), mirrored[~held_out].numpy()])
    train = {
        name: np.concatenate([v[~held_out], -v[~held_out] if name == "yaw_deg" else v[~held_out]])
        for name, v in columns.items()
    }
    metrics = AttributeMetrics(networks, both, train, finder, head)
    seen = metrics.from_codes(codes[held_out].numpy())
    for name, values in columns.items():
        known = np.isfinite(values[held_out])
        if known.sum() > 2 and values[held_out][known].std() > 0 and seen[name].std() > 0:
            correlation = np.corrcoef(seen[name][known], values[held_out][known])[0, 1]
            report(name, {"held_out_correlation": correlation})
    some = np.random.RandomState(0).permutation(np.flatnonzero(~held_out))[:16]
    gradients = {}
    if finder is not None:
        those = codes[some].to(networks.device)
        gradients = sensitivities(networks.generator, those, lambda images: measure_pictures(finder, images))
    directions, described = {}, []
    for target in TARGETS:
        if target.column not in columns:
            continue
        window = layer_window(codes.shape[1], target.layers)
        pattern, unit = fit_direction(both, train, target)
        if target.causal and target.column in gradients:
            pattern = unit * solve_direction(gradients, target.column, target.causal, both, window)
        direction = torch.from_numpy(pattern * window).float()
        gain, _ = calibrate(networks, metrics, codes[some], direction, target, unit)
        direction *= gain * target.step
        direction *= min(1.0, target.length / direction.norm().item())
        after, right = calibrate(networks, metrics, codes[held_out][:16], direction, target, unit)
        report(target.name, {"gain": gain, "per_unit": 1 / after, "moved_right": right, "unit": unit})
        directions[target.name] = direction
        described.append(_description(target.name, target.label, "hyperplane", target.note, target.region, target.low))
    return directions, described


def _description(name: str, label: str, kind: str, note: str, region: str = "head", low: float = -3.0) -> dict:
    return {"name": name, "label": label, "low": low, "high": 3.0, "kind": kind, "note": note, "region": region}


def parse_principal(text: str) -> tuple[int, str, str]:
    """ "3=hair_length:Hair length" to (3, "hair_length", "Hair length"). Raises BadValue for another
    form."""
    index, _, rest = text.partition("=")
    name, _, label = rest.partition(":")
    if not (index.isdigit() and name.isidentifier() and label):
        raise BadValue(f"--principal takes INDEX=name:Label, not {text!r}.")
    return int(index), name, label


def fit_to_labels(
    args: argparse.Namespace, networks: GeneratorWithEncoder
) -> tuple[dict[str, Tensor], list[dict], dict[str, dict[str, float]]]:
    """Directions, their descriptions, and measurements of the fits; `args` are the command line's."""
    finder = FinderMeasures(args.finder, args.device) if args.finder else None
    head = load_head(args.head) if args.head else None
    labelled = join([read_labels(Path(folder), Path(table), args.limit) for folder, table in args.collection])
    columns = labelled.columns
    pictures = load_pictures(labelled.files, WORKING_SIZE)
    parts = [to_columns(pixel_measures(part.float() / 127.5 - 1)) for part in pictures.split(64)]
    columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if head is not None:
        columns |= to_columns(head_measures(head, pictures.float() / 127.5 - 1))

    facts: dict[str, dict] = {}

    def report(name: str, numbers: dict) -> None:
        facts.setdefault(name, {}).update({key: round(float(value), 4) for key, value in numbers.items()})
        log.info("%s %s", name, json.dumps(facts[name]))

    codes, mirrored = networks.encode(pictures, "pictures"), networks.encode(pictures.flip(3), "mirrored")
    shared = columns, labelled.held_out, finder, head, report
    directions, described = find_directions(networks, codes, mirrored, *shared)
    return directions, described, facts


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True, help="weights file of the face generator")
    parser.add_argument("--encoder", type=Path, required=True, help="weights file of the basic encoder")
    parser.add_argument("--collection", nargs=2, action="append", default=[], metavar=("FOLDER", "CSV"),
                        help="aligned faces, in a folder named like their collection, and their labels; landmarks.npz "
                        "beside the labels is used")  # fmt: skip
    parser.add_argument("--finder", type=Path, help="the face finder's weights, to measure pictures by landmarks")
    parser.add_argument("--head", type=Path, help="the head finder's weights, to measure hair by its outline")
    parser.add_argument("--out", type=Path, required=True, help="directions file to write")
    help_principal = "INDEX=name:Label, a principal direction of w to add under a name; look at the sheet first"
    parser.add_argument("--principal", action="append", default=[], metavar="TEXT", help=help_principal)
    parser.add_argument("--keep", action="store_true", help="keep what --out holds; only add principal directions")
    parser.add_argument("--contact-sheet", type=Path, help="picture of all directions and the first 8 principal ones")
    parser.add_argument("--limit", type=int, help="use only this many pictures (trials)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    wanted = [parse_principal(text) for text in args.principal]

    generator, _ = build_from_file(Generator, args.generator, "generator")
    encoder, extra = build_from_file(Encoder4Editing, args.encoder, "encoder")
    networks = GeneratorWithEncoder(generator, encoder, extra["latent_avg"], args.device)
    if args.keep:
        directions, config = store.read(args.out)
        described, facts = config["attributes"], config["_report"]
    else:
        directions, described, facts = fit_to_labels(args, networks)
    vectors, shares = principal(generator, max([8, *(index + 1 for index, _, _ in wanted)]))
    described = [entry for entry in described if entry["name"] not in {name for _, name, _ in wanted}]
    for index, name, label in wanted:
        vector = torch.from_numpy(vectors[index] * PRINCIPAL_STEP).float()
        directions[name] = vector.expand(generator.num_ws, -1).contiguous()
        note = f"principal direction {index} of w, {shares[index]:.1%} of its variance"
        described.append(_description(name, label, "principal", note))
    store.save(args.out, directions, config={"attributes": described, "_report": facts})
    if args.contact_sheet is not None:
        z = torch.randn(3, generator.config["z_dim"], generator=torch.Generator().manual_seed(5))
        with torch.inference_mode():
            w = generator.mapping.truncate(generator.mapping(z.to(networks.device)), 0.7).cpu()
        shown = directions | {
            f"principal {i}": torch.from_numpy(v).float().expand(generator.num_ws, -1)
            for i, v in enumerate(vectors[:8])
        }
        draw_contact_sheet(networks, generator.broadcast(w), shown, args.contact_sheet)


if __name__ == "__main__":
    main()
