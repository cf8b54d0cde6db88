"""Find what the sliders do: `python -m gan_core.hfgi.directions --pipeline WEIGHTS --data FOLDER --labels CSV
...`.

Portraits are inverted, and their codes regressed on the labels (several at once, so that a direction leaves its
correlated companions where they are: a smile opens no mouth by itself, age brings no black-and-white film). The
regression's pattern, the mean change of the codes along a label, is the direction: unlike the bare normal of a
classifier's hyperplane (InterFaceGAN, Shen et al. 2020) it stays among codes that occur (Haufe et al. 2014). Mirrored
portraits, whose yaw is the opposite, are used as well. A direction is kept in the layers where its attribute lives and
scaled so that strength 1 changes the measured attribute by about one standard deviation. What landmarks measure well
(smile, mouth, eyes) takes the cause instead: see `sensitivities.py`. Principal directions of w (GANSpace, Harkonen et
al. 2020) join on request.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.hfgi.measures import FinderMeasures, mesh_measures, pixel_measures, to_columns
from gan_core.hfgi.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.hfgi.pipeline import load_generator
from gan_core.hfgi.sensitivities import sensitivities, solve_direction
from gan_core.stylegan2 import Generator
from gan_core.training.data import load_pictures
from gan_core.training.grids import save_grid
from gan_core.training.split import is_held_out

log = logging.getLogger(__name__)
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Target:
    """One slider: the label it follows, what it must leave alone, and the layers it may touch."""

    name: str
    label: str
    column: str
    leave: tuple[str, ...]
    layers: tuple[int, int]  # first and last latent index, of a 256-pixel generator; the last is the ToRGB
    binary: bool = False  # unit: half the difference of the two groups instead of one standard deviation
    note: str = ""
    region: str = "head"  # what a slider may change in the picture; see `regions.py`
    step: float = 1.0  # units that strength 1 is worth; less where three of them break the picture
    causal: tuple[str, ...] = ()  # measures that must stay: solve for the direction from sensitivities


# Holding more measures than these makes the solution long, and long steps leave the faces that the generator draws.
_STEADY = ("yaw_deg", "hair")
# Length of strength 1 (in w) at which a causal direction still draws whole faces at strength 3, seen on sheets.
CAUSAL_LENGTH = 1.8
PRINCIPAL_STEP = 0.6  # standard deviations of w that strength 1 of a principal direction is worth
TARGETS = (
    Target(
        "smile",
        "Smile",
        "corner_lift",
        ("yaw_deg", "age", "gender", "grey", "glasses"),
        (2, 8),
        region="face",
        causal=_STEADY,
    ),  # fmt: skip
    Target(
        "age",
        "Age",
        "age",
        ("gender", "grey", "corner_lift", "mouth_open", "glasses", "light"),
        (0, 11),
        step=0.9,
    ),
    Target("pose", "Turn the head", "yaw_deg", ("corner_lift",), (0, 7), note="to the image's right", step=0.4),
    Target(
        "mouth_open",
        "Open mouth",
        "mouth_open",
        ("corner_lift", "yaw_deg", "age", "gender"),
        (2, 8),
        region="face",
        causal=_STEADY,
    ),  # fmt: skip
    Target(
        "eyes_open",
        "Open eyes",
        "eye_open",
        ("corner_lift", "age", "gender", "glasses"),
        (2, 9),
        region="face",
        causal=_STEADY,
    ),  # fmt: skip
    Target(
        "gender", "Man to woman", "gender", ("age", "grey", "corner_lift", "glasses", "light"), (0, 9), True, step=0.6
    ),
    Target("hair", "Light hair", "hair", ("light", "age", "gender", "grey"), (4, 13)),
    Target("grey", "Black and white", "grey", ("age", "gender", "light"), (5, 13), True, region="crop", step=0.4),
)


def read_labels(path: Path, folder: Path) -> tuple[list[Path], list[str], Columns]:
    """Picture files, people, and label columns (N,) with NaN where unknown, of the rows whose picture is
    there.

    Raises BadValue if there are none.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (folder / f"{row['id']}.jpg").is_file()]
    if not rows:
        raise BadValue(f"None of the pictures that {path.name} names is in {folder}.")
    names = ("age", "grey", "yaw_deg", "mouth_open", "corner_lift", "eye_open")
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    columns["gender"] = np.array([{"M": 0.0, "F": 1.0}.get(row["gender"], np.nan) for row in rows])
    return [folder / f"{row['id']}.jpg" for row in rows], [row["person"] for row in rows], columns


