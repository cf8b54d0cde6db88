"""HFGI as a pipeline: invert a face once, then decode it again for every slider value (Wang et al. 2022).

`invert` is costly (an encoder, and decoding twice), `edit` is cheap. Nothing is kept between calls: the caller keeps
the result of `invert` while the picture is the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file, load_face_generator
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.device_copies import DeviceCopies
from gan_core.e4e.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.errors import BadCheckpoint
from gan_core.faces.head import HeadNet, load_head
from gan_core.graphs import pictures_at_once, rows_for, with_rows
from gan_core.hfgi.editing import FaceEdit, edit_faces
from gan_core.hfgi.fast import CpuNetworks, FastNetworks
from gan_core.hfgi.networks import CONDITION_SIZE, ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.refine import Refinement, RefinementSettings, refine
from gan_core.hfgi.tuned import with_weights
from gan_core.memory import bring_back, tensor_bytes
from gan_core.perceptual import Perceptual, load_embedded_features
from gan_core.precision import drawing_dtype
from gan_core.stylegan2 import Generator

Conditions = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class EditDirection:
    """Something a slider changes: a direction in W+ and the range over which it keeps its meaning."""

    name: str
    label: str  # what the slider says
    direction: Tensor  # (num_ws, w_dim); strength 1 is about one standard deviation among portraits
    low: float = -3.0
    high: float = 3.0
    kind: str = "hyperplane"  # or "principal"
    note: str = ""
    region: str = "crop"  # what may change: see `regions.py`


@dataclass(frozen=True)
class Inversion:
    """The inversion of a face: its codes, and the distortion map of what the codes miss."""

    codes: Tensor  # (1, num_ws, w_dim)
    image: Tensor  # (1, 3, R, R), the plain inversion, not clamped
    distortion: Tensor  # (1, 3, 256, 256), face minus plain inversion
    face: Tensor  # (1, 3, R, R) in [-1, 1]
    restored: Tensor  # (1, 3, R, R), the inversion with consultation, clamped to [-1, 1]
    head: Tensor  # (1, 2, R, R) in [0, 1], how much of each pixel is head, and person; 0 without a head finder
    tuned: Mapping[str, Tensor] = field(default_factory=dict)  # synthesis weights that are this face's own, by name
    refined: int = 0  # steps of refinement (see `refine.py`) that it had

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return tensor_bytes([*self._tensors().values(), *self.tuned.values()])

    def to(self, device: torch.device | str) -> Inversion:
        """The same on another device, in float32."""
        moved = {name: tensor.to(device, torch.float32) for name, tensor in self._tensors().items()}
        tuned = {name: tensor.to(device) for name, tensor in self.tuned.items()}
        return Inversion(**moved, tuned=tuned, refined=self.refined)

    def packed(self) -> Inversion:
        """The same on the CPU, its pictures in half precision (0.06 of 255 grey levels): what is kept between two
        edits, and sent to another process. `HFGIPipeline` unpacks it where it is used."""
        pictures = {n: t.to("cpu", torch.float16) for n, t in self._tensors().items() if n != "codes"}
        tuned = {name: tensor.cpu() for name, tensor in self.tuned.items()}
        return Inversion(self.codes.cpu(), **pictures, tuned=tuned, refined=self.refined)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


class HFGIPipeline:
    """High-fidelity inversion and editing of aligned faces."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder4Editing,
        alignment: DistortionAlignment,
        consultation: ConsultationEncoder,
        latent_avg: Tensor,  # (num_ws, w_dim), the mean latent, to which the encoder's codes are relative
        attributes: Mapping[str, EditDirection],
        *,
        head: HeadNet | None = None,  # segments the head for edits of it; without it an ellipse is used
        features: Perceptual | None = None,  # for `refine`
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,  # of the computation; None for the device's default
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        modules = (generator, encoder, alignment, consultation)
        self.generator, self.encoder, self.alignment, self.consultation = (
            module.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last) for module in modules
        )
        self.head = None if head is None else head.eval().requires_grad_(False).to(self.device)
        self.features = None if features is None else features.eval().requires_grad_(False).to(self.device)
        self.latent_avg = latent_avg.to(self.device)
        self.attributes = dict(attributes)
        self.directions = {name: a.direction.to(self.device) for name, a in self.attributes.items()}
        self.resolution: int = generator.resolution
        self._copies = DeviceCopies()  # of inversions
        self.rows = (0.0, 1.0)  # the part of a picture's height that the encoder looks at
        start = generator.config["start_shape"][0]
        # latent index of the upsampling convolution that reaches 64 pixels: 7 when the start is 4x4
        self._fusion_layer = 2 * (CONDITION_SIZE // start).bit_length() - 3

    @classmethod
    def from_checkpoint(
        cls,
        built: BuiltCheckpoint,
        attributes: Mapping[str, EditDirection] | None = None,
        *,
        features: Perceptual | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> HFGIPipeline:
        """From a published HFGI checkpoint. Raises BadCheckpoint if it lacks the consultation (e4e alone)."""
        parts = ("generator", "encoder", "alignment", "consultation")
        if any(name not in built.modules for name in parts):
            raise BadCheckpoint("This checkpoint has an encoder but no consultation; HFGI needs both.")
        generator, encoder, alignment, consultation = (built.modules[name] for name in parts)
        average = built.tensors["latent_avg"]
        shared: Any = {"features": features, "device": device, "dtype": dtype}
        return cls(generator, encoder, alignment, consultation, average, attributes or {}, **shared)

    @torch.inference_mode()
    def invert(self, face: Tensor) -> Inversion:
        """Codes and distortion map of an aligned face (1, 3, R, R) in [-1, 1]. Raises ValueError for another shape."""
        if face.ndim != 4 or face.shape[:2] != (1, 3):
            raise ValueError(f"face has shape {tuple(face.shape)}, expected (1, 3, R, R)")
        face = face.to(self.device, torch.float32)
        return self.inversion_of(face, self.codes_of(face))

    @torch.inference_mode()
    def codes_of(self, face: Tensor) -> Tensor:
        """The encoder's codes (1, num_ws, w_dim) of an aligned face (1, 3, R, R) in [-1, 1]."""
        first, last = (round(WORKING_SIZE * share) for share in self.rows)
        working = resize(face.to(self.device, torch.float32), WORKING_SIZE)[:, :, first:last]
        return self.encode(working) + self.latent_avg

    @torch.inference_mode()
    def random_codes(self, seed: int, psi: float = 0.7) -> Tensor:
        """The codes (1, num_ws, w_dim) of a random face. psi: truncation, 0 is the mean face."""
        z = torch.randn(1, self.generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
        bring_back(self.generator.mapping, self.device)
        w = self.generator.mapping(z.to(self.device))
        return self.generator.broadcast(self.generator.mapping.truncate(w, psi))

    @torch.inference_mode()
    def inversion_of(
        self, face: Tensor, codes: Tensor, tuned: Mapping[str, Tensor] | None = None, *, refined: int = 0
    ) -> Inversion:
        """The inversion of a face (1, 3, R, R) in [-1, 1] by these codes (1, num_ws, w_dim), both on the device, and by
        weights tuned to it, if given."""
        tuned = tuned or {}
        image = self.decode(codes, tuned=tuned)
        distortion = resize(face, WORKING_SIZE) - resize(image.clamp(-1, 1), WORKING_SIZE)
        restored = self.decode(codes, self.consult(self.align(distortion, image)), tuned=tuned).clamp(-1, 1)
        return Inversion(codes, image, distortion, face, restored, self.heads(restored), tuned, refined)

    def restore(self, face: Tensor, codes: Tensor) -> Tensor:
        """See `gan_core.e4e.encoding.Restores`."""
        return self.inversion_of(face.to(self.device, torch.float32), codes).restored

    def refine(self, inversion: Inversion, settings: RefinementSettings | None = None) -> Iterator[Refinement]:
        """Bring an inversion closer to its face: see `gan_core.hfgi.refine.refine`."""
        yield from refine(self, inversion, settings)

    @torch.inference_mode()
    def edit(
        self,
        inversion: Inversion,
        strengths: Mapping[str, float],
        *,
        consult: bool = True,
        offset: Tensor | None = None,
    ) -> Tensor:
        """The edited face (1, 3, R, R), clamped to [-1, 1]; no strengths reconstruct the face.

        Args:
            inversion: of `invert`.
            strengths: by attribute name; 0 changes nothing.
            offset: (1, num_ws, w_dim), added to the codes beside the attributes; hair and face may change then.
            consult: False for the edit by the plain generator, without the details that the consultation restores.

        Raises:
            UnknownName: there is no attribute of that name.
            BadValue: a strength outside its attribute's range.
        """
        return self.edit_together([FaceEdit(inversion, strengths, consult, offset)])[0]

    @torch.inference_mode()
    def edit_together(self, edits: Sequence[FaceEdit]) -> list[Tensor]:
        """What `edit` gives for each of these, computed in one batch: see `gan_core.hfgi.editing`."""
        return edit_faces(self, edits)

    def here(self, inversion: Inversion) -> Inversion:
        """An inversion on the device, in float32; a copy for a GPU is made once, however often it is edited."""
        if inversion.codes.device != self.device:
            return self._copies.of(inversion, self.device)
        return inversion if inversion.image.dtype == torch.float32 else inversion.to(self.device)

    @property
    def pictures_at_once(self) -> int:
        """That are worth drawing in one batch on a GPU."""
        return pictures_at_once(self.resolution, self.resolution)

    def heads(self, images: Tensor) -> Tensor:
        """Masks (N, 2, R, R) of head and person in pictures (N, 3, R, R); 0 without a head finder."""
        if self.head is None:
            return torch.zeros_like(images[:, :2])
        # cuDNN plans the convolutions anew for each size of a batch, so a GPU sees few sizes.
        batch = with_rows(images, rows_for(len(images))) if images.is_cuda else images
        return self.head.masks(batch)[: len(images)].to(images)

    def encode(self, images: Tensor) -> Tensor:
        """Codes (N, num_ws, w_dim), relative to the mean latent, of pictures (N, 3, 256, 256) in [-1, 1]."""
        return self._fast.encode(images) if self._fast else self.encoder(images)

    def decode(
        self, codes: Tensor, conditions: Conditions | None = None, *, tuned: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Picture (N, 3, R, R), not clamped, of codes; `conditions` scale and shift the 64x64 features (eq. 4).

        tuned: weights of the synthesis network to use instead of its own, by name."""
        if self._fast and not tuned:
            return self._fast.draw(codes) if conditions is None else self._fast.draw_consulted(codes, *conditions)
        inject = {}
        if conditions is not None:
            scale, shift = conditions
            inject[self._fusion_layer] = lambda x: x * (1 + scale) + shift
        synthesis = self.generator.synthesis
        if tuned:
            # In float32 on every device: the copies for a device have the weights of all faces.
            bring_back(self.generator, self.device)
            synthesis = with_weights(synthesis, tuned)
        return synthesis(codes, noise="const", inject=inject)

    def align(self, distortion: Tensor, target: Tensor) -> Tensor:
        """The distortion map (N, 3, 256, 256) aligned to the picture `target` (N, 3, R, R)."""
        target = resize(target.clamp(-1, 1), WORKING_SIZE)
        return self._fast.align(distortion, target) if self._fast else self.alignment(distortion, target)

    def consult(self, aligned: Tensor) -> Conditions:
        """Scale and shift, each (N, C, 64, 64), of an aligned distortion map."""
        return self._fast.consult(aligned) if self._fast else self.consultation(aligned)

    @functools.cached_property
    def _fast(self) -> FastNetworks | CpuNetworks | None:
        """The networks in the precision asked for, by default that of the device; None: as they are, in float32."""
        modules = (self.generator, self.encoder, self.alignment, self.consultation)
        dtype = self.dtype or drawing_dtype(self.device, *modules)
        if dtype == torch.float32:
            return None
        kind = CpuNetworks if self.device.type == "cpu" else FastNetworks
        return kind(*modules, self._fusion_layer, dtype)

    def idle_networks(self) -> list[nn.Module]:
        """Networks that are not used at present because a copy in half precision is: they need not be on the device.
        `forget_device` must be called after they were moved back."""
        if not isinstance(self.__dict__.get("_fast"), FastNetworks):
            return []
        return [self.generator, self.encoder, self.alignment, self.consultation]

    def forget_device(self) -> None:
        """Drop copies and recordings that belong to the device on which the networks were before."""
        self.__dict__.pop("_fast", None)
        self._copies.clear()


def load_attributes(path: Path) -> dict[str, EditDirection]:
    """The attributes of a directions file: one tensor each, and label, range, kind and note in its config."""
    directions, config = store.read(path)
    described = {entry["name"]: entry for entry in config.get("attributes", [])}
    if described.keys() != directions.keys():
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.")
    return {name: EditDirection(direction=directions[name], **entry) for name, entry in described.items()}


def load_embedded(
    folder: Path | str,
    *,
    generator: Generator | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> HFGIPipeline:
    """The pipeline of the weights that ship with the project, in `folder` (weights/).

    Reads people_hfgi/{encoder,alignment,consultation,directions}.safetensors, the head finder, the discriminator whose
    features `refine` needs, and the generator people_face where none is given to be shared. Raises WeightsMissing or
    BadCheckpoint.
    """
    folder = Path(folder)
    own = folder / "people_hfgi"
    generator = generator or load_face_generator(folder, "people_face")
    encoder, extra = build_from_file(Encoder4Editing, own / "encoder.safetensors", "encoder")
    if "latent_avg" not in extra:
        raise BadCheckpoint("The encoder's file lacks latent_avg; fetch it again.")
    alignment, _ = build_from_file(DistortionAlignment, own / "alignment.safetensors", "alignment module")
    consultation, _ = build_from_file(ConsultationEncoder, own / "consultation.safetensors", "consultation encoder")
    attributes = load_attributes(own / "directions.safetensors")
    return HFGIPipeline(
        generator,
        encoder,
        alignment,
        consultation,
        extra["latent_avg"],
        attributes,
        head=load_head(folder / "portraits_hfgi" / "head.safetensors"),
        features=load_embedded_features(folder),
        device=device,
        dtype=dtype,
    )
