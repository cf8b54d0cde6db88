"""One resolution of the Swapping Autoencoder's training: networks, optimizers and the three captured pieces of a step.

A step is one update of both discriminators and one of encoder and generator (Park et al., NeurIPS 2020, section 3).
Everything but the optimizers is captured in CUDA graphs; pictures, augmentation and all statistics stay on the device,
so that no step waits for the host.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.training import distributed
from gan_core.training.augment import augment
from gan_core.training.capture import capture
from gan_core.training.data import PictureStream
from gan_core.training.ema import decay_of, half_life_of, update_average
from gan_core.training.feature_distance import FeatureDistance, ImageNetDistance
from gan_core.training.gradients import Flat, check_finite
from gan_core.training.objective import gradient_penalty
from gan_core.training.sources import Stream
from gan_core.training.swapping_autoencoder.growing import grow
from gan_core.training.swapping_autoencoder.losses import (
    colour_distance,
    colour_view,
    fake_loss,
    layout_view,
    random_crops,
    real_loss,
    swap_pairs,
)
from gan_core.training.swapping_autoencoder.settings import SwappingAutoencoderSettings, build_networks

log = logging.getLogger(__name__)
States = Mapping[str, Mapping[str, Tensor]]


class ResolutionStage:
    """Networks of one resolution, and how to train them."""

    def __init__(
        self,
        settings: SwappingAutoencoderSettings,
        pictures: Tensor | Stream,  # uint8 (N, 3, R, R), or a stream; R of this stage
        processes: distributed.ProcessGroup,
        *,
        dropped: int = 0,  # number of times that the full resolution is halved
        start: States | None = None,  # states of this or a smaller stage, by NAMES and NAMES_average
        features: FeatureDistance | ImageNetDistance | None = None,
        graphs: bool = True,
    ) -> None:
        self.settings, self.processes, self.dropped = settings, processes, dropped
        device = processes.device
        self.batch = settings.batch << min(dropped, 2)
        torch.manual_seed(settings.seed)
        self.networks = build_networks(settings, dropped)
        self.averages = {n: copy.deepcopy(self.networks[n]) for n in ("encoder", "generator")}
        self.fade = torch.ones((), device=device)
        self.fading = False
        for name, net in [*self.networks.items(), *((f"{n}_average", a) for n, a in self.averages.items())]:
            net.to(device)
            if start is not None:
                self.fading |= grow(net, start[name], self.fade) > 0
            processes.broadcast_(list(net.state_dict().values()))
        for net in self.averages.values():
            net.eval().requires_grad_(False)
        if self.fading:
            self.fade.zero_()
        self.stream = PictureStream(pictures.to(device)) if isinstance(pictures, Tensor) else pictures
        self.resolution = settings.resolution >> dropped
        self.features = None
        if features is not None and settings.feature and features.resolution in (None, self.resolution):
            self.features = features.to(device)
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        nets = self.networks
        self.discriminators = Flat(nn.ModuleList([nets["discriminator"], nets["patch_discriminator"]]))
        self.coder = Flat(nn.ModuleList([nets["encoder"], nets["generator"]]))
        adam = {"lr": settings.lr, "betas": (0.0, 0.99), "eps": 1e-8, "fused": device.type == "cuda"}
        self.optimizers = {
            "discriminators": torch.optim.Adam(self.discriminators.parameters, **adam),
            "coder": torch.optim.Adam(self.coder.parameters, **adam),
        }
        self.strength = torch.full((), settings.augment_start, device=device)
        self.sums: dict[str, Tensor] = {}
        self.counted = self.steps = self.images_here = 0
        self.images_seen = 0  # over all stages
        torch.manual_seed(settings.seed + 1 + processes.rank + 1000 * dropped)
        self._run = self._pieces()
        self.captured = False
        if graphs and device.type == "cuda":
            self._capture()

    # ------------------------------------------------------------ the step's pieces

    def _score(self, images: Tensor) -> Tensor:
        return self.networks["discriminator"](images, dtype=self.dtype)

    def _describe(self, crops: Tensor) -> Tensor:
        return self.networks["patch_discriminator"].describe(crops.to(self.dtype))

    def _crops(self, images: Tensor) -> Tensor:
        return random_crops(images, self.settings.crops, self.networks["patch_discriminator"].crop_size)

    def _draw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions of the first half of the pictures (N, 3, R, R), and N swaps with their neighbours."""
        s, encoder = self.settings, self.networks["encoder"]
        if s.views:
            structure, _ = encoder(colour_view(images, s.views).to(self.dtype))
            _, texture = encoder(layout_view(images, s.views).to(self.dtype))
        else:
            structure, texture = encoder(images.to(self.dtype))
        half = images.shape[0] // 2
        structures = torch.cat([structure[:half], structure]).to(self.dtype)
        textures = torch.cat([texture[:half], swap_pairs(texture)])
        drawn = self.networks["generator"](structures, textures, noise=s.noise)
        return drawn[:half], drawn[half:]

    def _discriminators_piece(self, penalise: bool) -> None:
        """Both discriminators' gradients; with `penalise`, of their gradient penalties too."""
        s, half = self.settings, self.batch // 2
        self.discriminators.buffer.zero_()
        images = self.stream.draw(self.batch)
        with torch.no_grad():
            recon, swaps = self._draw(images)
        reals = augment(images, self.strength)
        fakes = augment(torch.cat([recon, swaps]), self.strength)
        real, fake = self._score(torch.cat([reals, fakes])).split([self.batch, half + self.batch])
        terms = {
            "d_real": s.gan * real_loss(real),
            "d_recon": s.gan / 2 * fake_loss(fake[:half]),
            "d_swap": s.gan / 2 * fake_loss(fake[half:]),
        }
        patch = self.networks["patch_discriminator"]
        crops = torch.cat([self._crops(images), self._crops(images), self._crops(swaps)])
        reference, same, swapped = self._describe(crops).chunk(3)
        terms["d_patch_real"] = s.patch * real_loss(patch.compare(reference, same))
        terms["d_patch_swap"] = s.patch * fake_loss(patch.compare(swap_pairs(reference), swapped))
        loss = sum(terms.values())
        if penalise:
            pixels = (self.resolution / 256) ** 2
            penalty = gradient_penalty(self._score, reals)
            pair = self._crops(images[:half]), self._crops(images[:half])
            patch_penalty = gradient_penalty(self._compare_joined, torch.cat(pair, 1).flatten(1, 2))
            loss = loss + penalty * (s.r1 * pixels / 2 * s.penalty_every)
            loss = loss + patch_penalty * (s.patch_r1 / 2 * s.penalty_every)
            self._count("r1", penalty, s.penalty_every)
            self._count("patch_r1", patch_penalty, s.penalty_every)
        loss.backward()
        sign = real.detach().sign().mean()
        if s.augment_target > 0:
            step = self.batch * self.processes.size / (s.augment_kimg * 1000)
            self.strength.add_((sign - s.augment_target).sign() * step).clamp_(0, s.augment_max)
        for name, value in (terms | {"sign": sign}).items():
            self._count(name, value)

    def _compare_joined(self, joined: Tensor) -> Tensor:
        """Scores of crops (N, 2 * T * 3, s, s): the references' channels, then the targets'."""
        reference, target = self._describe(joined.unflatten(1, (-1, 3))).chunk(2, 1)
        return self.networks["patch_discriminator"].compare(reference, target)

    def _coder_piece(self) -> None:
        """Encoder's and generator's gradients."""
        s, half = self.settings, self.batch // 2
        self.coder.buffer.zero_()
        for p in self.discriminators.parameters:
            p.requires_grad_(False)
        images = self.stream.draw(self.batch)
        recon, swaps = self._draw(images)
        others = swap_pairs(images)
        recon_score, swap_score = self._score(augment(torch.cat([recon, swaps]), self.strength)).split(
            [half, self.batch]
        )
        terms = {
            "l1": s.l1 * F.l1_loss(recon, images[:half]),
            "g_recon": s.gan / 2 * real_loss(recon_score),
            "g_swap": s.gan * real_loss(swap_score),
        }
        with torch.no_grad():
            reference = self._describe(self._crops(others))
        target = self._describe(self._crops(swaps))
        terms["g_patch"] = s.patch * real_loss(self.networks["patch_discriminator"].compare(reference, target))
        if s.colour:
            terms["colour"] = s.colour * colour_distance(swaps, others).mean()
        if self.features is not None:
            terms["feature"] = s.feature * self.features(recon, images[:half], self.dtype)
        sum(terms.values()).backward()
        for p in self.discriminators.parameters:
            p.requires_grad_(True)
        for name, value in terms.items():
            self._count(name, value)

    def _count(self, name: str, value: Tensor, times: int = 1) -> None:
        if name not in self.sums:
            self.sums[name] = torch.zeros((), device=self.processes.device)
        self.sums[name].add_(value.detach(), alpha=times)

    def _pieces(self) -> dict[str, Callable[[], None]]:
        return {
            "discriminators": lambda: self._discriminators_piece(False),
            "penalty": lambda: self._discriminators_piece(True),
            "coder": self._coder_piece,
        }

    def _capture(self) -> None:
        """Record the pieces, and reset the sums of the warm-up."""
        pieces = self._run
        self._run = capture(pieces, warm_up=2)
        self.captured = self._run["coder"] is not pieces["coder"]
        self.strength.fill_(self.settings.augment_start)
        for total in self.sums.values():
            total.zero_()

    # ------------------------------------------------------------ what a training loop calls

    def step(self, done: float) -> None:
        """One update of the discriminators and one of encoder and generator. done: share of the run so far, 0 to 1."""
        s = self.settings
        warm = min(1.0, (self.steps + 1) / 30)
        fall = min(1.0, (1 - done) / s.anneal) if s.anneal else 1.0
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = s.lr * warm * (0.05 + 0.95 * fall)
        self._run["penalty" if self.steps % s.penalty_every == 0 else "discriminators"]()
        self._update("discriminators", self.discriminators)
        self._run["coder"]()
        self._update("coder", self.coder)
        self.steps += 1
        self.counted += 1
        self.images_here += self.batch * self.processes.size
        self.images_seen += self.batch * self.processes.size
        if self.fading:
            self.fade.fill_(min(self.images_here / (s.fade_kimg * 1000), 1.0))
        self._update_averages()

    def _update(self, name: str, flat: Flat) -> None:
        self.processes.all_reduce_mean_(flat.buffer)
        flat.drop_non_finite()
        self.optimizers[name].step()

    @torch.no_grad()
    def _update_averages(self) -> None:
        s = self.settings
        decay = decay_of(self.batch * self.processes.size, half_life_of(self.images_seen, s.ema_kimg, s.ema_rampup))
        for name, average in self.averages.items():
            update_average(average, self.networks[name], decay)

    def read_losses(self) -> dict[str, float]:
        """Mean of each term, with its weight, since the last call; waits for the device."""
        count, self.counted = max(self.counted, 1), 0
        check_finite([self.discriminators, self.coder], count)
        names = list(self.sums)
        values = torch.stack([self.sums[n] for n in names]).tolist() if names else []
        for total in self.sums.values():
            total.zero_()
        result = {name: value / count for name, value in zip(names, values, strict=True)}
        return result | {"augment": self.strength.item(), "fade": self.fade.item()}

    @torch.inference_mode()
    def swap(self, structures: Tensor, textures: Tensor) -> Tensor:
        """Structure of the first pictures, texture of the second, both (N, 3, R, R); by the averages, float32."""
        encoder, generator = self.averages["encoder"], self.averages["generator"]
        structure, texture = encoder(structures.to(self.dtype))
        if textures is not structures:
            texture = encoder(textures.to(self.dtype))[1]
        return generator(structure.to(self.dtype), texture, noise="none").float().clamp(-1, 1)

    @torch.inference_mode()
    def evaluate(self, held_out: Tensor) -> dict[str, float]:
        """On pictures (N, 3, R, R) in [-1, 1]: mean PSNR of reconstructions in dB, and `colour_ratio` of swaps.

        `colour_ratio` is the distance of a swap's colours from its texture picture's over that of the two pictures.
        """
        psnr, near, far = [], [], []
        for part in held_out.split(32):
            mse = ((self.swap(part, part) - part) / 2).square().mean((1, 2, 3))
            psnr.append(-10 * mse.clamp_min(1e-12).log10())
            others = part.roll(1, 0)
            near.append(colour_distance(self.swap(part, others), others))
            far.append(colour_distance(part, others))
        ratio = torch.cat(near).mean() / torch.cat(far).mean().clamp_min(1e-6)
        mean = torch.cat(psnr).mean().item()
        return {"psnr": mean if math.isfinite(mean) else 0.0, "colour_ratio": ratio.item()}

    @torch.inference_mode()
    def grid(self, images: Tensor) -> Tensor:
        """A grid of (n + 1)^2 pictures from n pictures (n, 3, R, R): textures along the top, structures at the left.

        The corner is white; the diagonal reconstructs.
        """
        n = images.shape[0]
        rows = [torch.cat([torch.ones_like(images[:1]), images])]
        for picture in images.split(1):
            rows.append(torch.cat([picture, self.swap(picture.expand(n, -1, -1, -1).contiguous(), images)]))
        return torch.cat(rows)

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Of all networks and both averages, by NAMES and NAMES_average; the tensors are the networks' own."""
        named = self.networks | {f"{n}_average": a for n, a in self.averages.items()}
        return {name: net.state_dict() for name, net in named.items()}