def mesh_column(path: Path, files: list[Path]) -> Columns:
    """What only the landmarks tell ("nod"), in the files' order."""
    with np.load(path) as stored:
        at = {str(name): i for i, name in enumerate(stored["id"])}
        mesh = stored["xy"].astype(np.float64)[[at[file.stem] for file in files]]
    points = torch.from_numpy(mesh)
    return {"nod": to_columns(mesh_measures({i: points[:, i] for i in range(mesh.shape[1])}))["nod"]}


class Studio:
    """Generator and encoder at work: pictures to codes, codes to pictures, in batches."""

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
    """The codes' mean change (num_ws, w_dim) for one unit of the slider, others left alone, and the unit.

    codes: (N, num_ws, w_dim). The unit is one standard deviation, or half of a binary label's difference.
    """
    used = [name for name in (target.column, *target.leave) if name in columns]
    table = np.stack([columns[name] for name in used], 1)
    known = np.isfinite(table).all(1)
    table, y = table[known], codes[known].reshape(known.sum(), -1)
    unit = 0.5 if target.binary else float(table[:, 0].std())
    table = table - table.mean(0)
    table /= table.std(0) + 1e-9
    # a pinch of ridge keeps rare combinations from being read as two large opposite effects
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
    """All measures (N,) of pictures (N, 3, R, R), those by landmarks only with a finder."""
    working = resize(images, WORKING_SIZE)
    return pixel_measures(working) | (finder(working) if finder is not None else {})


class Probe:
    """Measures pictures: by landmarks and pixels where a label is measured so, else by ridge hyperplanes on
    codes."""

    def __init__(self, studio: Studio, codes: np.ndarray, columns: Columns, finder: FinderMeasures | None) -> None:
        self.studio, self.finder = studio, finder
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
        """What the hyperplanes say of codes (N, num_ws, w_dim)."""
        return {name: ridge.predict(self._features(codes)) for name, ridge in self.ridges.items()}

    def from_pictures(self, images: Tensor) -> Columns:
        """Measures (N,) of pictures (N, 3, R, R) in [-1, 1]."""
        result = self.from_codes(self.studio.encode(images).numpy())
        working = resize(images, WORKING_SIZE)
        with torch.inference_mode():
            result |= to_columns(measure_pictures(self.finder, working))
        return result


def calibrate(
    studio: Studio,
    probe: Probe,
    codes: Tensor,
    direction: Tensor,
    target: Target,
    unit: float,
    *,
    reach: float = 1.5,
) -> tuple[float, float]:
    """(Factor that makes strength 1 change the measured attribute by one unit, share of people moved the
    right way).

    Both ends are drawn for every code of `codes`; the factor is kept between 0.4 and 4.
    """
    high = probe.from_pictures(studio.draw(codes + reach * direction))[target.column]
    low = probe.from_pictures(studio.draw(codes - reach * direction))[target.column]
    moved = (high - low) / (2 * reach * unit)
    return float(np.clip(1 / max(np.median(moved), 1e-3), 0.4, 4.0)), float((moved > 0).mean())


