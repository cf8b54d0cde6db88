"""HFGI's second stage of training: distortion alignment and consultation (Wang et al. 2022, sections 3.2 to 3.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.errors import BadCheckpoint
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.stylegan2 import Discriminator
from gan_core.training.hfgi.adversary import Adversary, balanced
from gan_core.training.hfgi.data import random_perspective
from gan_core.training.hfgi.step import TrainingStage, psnr

# the embedded networks' sizes: about 0.09 s a consultation on 2 CPU cores
SMALL_ALIGNMENT: dict[str, Any] = {"widths": (16, 32, 48, 64), "blocks": 3}
SMALL_CONSULTATION: dict[str, Any] = {"widths": (32, 48, 64), "blocks": 3}
SHOWN = ("pose", "age")  # edits in the grid


def detail(images: Tensor) -> Tensor:
    """Amount of fine detail (N,) in pictures (N, 3, H, W) in [-1, 1]: mean absolute Laplacian, which falls with
    blur."""
    grey = images.float().mean(1)
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (around - 4 * middle).abs().mean((1, 2))


class ConsultationStage(TrainingStage):
    """Alignment and consultation, trained on perturbed distortion maps.

    With `settings.adversarial_weight` the face discriminator is trained as well, also on edited pictures.
    """

    name = "consultation"
    default_l2 = 4.0

    def __init__(
        self, *args: object, discriminator: Discriminator | None = None, directions: Path | None = None
    ) -> None:
        """As `TrainingStage`, and the basic encoder's file.

        Args:
            discriminator: one to train against; used where `settings.adversarial_weight` is not 0.
            directions: file of the sliders' directions, for edited pictures; without them only
                reconstructions are scored.

        Raises:
            BadCheckpoint: the encoder's file, or the directions', does not fit.
        """
        *shared, encoder_file = args
        super().__init__(*shared)  # type: ignore[arg-type]
        encoder, extra = build_from_file(Encoder4Editing, Path(str(encoder_file)), "encoder")
        if "latent_avg" not in extra:
            raise BadCheckpoint("The encoder's file lacks latent_avg; train the encoder again.")
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last)
        self.latent_avg = extra["latent_avg"].to(self.device)
        start = self.generator.config["start_shape"][0]
        block = (64 // start).bit_length() - 1
        channels = self.generator.synthesis.blocks[block].conv.weight.shape[0]
        consultation = ConsultationEncoder(channels, **SMALL_CONSULTATION)
        with torch.no_grad():
            for head in (consultation.scale, consultation.shift):
                head[1].weight.zero_()  # at first the consultation has no effect
        self._train(alignment=DistortionAlignment(**SMALL_ALIGNMENT), consultation=consultation)
        self.fusion_layer = 2 * block - 1
        if discriminator is not None and self.settings.adversarial_weight:
            self.adversary = Adversary(discriminator, self.settings, self.device, self.dtype)
        self.directions: dict[str, Tensor] = {}
        if directions is not None:
            self.directions = {name: d.to(self.device) for name, d in store.read(directions)[0].items()}
            if any(d.shape != self.latent_avg.shape for d in self.directions.values()):
                raise BadCheckpoint(f"The directions in {directions.name} are of another generator's codes.")
            self._stacked = torch.stack(list(self.directions.values()))
        modules = (self.averages["alignment"], self.averages["consultation"])
        # In float32: copies for a GPU are made once, but the weights change here.
        self.pipe = HFGIPipeline(
            self.generator, self.encoder, *modules, self.latent_avg, {}, device=self.device, dtype=torch.float32
        )

    @torch.no_grad()
    def _inversion(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes, plain inversion at 256 pixels, clamped, and distortion map."""
        working = resize(images, WORKING_SIZE)
        with self._autocast():
            codes = self.encoder(working)
        codes = codes.float() + self.latent_avg
        plain = resize(self._draw(codes).float().clamp(-1, 1), WORKING_SIZE)
        return codes, plain, working - plain

    @torch.no_grad()
    def _edit(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, L, w_dim) moved along about two of the directions by up to 3, and their plain pictures, clamped,
        at 256 pixels."""
        n, kinds = codes.shape[0], len(self._stacked)
        strengths = (torch.rand(n, kinds, device=self.device) * 6 - 3).where(
            torch.rand(n, kinds, device=self.device) < 2 / kinds, torch.zeros((), device=self.device)
        )
        codes = codes + torch.einsum("nk,klw->nlw", strengths, self._stacked)
        return codes, resize(self._draw(codes).float().clamp(-1, 1), WORKING_SIZE)

    def losses(self) -> dict[str, Tensor]:
        """Terms: the reconstruction with consultation, and the error of the aligned map; with an adversary also the
        adversarial losses of reconstruction and edits, and the change of edits where the plain edit changes nothing."""
        s = self.settings
        target = self._real(s.batch)
        codes, plain, distortion = self._inversion(target)
        perturbed = random_perspective(distortion, s.perturb, head_turn=s.head_turn)
        edits = s.batch // 2 if self.adversary is not None and self.directions else 0
        if edits:  # of the second half; in one pass with the others, so that the norms see both kinds
            new_codes, new_plain = self._edit(codes[-edits:])
            codes, guides = torch.cat([codes, new_codes]), torch.cat([plain, new_plain])
            maps = torch.cat([perturbed, distortion[-edits:]])
        else:
            guides, maps = plain, perturbed
        with self._autocast():
            aligned = self.trained["alignment"](maps, guides)
            scale, shift = self.trained["consultation"](aligned)
        inject = {self.fusion_layer: lambda x: x * (1 + scale.to(x.dtype)) + shift.to(x.dtype)}
        pictures = self.generator.synthesis(codes, noise="const", inject=inject, dtype=self.dtype)
        image, edited = pictures[: s.batch], pictures[s.batch :]
        result = self._reconstruction(image, target)
        if self.adversary is not None:
            first = s.batch - edits
            pairs = [(target[:first], image[:first])]
            if edits:
                pairs.append((target[-edits:], edited))
            looks = self.adversary.generator_losses(pairs)
            weight, pull = balanced(image, result["l2"] + result["feature"], looks[0], s.adversarial_weight)
            result["looks"] = weight * looks[0]
            result = {name: value.detach() for name, value in result.items()} | {"pull": pull}
            if edits:
                result["edits_look"] = weight * looks[1]
                unchanged = torch.exp(-_spread((new_plain - plain[-edits:]).abs().mean(1, keepdim=True)) / 0.1)
                error = (resize(edited.float(), WORKING_SIZE) - resize(target[-edits:], WORKING_SIZE)).square()
                result["unchanged"] = s.unchanged * (unchanged * error).mean()
        result["align"] = s.align * F.l1_loss(aligned[: s.batch].float(), distortion)
        return result

    @torch.inference_mode()
    def _both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        codes, plain, distortion = self._inversion(images)
        return resize(plain, images.shape[-2:]), self._consulted(codes, plain, distortion)

    @torch.inference_mode()
    def _consulted(self, codes: Tensor, plain: Tensor, distortion: Tensor) -> Tensor:
        return self.pipe.decode(codes, self.pipe.consult(self.pipe.align(distortion, plain))).clamp(-1, 1)

    @torch.inference_mode()
    def _edited(self, images: Tensor, name: str, strength: float) -> tuple[Tensor, Tensor]:
        """Pictures edited without and with consultation, clamped."""
        codes, _, distortion = self._inversion(images)
        codes = codes + strength * self.directions[name]
        plain = self._draw(codes).float().clamp(-1, 1)
        return plain, self._consulted(codes, plain, distortion)

    @torch.inference_mode()
    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Errors of the plain inversion and with consultation, their ratio, and the share of the pictures' fine
        detail (`detail`) in inversions and edits with consultation."""
        errors, details = [], []
        for part in held_out.split(32):
            images = self._both(part)
            errors.append(torch.stack([((image - part) / 2).square().mean((1, 2, 3)) for image in images]))
            shares = [detail(images[1]) / detail(part)]
            shares += [detail(self._edited(part, name, 3.0)[1]) / detail(part) for name in self._shown()]
            details.append(torch.stack(shares))
        plain, final = torch.cat(errors, 1).mean(1).tolist()
        share, *edited = torch.cat(details, 1).mean(1).tolist()
        result = {"mse_plain": plain, "mse": final, "ratio": final / plain, "psnr": psnr(final), "detail": share}
        return result | {f"detail_{name}": value for name, value in zip(self._shown(), edited, strict=True)}

    def _shown(self) -> list[str]:
        return [name for name in SHOWN if name in self.directions]

    def grid(self, images: Tensor) -> tuple[Tensor, int]:
        """Rows of pictures, plain inversions, inversions with consultation, and both ends of two sliders, each without
        and with consultation."""
        rows = [images, *self._both(images)]
        for name in self._shown():
            for strength in (-3.0, 3.0):
                rows += self._edited(images, name, strength)
        return torch.cat([row.float() for row in rows]), len(images)


def _spread(change: Tensor) -> Tensor:
    """The largest change (N, 1, H, W) within seven pixels."""
    return F.max_pool2d(change, 15, stride=1, padding=7)
