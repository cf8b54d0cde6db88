"""The Self-Conditioned GAN as a pipeline: a face from a seed or a picture once, then any attribute values.

`invert` and `refine` are costly and are iterators; `edit`, `edit_plain` and `filmstrip` are cheap. Only the last
refined weights are kept between calls. Values lie in [0, 1] over an attribute's range in the data; 0.5 is its middle.
Liu et al., SIGGRAPH 2022.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.encoding import Encode, load_encoder
from gan_core.errors import BadValue, WeightsMissing
from gan_core.graphs import pictures_at_once
from gan_core.memory import tensor_bytes
from gan_core.self_conditioned.inverting import LATENT_STEPS, TUNING_STEPS, find_latent, tune_weights
from gan_core.self_conditioned.labels import weights_for_values
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor, load_predictor
from gan_core.self_conditioned.space import Attribute, AttributeSpace, load_space
from gan_core.stylegan2 import Generator

EMBEDDED_FOLDER = "people_edges"
LARGEST_SEED = 2**31 - 1
MOST_PICTURES = 100  # of a filmstrip
_BATCH = 3  # pictures drawn together on a CPU: fastest on two cores
Wanted = Mapping[str, float] | Sequence[float]


@dataclass(frozen=True)
class Code:
    """Latents of a face in both generators. Tensors are on the CPU."""

    w_plus: Tensor  # (1, num_ws, w_dim), of the self-conditioned generator
    plain: Tensor  # (1, num_ws, w_dim), of the plain generator
    values: Tensor  # (A,) in [0, 1]: the face's own values; editing to these changes nothing
    tuned: Mapping[str, Tensor] | None = field(
        default=None, repr=False
    )  # weights that `refine` changed, half precision
    plain_tuned: Mapping[str, Tensor] | None = field(default=None, repr=False)  # the same of the plain generator

    @property
    def size(self) -> int:
        """Bytes, about."""
        return tensor_bytes([self.w_plus, self.plain, *(self.tuned or {}).values(), *(self.plain_tuned or {}).values()])


@dataclass(frozen=True)
class InversionReport:
    """A report of `invert` or `refine`; the last one is the result."""

    step: int
    steps: int
    code: Code
    image: Tensor  # (1, 3, R, R) in [-1, 1], on the CPU: how this generator draws the picture now
    error: float  # mean squared error against the picture, both in [-1, 1]

    @property
    def done(self) -> bool:
        """Whether this is the last one."""
        return self.step >= self.steps


class SelfConditionedPipeline:
    """Self-conditioned generator, the plain one that it came from, and the attributes' directions."""

    def __init__(
        self,
        generator: SelfConditionedGenerator,
        plain: Generator,
        space: AttributeSpace,
        *,
        predictor: FacePredictor | None = None,  # measures pictures, and guides inversion
        encode: Encode | None = None,  # pictures (N, 3, R, R) to W+ of the plain generator
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.generator, self.plain, self.space = (
            net.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
            for net in (generator, plain, space)
        )
        self.predictor = None if predictor is None else predictor.eval().requires_grad_(False).to(self.device)
        self.encode, self.resolution = encode, generator.resolution
        self._scratch: dict[str, tuple[object, torch.nn.Module]] = {}  # the last tuned weights, as networks

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What can be edited, in order."""
        return self.space.attributes

    # ------------------------------------------------------------ faces

    @torch.inference_mode()
    def random_face(self, seed: int, psi: float = 0.7) -> Code:
        """The face of a seed; both generators draw about the same one, as one was trained from the other.

        psi: truncation in [0, 1]; 0 is the mean face. Raises BadValue for a seed or psi out of range.
        """
        if not 0 <= seed <= LARGEST_SEED:
            raise BadValue(f"The seed must be from 0 to {LARGEST_SEED}, not {seed}.")
        if not 0 <= psi <= 1:
            raise BadValue(f"The truncation must be from 0 to 1, not {psi}.")
        z = torch.randn(1, self.plain.config["z_dim"], generator=torch.Generator().manual_seed(seed)).to(self.device)
        w_plus = self.plain.broadcast(self.plain.mapping.truncate(self.plain.mapping(z), psi))
        return self._code(w_plus)

    @torch.inference_mode()
    def encoded(self, picture: Tensor) -> Tensor:
        """The encoder's latents (1, num_ws, w_dim), on the CPU, of an aligned face (1, 3, R, R) in [-1, 1]. Raises
        BadValue or WeightsMissing as `invert` does."""
        picture = self._checked(picture)
        if self.encode is None:
            raise WeightsMissing("The encoder's weights are not on this machine; faces from seeds can be edited.")
        return self.encode(picture).float().cpu()

    def invert(self, picture: Tensor, *, steps: int = LATENT_STEPS) -> Iterator[InversionReport]:
        """Latents of an aligned face (1, 3, R, R) in [-1, 1], from the encoder's by a few steps of optimisation.

        Yields the encoder's own result (step 0) and reports on the way; close the iterator to stop.
        Raises BadValue for a picture of another size or a number of steps below 0, WeightsMissing without an encoder.
        """
        picture = self._checked(picture)
        if self.encode is None:
            raise WeightsMissing("The encoder's weights are not on this machine; faces from seeds can be edited.")
        if steps < 0:
            raise BadValue(f"The number of steps must not be negative, not {steps}.")
        with torch.inference_mode():
            start = self.encode(picture).float()
        code = self._code(start)
        yield self._report(0, steps, code, picture)
        for report in find_latent(self.generator, start, code.values, picture, self.predictor, steps):
            code = replace(code, w_plus=report.w_plus.cpu())
            yield self._report(report.step, steps, code, picture)

    def refine(self, code: Code, picture: Tensor, *, steps: int = TUNING_STEPS) -> Iterator[InversionReport]:
        """Pivotal tuning (Roich et al. 2021): optimise both generators' weights so that they draw this picture.

        code: of `invert`; picture: the same aligned face. Raises BadValue as `invert` does.
        """
        picture = self._checked(picture)
        if steps < 1:
            raise BadValue(f"Tuning takes at least one step, not {steps}.")
        weights = weights_for_values(code.values[None]).to(self.device)
        pairs = (
            ("tuned", self.generator, code.w_plus, self.generator.start(weights)),
            ("plain_tuned", self.plain, code.plain, None),
        )
        runs = [
            tune_weights(net, w.to(self.device), picture, self.predictor, steps, start) for _, net, w, start in pairs
        ]
        for reports in zip(*runs, strict=True):
            tuned = {name: report.tuned for (name, *_), report in zip(pairs, reports, strict=True)}
            code = replace(code, **tuned)
            yield self._report(reports[0].step, steps, code, picture)

    # ------------------------------------------------------------ edits

    def edit(self, code: Code, values: Wanted) -> Tensor:
        """The face (1, 3, R, R), clamped to [-1, 1], on the CPU, with attribute values as wanted.

        values: by attribute name (others stay as they are), or all in order.
        Raises UnknownName, or BadValue for a value outside [0, 1].
        """
        return self._draw([code], self.space.targets(code.values, values)[None])

    def edit_plain(self, code: Code, values: Wanted) -> Tensor:
        """The same edit by plain directions in the plain generator: the latent is moved by the difference of
        distances."""
        return self._draw_plain([code], self.space.targets(code.values, values)[None])

    def edit_together(self, edits: Sequence[tuple[Code, Wanted]]) -> list[tuple[Tensor, Tensor]]:
        """What `edit` and `edit_plain` give for each of these, computed in batches. Raises what they raise, for any of
        them."""
        wanted = torch.stack([self.space.targets(code.values, values) for code, values in edits])
        groups: dict[int, list[int]] = {}  # tuned generators draw their own face alone
        for i, (code, _) in enumerate(edits):
            tuned = code.tuned is not None or code.plain_tuned is not None
            groups.setdefault(i if tuned else -1, []).append(i)
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for places in groups.values():
            codes = [edits[i][0] for i in places]
            own, plain = self._draw(codes, wanted[places]), self._draw_plain(codes, wanted[places])
            found.update(zip(places, zip(own.split(1), plain.split(1), strict=True), strict=True))
        return [found[i] for i in range(len(edits))]

    def filmstrip(
        self, code: Code, attribute: str, count: int = 9, *, values: Wanted | None = None, plain: bool = False
    ) -> Tensor:
        """(count, 3, R, R), clamped: the attribute from 0 to 1, the others as they are or as in `values`.

        Raises UnknownName, or BadValue for a value or count out of range.
        """
        place = self.space.index(attribute)
        if not 2 <= count <= MOST_PICTURES:
            raise BadValue(f"A filmstrip has from 2 to {MOST_PICTURES} pictures.")
        wanted = self.space.targets(code.values, {} if values is None else values).repeat(count, 1)
        wanted[:, place] = torch.linspace(0, 1, count)
        return (self._draw_plain if plain else self._draw)([code] * count, wanted)

    # ------------------------------------------------------------ measuring

    @torch.inference_mode()
    def current_values(self, what: Code | Tensor) -> dict[str, float]:
        """Attribute values in [0, 1] of a code, or of a drawn or aligned picture (1, 3, R, R) as its encoder sees it.

        Raises WeightsMissing for a picture where there is no encoder.
        """
        if isinstance(what, Code):
            values = what.values
        elif self.encode is None:
            raise WeightsMissing("The encoder's weights are not on this machine; pictures cannot be read.")
        else:
            values = self.space.values(self.encode(self._checked(what)).float())[0].cpu()
        return dict(zip(self.space.names, values.tolist(), strict=True))

    def measure(self, image: Tensor) -> dict[str, float]:
        """The predictor's measures of a picture (1, 3, R, R) in [-1, 1], by attribute, in `predictors.UNITS`."""
        if self.predictor is None:
            raise WeightsMissing("The predictor's weights are not on this machine.")
        found = dict(zip(self.predictor.measures, self.predictor.predict(image)[1][0].tolist(), strict=True))
        return {a.name: found[a.measure] for a in self.attributes if a.measure in found}

    def forget_device(self) -> None:
        """Drop copies and recordings that belong to the device on which the networks were before."""
        self._scratch.clear()

    # ------------------------------------------------------------ helpers

    def _code(self, w_plus: Tensor) -> Code:
        return Code(w_plus.cpu().clone(), w_plus.cpu().clone(), self.space.values(w_plus)[0].cpu().clone())

    def _checked(self, picture: Tensor) -> Tensor:
        if tuple(picture.shape) != (1, 3, self.resolution, self.resolution):
            size = f"{self.resolution} x {self.resolution}"
            raise BadValue(f"The picture has shape {tuple(picture.shape)}; one RGB picture of {size} pixels is needed.")
        return picture.to(self.device, torch.float32)

    @torch.inference_mode()
    def _draw(self, codes: Sequence[Code], wanted: Tensor) -> Tensor:
        """Pictures (N, 3, R, R), on the CPU, of codes with the same tuned weights, if any, at values (N, A)."""
        net = self._network("tuned", self.generator, codes[0].tuned)
        w_plus, weights = self._joined([c.w_plus for c in codes]), weights_for_values(wanted).to(self.device)
        parts = zip(w_plus.split(self._batch), weights.split(self._batch), strict=True)
        return torch.cat([net.draw(*part).clamp(-1, 1).cpu() for part in parts])

    @torch.inference_mode()
    def _draw_plain(self, codes: Sequence[Code], wanted: Tensor) -> Tensor:
        net = self._network("plain", self.plain, codes[0].plain_tuned)
        current = self._joined([code.values[None] for code in codes])
        moved = self.space.moved(self._joined([c.plain for c in codes]), current, wanted.to(self.device))
        return torch.cat([net.synthesis(part).clamp(-1, 1).cpu() for part in moved.split(self._batch)])

    def _joined(self, rows: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(rows)).to(self.device)

    @property
    def pictures_at_once(self) -> int:
        """That are worth drawing in one batch on a GPU."""
        return pictures_at_once(self.resolution, self.resolution)

    @property
    def _batch(self) -> int:
        return self.pictures_at_once if self.device.type == "cuda" else _BATCH

    def _network(self, kind: str, network: torch.nn.Module, tuned: Mapping[str, Tensor] | None) -> torch.nn.Module:
        """`network`, or a copy with tuned weights; the last one of each kind is kept."""
        if tuned is None:
            return network
        known, copied = self._scratch.get(kind, (None, None))
        if known is not tuned:
            copied = copy.deepcopy(network) if copied is None else copied
            copied.load_state_dict({name: value.float() for name, value in tuned.items()}, strict=False)
            self._scratch[kind] = (tuned, copied)
        return copied

    def _report(self, step: int, steps: int, code: Code, picture: Tensor) -> InversionReport:
        image = self._draw([code], code.values[None])
        return InversionReport(step, steps, code, image, float((image - picture.cpu().clamp(-1, 1)).square().mean()))


def load_embedded(
    folder: Path | str,
    *,
    own: Path | None = None,
    plain: Generator | None = None,
    encode: Encode | None = None,
    device: str | torch.device = "cpu",
) -> SelfConditionedPipeline:
    """The model that ships with the project, in `folder` (weights/).

    own: folder of this model's three files, where they are elsewhere; plain: the face generator, where it is to be
    shared; encode: its encoder, likewise.
    Raises WeightsMissing or BadCheckpoint.
    """
    folder = Path(folder)
    own = own or folder / EMBEDDED_FOLDER
    if plain is None:
        plain, _ = build_from_file(Generator, folder / "people_face" / "generator.safetensors", "generator")
    generator, _ = build_from_file(SelfConditionedGenerator, own / "generator.safetensors", "generator")
    return SelfConditionedPipeline(
        generator,
        plain,
        load_space(own / "directions.safetensors"),
        predictor=load_predictor(own / "predictors.safetensors"),
        encode=encode or load_encoder(folder, "people_hfgi", device=device),
        device=device,
    )
