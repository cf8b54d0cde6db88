"""The two stages of HFGI's training: what is trained, on what loss, and how well it does on held-out
people."""

from __future__ import annotations

import contextlib
import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint
from gan_core.hfgi.data import jitter, random_perspective
from gan_core.hfgi.losses import FeatureDistance, LatentPrior
from gan_core.hfgi.networks import (
    WORKING_SIZE,
    ConsultationEncoder,
    DistortionAlignment,
    Encoder4Editing,
    resize,
)
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training.data import random_batch

if TYPE_CHECKING:
    from gan_core.hfgi.train import HfgiSettings

# the embedded networks' sizes: about 0.07 s an encoding and 0.09 s a consultation on 2 CPU cores
SMALL_ENCODER = {"stem": 24, "stages": ((40, 2), (80, 3), (144, 5), (256, 3)), "head": 64}
SMALL_ALIGNMENT = {"widths": (16, 32, 48, 64), "blocks": 3}
SMALL_CONSULTATION = {"widths": (32, 48, 64), "blocks": 3}


class Stage:
    """What the two stages share."""

    name = ""
    default_l2 = 1.0

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        pictures: Tensor,  # uint8 (N, 3, R, R), on the device
        settings: HfgiSettings,
        device: torch.device,
    ) -> None:
        # in its final memory format before a step is captured, which remembers addresses
        self.generator = generator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.distance = FeatureDistance(discriminator).to(device)
        self.pictures, self.settings, self.device = pictures, settings, device
        self.dtype = torch.bfloat16 if device.type == "cuda" else None
        average = generator.mapping.w_avg
        self.latent_avg = average.expand(generator.num_ws, -1).contiguous()
        self.trained: dict[str, nn.Module] = {}
        self.averages: dict[str, nn.Module] = {}

    def _train(self, **modules: nn.Module) -> None:
        channels_last = {"memory_format": torch.channels_last}
        self.trained = {name: m.to(self.device, **channels_last).train() for name, m in modules.items()}
        self.averages = {name: copy.deepcopy(m).eval().requires_grad_(False) for name, m in self.trained.items()}

    def schedule(self, done: float) -> None:
        """Set what depends on the share of the run that is over."""

    def losses(self) -> dict[str, Tensor]:
        """The weighted terms of one step's loss; no value is read by the host."""
        raise NotImplementedError

    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Numbers on held-out pictures (N, 3, R, R) in [-1, 1]; errors are of pictures in [0, 1]."""
        raise NotImplementedError

    def grid(self, images: Tensor) -> tuple[Tensor, int]:
        """Pictures to look at, row by row, and how many a row."""
        raise NotImplementedError

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the averaged networks, which are the ones saved, towards the trained ones."""
        for name, module in self.trained.items():
            average = self.averages[name]
            torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
            torch._foreach_copy_(list(average.buffers()), list(module.buffers()))

    def save(self, out: Path, note: dict) -> None:
        """Write the averaged networks, in half precision."""
        for name, module in self.averages.items():
            extra = {"latent_avg": self.latent_avg} if name == "encoder" else {}
            tensors = {**module.state_dict(), **extra}
            store.save(out / f"{name}.safetensors", tensors, config={**module.config, "_training": note})

    def resume(self, out: Path) -> float:
        """Take up this stage's files in `out`, if all are there; returns the seconds they were trained
        for."""
        files = {name: out / f"{name}.safetensors" for name in self.trained}
        if not all(path.is_file() for path in files.values()):
            return 0.0
        seconds = 0.0
        for name, path in files.items():
            tensors, config = store.read(path)
            tensors.pop("latent_avg", None)
            for module in (self.trained[name], self.averages[name]):
                module.load_state_dict(tensors)
            seconds = float(config.get("_training", {}).get("seconds", 0.0))
        return seconds

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype is None:
            return contextlib.nullcontext()
        # a cached weight would be stale when a captured step is replayed
        return torch.autocast("cuda", self.dtype, cache_enabled=False)

    def _real(self, count: int) -> Tensor:
        return jitter(random_batch(self.pictures, count)).contiguous(memory_format=torch.channels_last)

    def _draw(self, codes: Tensor) -> Tensor:
        return self.generator.synthesis(codes, noise="const", dtype=self.dtype)

    def _reconstruction(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        s = self.settings
        return {
            "l2": s.l2 * F.mse_loss(image, target),
            "feature": s.feature * self.distance(image, target, self.dtype),
        }


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of pictures in [0, 1]."""
    return -10 * math.log10(max(mse, 1e-12))


class EncoderStage(Stage):
    """Basic encoder, on portraits and on generated pictures (Tov et al. 2021, sections 4.1 and 4.2)."""

    name = "encoder"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        encoder = Encoder4Editing(self.generator.num_ws, self.generator.config["w_dim"], **SMALL_ENCODER)
        with torch.no_grad():
            for i, head in enumerate(encoder.heads):
                head.linear.weight.mul_(0.1 if i else 0.5)  # start near the mean face, offsets near none
        self._train(encoder=encoder)
        self.prior = LatentPrior(self.generator).to(self.device)
        self.active = torch.ones(self.generator.num_ws - 1, 1, device=self.device)

    def schedule(self, done: float) -> None:
        """Offsets come in one layer after another between 10 % and 45 % of the run."""
        layers = len(self.active)
        front = (done - 0.1) / 0.35 * layers
        self.active.copy_((front - torch.arange(layers, device=self.device)).clamp(0, 1)[:, None])

    @torch.no_grad()
    def _generated(self, count: int) -> tuple[Tensor, Tensor]:
        """Random pictures and their codes: truncated at random, half of them of two latents."""
        net, device = self.generator, self.device
        w = net.mapping(torch.randn(2 * count, net.config["z_dim"], device=device))
        psi = 0.5 + 0.5 * torch.rand(2 * count, 1, device=device)
        first, second = (net.mapping.w_avg + psi * (w - net.mapping.w_avg)).chunk(2)
        layer = torch.arange(net.num_ws, device=device)[None, :, None]
        cut = torch.randint(1, 2 * net.num_ws, (count, 1, 1), device=device)
        codes = torch.where(layer >= cut, second[:, None], first[:, None])
        return self._draw(codes).clamp(-1, 1), codes

    def losses(self) -> dict[str, Tensor]:
        """Reconstruction, length of the offsets, distance from the generator's latents, error of known
        codes."""
        s = self.settings
        generated = round(s.batch * s.generated)
        real = self._real(s.batch - generated)
        if generated:
            fake, known = self._generated(generated)
            real = torch.cat([real, fake.to(real.dtype)])
        target = real.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            base, offsets = self.trained["encoder"].parts(resize(target, WORKING_SIZE))
        base, offsets = base.float(), offsets.float() * self.active
        codes = torch.cat([base[:, None], base[:, None] + offsets], 1) + self.latent_avg
        result = self._reconstruction(self._draw(codes), target)
        size = self.prior.spread * math.sqrt(codes.shape[2])
        result["offsets"] = s.offsets * (offsets.square().sum(2) + 1e-8).sqrt().mean() / size
        result["prior"] = s.prior * self.prior(codes)
        if generated:
            error = (codes[-generated:] - known).square().mean()
            result["known"] = s.known * error / self.prior.spread.square()
        return result

    @torch.inference_mode()
    def _invert(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with self._autocast():
            codes = self.averages["encoder"](resize(images, WORKING_SIZE))
        codes = codes.float() + self.latent_avg
        return codes, self._draw(codes).float()

    @torch.inference_mode()
    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Error of the plain inversion, and how far its codes lie from the generator's (1: as near as its
        own)."""
        errors, priors = [], []
        for part in held_out.split(32):
            codes, image = self._invert(part)
            errors.append(((image.clamp(-1, 1) - part) / 2).square().mean((1, 2, 3)))
            priors.append(self.prior(codes).expand(len(part)))
        mse = torch.cat(errors).mean().item()
        return {"mse": mse, "psnr": psnr(mse), "held_out_prior": torch.cat(priors).mean().item()}

    def grid(self, images: Tensor) -> tuple[Tensor, int]:
        """Pictures above their inversions."""
        return torch.cat([images, self._invert(images)[1]]), len(images)


class ConsultationStage(Stage):
    """Alignment and consultation, trained on their own perturbations (HFGI, sections 3.2 to 3.4)."""

    name = "consultation"
    default_l2 = 4.0

    def __init__(self, *args: object) -> None:
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
                head[1].weight.zero_()  # at first the generator draws as it does without
        self._train(alignment=DistortionAlignment(**SMALL_ALIGNMENT), consultation=consultation)
        self.fusion_layer = 2 * block - 1
        modules = (self.averages["alignment"], self.averages["consultation"])
        dtype = self.dtype or torch.float32
        self.pipe = HFGIPipeline(
            self.generator, self.encoder, *modules, self.latent_avg, {}, device=self.device, dtype=dtype
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

    def losses(self) -> dict[str, Tensor]:
        """Reconstruction with consultation, and error of the aligned map."""
        s = self.settings
        target = self._real(s.batch)
        codes, plain, distortion = self._inversion(target)
        perturbed = random_perspective(distortion, s.perturb)
        with self._autocast():
            aligned = self.trained["alignment"](perturbed, plain)
            scale, shift = self.trained["consultation"](aligned)
        inject = {self.fusion_layer: lambda x: x * (1 + scale.to(x.dtype)) + shift.to(x.dtype)}
        image = self.generator.synthesis(codes, noise="const", inject=inject, dtype=self.dtype)
        result = self._reconstruction(image, target)
        result["align"] = s.align * F.l1_loss(aligned.float(), distortion)
        return result

    @torch.inference_mode()
    def _both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pipe = self.pipe
        codes, plain, distortion = self._inversion(images)
        final = pipe.decode(codes, pipe.consult(pipe.align(distortion, plain)))
        return resize(plain, images.shape[-2:]), final.clamp(-1, 1)

    @torch.inference_mode()
    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Errors of the plain inversion and with consultation, and their ratio."""
        errors = []
        for part in held_out.split(32):
            pair = [((image - part) / 2).square().mean((1, 2, 3)) for image in self._both(part)]
            errors.append(torch.stack(pair))
        plain, final = torch.cat(errors, 1).mean(1).tolist()
        return {"mse_plain": plain, "mse": final, "ratio": final / plain, "psnr": psnr(final)}

    def grid(self, images: Tensor) -> tuple[Tensor, int]:
        """Pictures, plain inversions, inversions with consultation."""
        return torch.cat([images, *self._both(images)]), len(images)
