"""The stages of HFGI's training: their base class, and the stage of the basic encoder. The stage of alignment and
consultation is in consultation.py."""

from __future__ import annotations

import contextlib
import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.e4e.networks import Encoder4Editing, resize, working_shape
from gan_core.errors import WeightsMissing
from gan_core.stylegan2 import Generator
from gan_core.training.data import PictureStream
from gan_core.training.ema import update_average
from gan_core.training.feature_distance import FeatureDistance, ImageNetDistance
from gan_core.training.hfgi.adversary import Adversary
from gan_core.training.hfgi.data import jitter
from gan_core.training.hfgi.losses import LatentPrior
from gan_core.training.people import PeopleStream

if TYPE_CHECKING:
    from gan_core.training.hfgi.settings import HFGISettings

# the embedded network's size: about 0.07 s an encoding on 2 CPU cores
SMALL_ENCODER: dict[str, Any] = {"stem": 24, "stages": ((40, 2), (80, 3), (144, 5), (256, 3)), "head": 64}
# that of tall pictures, whose codes are only a start for optimisation: half as many parameters
TALL_ENCODER: dict[str, Any] = {"stem": 20, "stages": ((32, 2), (64, 3), (112, 4), (192, 2)), "head": 48}


class TrainingStage:
    """Base class of the two stages."""

    name = ""
    default_l2 = 1.0

    def __init__(
        self,
        generator: Generator,
        distance: FeatureDistance | ImageNetDistance,
        pictures: PictureStream | PeopleStream,  # on the device, of the generator's resolution
        settings: HFGISettings,
        device: torch.device,
    ) -> None:
        # In its final memory format before a step is captured, which fixes addresses.
        self.generator = generator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.distance = distance.to(device)
        self.pictures, self.settings, self.device = pictures, settings, device
        self.dtype = torch.bfloat16 if device.type == "cuda" else None
        average = generator.mapping.w_avg
        self.latent_avg = average.expand(generator.num_ws, -1).clone(memory_format=torch.contiguous_format)
        self.trained: dict[str, nn.Module] = {}
        self.averages: dict[str, nn.Module] = {}
        self.adversary: Adversary | None = None

    def _train(self, **modules: nn.Module) -> None:
        channels_last = {"memory_format": torch.channels_last}
        self.trained = {name: m.to(self.device, **channels_last).train() for name, m in modules.items()}
        self.averages = {name: copy.deepcopy(m).eval().requires_grad_(False) for name, m in self.trained.items()}

    def schedule(self, done: float) -> None:
        """Set values that depend on the share `done` (0 to 1) of the run."""

    def losses(self) -> dict[str, Tensor]:
        """The weighted terms of one step's loss; no value is read by the host."""
        raise NotImplementedError

    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Numbers on held-out pictures (N, 3, R, R) in [-1, 1]; errors are of pictures in [0, 1]."""
        raise NotImplementedError

    def grid(self, images: Tensor) -> tuple[Tensor, int]:
        """Pictures for a grid, row by row, and the number of columns."""
        raise NotImplementedError

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Update the averaged networks, which are the ones that are saved."""
        for name, module in self.trained.items():
            average = self.averages[name]
            update_average(average, module, decay)
            torch._foreach_copy_(list(average.buffers()), list(module.buffers()))

    def save(self, out: Path, note: dict) -> None:
        """Write the averaged networks, in half precision."""
        for name, module in self.averages.items():
            extra = {"latent_avg": self.latent_avg} if name == "encoder" else {}
            tensors = {**module.state_dict(), **extra}
            store.save(out / f"{name}.safetensors", tensors, config={**module.config, "_training": note})

    def resume(self, out: Path) -> float:
        """Load this stage's files in `out` if all exist; returns the seconds that they were trained for."""
        files = self._files(out)
        if not all(path.is_file() for path in files.values()):
            return 0.0
        return self._load(files)

    def start_from(self, folder: Path) -> None:
        """Start the whole schedule from this stage's weights in `folder`, which were trained with another generator or
        another loss. Raises WeightsMissing or BadCheckpoint."""
        files = self._files(folder)
        for path in files.values():
            if not path.is_file():
                raise WeightsMissing(f"There is no {path.name} in {folder} to start from.")
        self._load(files)

    def _files(self, folder: Path) -> dict[str, Path]:
        return {name: folder / f"{name}.safetensors" for name in self.trained}

    def _load(self, files: dict[str, Path]) -> float:
        """Read the weights in `files` and return the seconds they were trained for."""
        seconds = 0.0
        for name, path in files.items():
            tensors, config = store.read(path)
            average = tensors.pop("latent_avg", None)
            if average is not None:  # codes are relative to it, not to the generator's current mean latent
                self.latent_avg.copy_(average)
            for module in (self.trained[name], self.averages[name]):
                module.load_state_dict(tensors)
            seconds = float(config.get("_training", {}).get("seconds", 0.0))
        return seconds

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype is None:
            return contextlib.nullcontext()
        # Without the cache: a cached weight would be outdated when a captured step is replayed.
        return torch.autocast("cuda", self.dtype, cache_enabled=False)

    def _real(self, count: int) -> Tensor:
        return jitter(self.pictures.draw(count)).contiguous(memory_format=torch.channels_last)

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


class EncoderStage(TrainingStage):
    """Basic encoder, on portraits and on generated pictures (Tov et al. 2021, sections 4.1 and 4.2)."""

    name = "encoder"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.working = working_shape(self.generator.config["start_shape"])
        sizes = SMALL_ENCODER if self.working[0] == self.working[1] else TALL_ENCODER
        encoder = Encoder4Editing(self.generator.num_ws, self.generator.config["w_dim"], **sizes)
        with torch.no_grad():
            for i, head in enumerate(encoder.heads):
                head.linear.weight.mul_(0.1 if i else 0.5)  # start near the mean face, offsets near none
        self._train(encoder=encoder)
        self.prior = LatentPrior(self.generator).to(self.device)
        self.active = torch.ones(self.generator.num_ws - 1, 1, device=self.device)
        self.staggered = True

    def start_from(self, folder: Path) -> None:
        """See `TrainingStage`; the offsets, which are trained already, are all active from the start."""
        super().start_from(folder)
        self.staggered = False

    def schedule(self, done: float) -> None:
        """Activate the offsets of one layer after another between 10 % and 45 % of the run."""
        if not self.staggered:
            return
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
        """Terms: reconstruction, length of the offsets, distance from the generator's latents, error of known codes."""
        s = self.settings
        generated = round(s.batch * s.generated)
        real = self._real(s.batch - generated)
        if generated:
            fake, known = self._generated(generated)
            real = torch.cat([real, fake.to(real.dtype)])
        target = real.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            base, offsets = self.trained["encoder"].parts(resize(target, self.working))
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
            codes = self.averages["encoder"](resize(images, self.working))
        codes = codes.float() + self.latent_avg
        return codes, self._draw(codes).float()

    @torch.inference_mode()
    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """Error of the plain inversion, and its codes' distance from the generator's latents (1 for its own)."""
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
