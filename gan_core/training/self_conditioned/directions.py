"""Step (a): the attributes' directions in the pretrained generator's latent space.

Global attributes are hyperplanes of W: faces are drawn and measured by the predictor, and a linear classifier separates
the latents with high from those with low values (InterFaceGAN, Shen et al. 2020). A local attribute can be one channel
of the style space: among the channels that are correlated with the attribute, the one whose change affects it most and
the other attributes least (StyleSpace, Wu et al. 2021). Liu et al. 2022, section 3, use both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.self_conditioned.space import Attribute, AttributeSpace
from gan_core.stylegan2 import EqualLinear, Generator
from gan_core.training.self_conditioned.linear import separate

EXTREMES = 0.3  # share of the drawn faces at either end, which the classifier separates
TEST_SHARE = 0.2
STRENGTH = 0.003  # of the classifier's errors against the length of its normal
CANDIDATES, FACES, REACH = 24, 8, 3.0  # style channels tried, on how many faces, by how many standard deviations

ATTRIBUTES = (
    Attribute("age", "Age", "young", "old", "age"),
    Attribute("pose", "Turn of the head", "to the left", "to the right", "yaw_deg", note="as seen in the picture"),
    Attribute("smile", "Smile", "serious", "smiling", "corner_lift"),
    Attribute("mouth", "Mouth", "shut", "open", "mouth_open"),
    Attribute("glasses", "Glasses", "none", "glasses", "glasses"),
    Attribute("light", "Light", "from the left", "from the right", "side_light", note="as seen in the picture"),
    Attribute("gaze", "Gaze", "to the left", "to the right", "gaze", note="as seen in the picture"),
)
LAYERS = {
    "age": (0, 10), "pose": (0, 6), "smile": (2, 8), "mouth": (2, 8), "glasses": (0, 8), "light": (2, 11),
    "gaze": (2, 8),
}  # fmt: skip
"""Latents of a 14-layer generator that an attribute's distance is averaged over, first and last."""


@dataclass(frozen=True)
class ScoredSamples:
    """Faces of the generator: latents, and the predictor's measures of the attributes."""

    w: Tensor  # (N, w_dim)
    scores: np.ndarray  # (N, A)


@torch.no_grad()
def draw_and_score(
    generator: Generator, predictor: FacePredictor, measures: Sequence[str], count: int, *, seed: int = 1
) -> ScoredSamples:
    """Draw `count` faces without truncation and measure them."""
    device = generator.mapping.w_avg.device
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
    columns = [predictor.measures.index(name) for name in measures]
    latents, scores = [], []
    for part in tqdm(z.split(16 if device.type == "cpu" else 128), desc="drawing faces"):
        w = generator.mapping(part.to(device))
        images = generator.synthesis(generator.broadcast(w), noise="const")
        latents.append(w.cpu())
        scores.append(predictor.predict(images)[1][:, columns])
    return ScoredSamples(torch.cat(latents), torch.cat(scores).numpy())


def fit_hyperplane(w: Tensor, scores: np.ndarray) -> tuple[Tensor, float, dict[str, float]]:
    """Unit normal (w_dim,) and offset of the plane that separates high from low `scores` (N,) in w (N, w_dim), and its
    accuracy on the last faces, to which it was not fitted.

    Raises BadValue if all scores are equal.
    """
    rows, test = w.double(), max(int(TEST_SHARE * len(w)), 1)
    low, high = np.quantile(scores[:-test], [EXTREMES, 1 - EXTREMES])
    if not low < high:
        raise BadValue("The predictor gives all drawn faces the same score; there is no direction to find.")
    mean, spread = rows.mean(0), rows.std()
    rows = (rows - mean) / spread
    chosen = np.flatnonzero((scores[:-test] <= low) | (scores[:-test] >= high))
    normal, offset = separate(rows[chosen], torch.from_numpy(scores[chosen] >= high), STRENGTH)
    offset, normal = offset / float(normal.norm()), normal / normal.norm()
    distance = (rows @ normal + offset).numpy()
    ends = (scores[-test:] <= low) | (scores[-test:] >= high)
    right = (distance[-test:] > 0)[ends] == (scores[-test:] >= high)[ends]
    facts = {
        "accuracy_of_extremes": float(right.mean()) if ends.any() else float("nan"),
        "correlation_with_score": float(np.corrcoef(distance[-test:], scores[-test:])[0, 1]) if test > 1 else 0.0,
    }
    return normal.float(), float(spread * offset - mean @ normal), facts


def spread_over_layers(normal: Tensor, num_ws: int, layers: tuple[int, int]) -> Tensor:
    """The normal (w_dim,) as one of W+ (num_ws, w_dim): the mean over some layers, given for a 14-layer generator."""
    last = num_ws if layers[1] >= 13 else max(round((layers[1] + 1) * num_ws / 14), 1)
    first = min(round(layers[0] * num_ws / 14), last - 1)
    window = torch.zeros(num_ws, 1)
    window[first:last] = 1 / (last - first)
    return window * normal