def principal(generator: Generator, count: int, samples: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """The first principal directions of w, (count, w_dim), each one standard deviation long, and their
    shares."""
    z = torch.randn(samples, generator.config["z_dim"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        w = generator.mapping(z.to(generator.mapping.w_avg.device)).cpu().double().numpy()
    values, vectors = np.linalg.eigh(np.cov(w.T))
    order = values.argsort()[::-1][:count]
    return (vectors[:, order] * np.sqrt(values[order])).T, values[order] / values.sum()


def draw_sheet(studio: Studio, codes: Tensor, directions: dict[str, Tensor], path: Path) -> None:
    """One row a direction: each code of `codes` (N, num_ws, w_dim) at strengths -3, -1.5, 0, 1.5 and 3."""
    rows = []
    for direction in directions.values():
        for code in codes:
            rows.append(studio.draw(torch.stack([code + s * direction for s in (-3, -1.5, 0, 1.5, 3)])))
    save_grid(resize(torch.cat(rows), 128), path, 5 * len(codes))


def find_directions(
    studio: Studio,
    codes: Tensor,
    mirrored: Tensor,
    columns: Columns,
    held_out: np.ndarray,
    finder: FinderMeasures | None,
    report: Callable[[str, dict], None],
) -> tuple[dict[str, Tensor], list[dict]]:
    """All targets' directions and their descriptions; see the module's text.

    codes, mirrored: (N, num_ws, w_dim) of the pictures and of their mirror images; held_out: (N,) bool.
    """
    both = np.concatenate([codes[~held_out].numpy(), mirrored[~held_out].numpy()])
    train = {
        name: np.concatenate([v[~held_out], -v[~held_out] if name == "yaw_deg" else v[~held_out]])
        for name, v in columns.items()
    }
    probe = Probe(studio, both, train, finder)
    seen = probe.from_codes(codes[held_out].numpy())
    for name, values in columns.items():
        known = np.isfinite(values[held_out])
        if known.sum() > 2 and values[held_out][known].std() > 0 and seen[name].std() > 0:
            correlation = np.corrcoef(seen[name][known], values[held_out][known])[0, 1]
            report(name, {"held_out_correlation": correlation})
    some = np.random.RandomState(0).permutation(np.flatnonzero(~held_out))[:16]
    gradients = {}
    if finder is not None:
        gradients = sensitivities(studio.generator, codes[some], lambda images: measure_pictures(finder, images))
    directions, described = {}, []
    for target in TARGETS:
        if target.column not in columns:
            continue
        window = layer_window(codes.shape[1], target.layers)
        pattern, unit = fit_direction(both, train, target)
        if target.causal and target.column in gradients:
            pattern = unit * solve_direction(gradients, target.column, target.causal, both, window)
        direction = torch.from_numpy(pattern * window).float()
        gain, _ = calibrate(studio, probe, codes[some], direction, target, unit)
        direction *= gain * target.step
        if target.causal and target.column in gradients:
            direction *= min(1.0, CAUSAL_LENGTH / direction.norm().item())
        after, right = calibrate(studio, probe, codes[held_out][:16], direction, target, unit)
        report(target.name, {"gain": gain, "per_unit": 1 / after, "moved_right": right, "unit": unit})
        directions[target.name] = direction
        described.append(_description(target.name, target.label, "hyperplane", target.note, target.region))
    return directions, described


def _description(name: str, label: str, kind: str, note: str, region: str = "head") -> dict:
    return {"name": name, "label": label, "low": -3.0, "high": 3.0, "kind": kind, "note": note, "region": region}


def parse_principal(text: str) -> tuple[int, str, str]:
    """ "3=hair_length:Hair length" to (3, "hair_length", "Hair length"). Raises BadValue if it is of another
    form."""
    index, _, rest = text.partition("=")
    name, _, label = rest.partition(":")
    if not (index.isdigit() and name.isidentifier() and label):
        raise BadValue(f"--principal takes INDEX=name:Label, not {text!r}.")
    return int(index), name, label


def fit_to_labels(
    args: argparse.Namespace, studio: Studio
) -> tuple[dict[str, Tensor], list[dict], dict[str, dict[str, float]]]:
    """Directions, their descriptions, and what was measured on the way; `args` are the command line's."""
    finder = FinderMeasures(args.finder, args.device) if args.finder else None
    folder = args.data / "face" if (args.data / "face").is_dir() else args.data
    files, people, columns = read_labels(args.labels, folder)
    files, people = files[: args.limit], people[: args.limit]
    columns = {name: values[: args.limit] for name, values in columns.items()}
    mesh = args.labels.with_name("landmarks.npz")
    if mesh.is_file():
        columns |= mesh_column(mesh, files)
    pictures = load_pictures(files, WORKING_SIZE)
    parts = [to_columns(pixel_measures(part.float() / 127.5 - 1)) for part in pictures.split(64)]
    columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    facts: dict[str, dict] = {}

    def report(name: str, numbers: dict) -> None:
        facts.setdefault(name, {}).update({key: round(float(value), 4) for key, value in numbers.items()})
        log.info("%s %s", name, json.dumps(facts[name]))

    codes, mirrored = studio.encode(pictures, "portraits"), studio.encode(pictures.flip(3), "mirrored")
    held_out = np.array([is_held_out(person) for person in people])
    directions, described = find_directions(studio, codes, mirrored, columns, held_out, finder, report)
    return directions, described, facts


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="folder with portraits_face and portraits_hfgi")
    parser.add_argument("--encoder", type=Path, help="basic encoder's file, instead of the one in --pipeline")
    parser.add_argument("--data", type=Path, required=True, help="folder of aligned faces, or with a folder face/")
    parser.add_argument("--labels", type=Path, required=True, help="portraits.csv; landmarks.npz beside it is used")
    parser.add_argument("--finder", type=Path, help="the face finder's weights, to measure pictures by landmarks")
    parser.add_argument("--out", type=Path, required=True, help="directions file to write")
    help_principal = "INDEX=name:Label, a principal direction of w to add under a name; look at the sheet first"
    parser.add_argument("--principal", action="append", default=[], metavar="TEXT", help=help_principal)
    parser.add_argument("--keep", action="store_true", help="keep what --out holds; only add principal directions")
    parser.add_argument("--sheet", type=Path, help="picture of all directions and the first 8 principal ones")
    parser.add_argument("--limit", type=int, help="use only this many pictures (trials)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    wanted = [parse_principal(text) for text in args.principal]

    generator = load_generator(args.pipeline)
    encoder_file = args.encoder or args.pipeline / "portraits_hfgi" / "encoder.safetensors"
    encoder, extra = build_from_file(Encoder4Editing, encoder_file, "encoder")
    studio = Studio(generator, encoder, extra["latent_avg"], args.device)
    if args.keep:
        directions, config = store.read(args.out)
        described, facts = config["attributes"], config["_report"]
    else:
        directions, described, facts = fit_to_labels(args, studio)
    vectors, shares = principal(generator, max([8, *(index + 1 for index, _, _ in wanted)]))
    described = [entry for entry in described if entry["name"] not in {name for _, name, _ in wanted}]
    for index, name, label in wanted:
        vector = torch.from_numpy(vectors[index] * PRINCIPAL_STEP).float()
        directions[name] = vector.expand(generator.num_ws, -1).contiguous()
        note = f"principal direction {index} of w, {shares[index]:.1%} of its variance"
        described.append(_description(name, label, "principal", note))
    store.save(args.out, directions, config={"attributes": described, "_report": facts})
    if args.sheet is not None:
        z = torch.randn(3, generator.config["z_dim"], generator=torch.Generator().manual_seed(5))
        with torch.inference_mode():
            w = generator.mapping.truncate(generator.mapping(z.to(studio.device)), 0.7).cpu()
        shown = directions | {
            f"principal {i}": torch.from_numpy(v).float().expand(generator.num_ws, -1)
            for i, v in enumerate(vectors[:8])
        }
        draw_sheet(studio, generator.broadcast(w), shown, args.sheet)


if __name__ == "__main__":
    main()