def find_directions(
    generator: Generator,
    predictor: FacePredictor,
    attributes: Sequence[Attribute] = ATTRIBUTES[:3],
    *,
    count: int = 4000,
    style: Sequence[str] = (),  # names of attributes that use a style channel
) -> tuple[AttributeSpace, dict[str, dict]]:
    """The attributes' directions, with the ranges of drawn faces for now, and measurements of the fits."""
    drawn = draw_and_score(generator, predictor, [a.measure for a in attributes], count)
    facts: dict[str, dict] = {}
    normals, offsets, described = [], [], []
    for i, attribute in enumerate(attributes):
        if attribute.name in style:
            channel = find_style_channel(generator, predictor, attributes, i, drawn)
            facts[attribute.name] = channel.facts
            normals.append(channel.normal)
            offsets.append(channel.offset)
            note = f"channel {channel.channel} of layer {channel.layer} of the style space"
            described.append(Attribute(**{**vars(attribute), "method": "style", "note": note}))
            continue
        normal, offset, facts[attribute.name] = fit_hyperplane(drawn.w, drawn.scores[:, i])
        layers = LAYERS.get(attribute.name, (0, 13))
        normals.append(spread_over_layers(normal, generator.num_ws, layers))
        offsets.append(offset)
        described.append(attribute)
    stacked, offset = torch.stack(normals), torch.tensor(offsets)
    distances = torch.einsum("nd,ad->na", drawn.w, stacked.sum(1)) + offset
    low, high = torch.quantile(distances, torch.tensor([0.005, 0.995]), dim=0)
    return AttributeSpace(described, stacked, offset, low, high), facts


def attributes_for(predictor: FacePredictor, wanted: Sequence[str] = ()) -> tuple[Attribute, ...]:
    """The attributes of these names, in this order; all that the predictor measures if none is named.

    Raises BadValue for one that it does not measure.
    """
    known = {a.name: a for a in ATTRIBUTES if a.measure in predictor.measures}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise BadValue(f"The predictor does not measure {', '.join(missing)}; it measures {', '.join(known)}.")
    return tuple(known[name] for name in wanted or known)


# ---------------------------------------------------------------- style space


@dataclass(frozen=True)
class StyleChannel:
    """One channel of one convolution's styles, as a direction."""

    layer: int  # latent index
    channel: int
    spread: float  # standard deviation among drawn faces
    normal: Tensor  # (num_ws, w_dim): its value is this affine function of W+, times its sign
    offset: float
    facts: dict[str, float]


def convolutions(generator: Generator) -> list[tuple[int, EqualLinear]]:
    """Latent index and affine layer of every convolution; ToRGB layers, which only colour, are left out."""
    found: list[tuple[int, EqualLinear]] = []
    for i, block in enumerate(generator.synthesis.blocks):
        if block.conv_up is not None:
            found.append((2 * i - 1, block.conv_up.affine))
        found.append((2 * i, block.conv.affine))
    return found


@contextmanager
def shifted_style(affine: EqualLinear, channel: int, by: Tensor) -> Iterator[None]:
    """Context in which the layer's style of a channel is increased by `by` (N,)."""

    def shift(_: EqualLinear, __: tuple, styles: Tensor) -> Tensor:
        moved = styles.clone()
        moved[:, channel] += by
        return moved

    handle = affine.register_forward_hook(shift)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def find_style_channel(
    generator: Generator,
    predictor: FacePredictor,
    attributes: Sequence[Attribute],
    wanted: int,
    drawn: ScoredSamples,
) -> StyleChannel:
    """Among the channels correlated with attribute `wanted`, the one that changes it most and the others least."""
    columns = [predictor.measures.index(a.measure) for a in attributes]
    unit = drawn.scores.std(0)
    score = torch.from_numpy(drawn.scores[:, wanted]).float()
    score = (score - score.mean()) / score.std()
    device = generator.mapping.w_avg.device
    candidates: list[tuple[float, int, int, float, EqualLinear]] = []
    for layer, affine in convolutions(generator):
        styles = affine(drawn.w.to(device)).cpu()
        spread = styles.std(0)
        correlation = (((styles - styles.mean(0)) / (spread + 1e-6)) * score[:, None]).mean(0)
        for channel in correlation.abs().topk(min(CANDIDATES, len(correlation))).indices.tolist():
            entry = (float(correlation[channel]), layer, channel, float(spread[channel]), affine)
            candidates.append(entry)
    candidates = sorted(candidates, key=lambda c: -abs(c[0]))[:CANDIDATES]

    w_plus = generator.broadcast(drawn.w[:FACES].to(device))

    def effect(affine: EqualLinear, channel: int, by: float) -> np.ndarray:
        ends = []
        for sign in (-1, 1):
            with shifted_style(affine, channel, torch.full((len(w_plus),), sign * by, device=device)):
                ends.append(predictor.predict(generator.synthesis(w_plus, noise="const"))[1][:, columns].numpy())
        return ((ends[1] - ends[0]) / unit).mean(0)

    best: tuple[float, int, np.ndarray] | None = None
    for i, (_, _, channel, spread, affine) in enumerate(tqdm(candidates, desc="style channels")):
        moved = effect(affine, channel, REACH * spread)
        others = np.delete(np.abs(moved), wanted)
        merit = abs(moved[wanted]) - others.max(initial=0.0)
        if best is None or merit > best[0]:
            best = (merit, i, moved)
    assert best is not None  # there are candidates
    _, i, moved = best
    _, layer, channel, spread, affine = candidates[i]
    sign = 1.0 if moved[wanted] > 0 else -1.0
    normal = torch.zeros(generator.num_ws, generator.config["w_dim"])
    normal[layer] = (sign * affine.weight[channel] * affine.weight_gain / spread).cpu()
    offset = sign * float(affine.bias[channel] * affine.bias_gain) / spread
    facts = {"layer": layer, "channel": channel, "moves_itself": float(sign * moved[wanted])}
    facts |= {f"moves_{a.name}": float(sign * moved[j]) for j, a in enumerate(attributes) if j != wanted}
    return StyleChannel(layer, channel, spread, normal, offset, facts)
