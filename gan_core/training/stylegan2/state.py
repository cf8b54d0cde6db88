"""What is updated, set, read, saved and loaded between the steps of a StyleGAN2 training."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.training import distributed
from gan_core.training.ema import decay_of, half_life_of, update_average
from gan_core.training.gradients import Flat, check_finite
from gan_core.training.growing import FadingDiscriminator
from gan_core.training.projected import FrozenProjection, ProjectedDiscriminator
from gan_core.training.stylegan2.settings import GanSettings


class TrainerState:
    """Networks, optimizers and counts of a `GanTrainer`, which makes them."""

    settings: GanSettings
    processes: distributed.ProcessGroup
    generator: nn.Module
    average: nn.Module
    discriminator: FadingDiscriminator
    projection: FrozenProjection | None
    projected: ProjectedDiscriminator
    generator_adam: torch.optim.Adam
    discriminator_adam: torch.optim.Adam
    projected_adam: torch.optim.Adam
    generator_flat: Flat
    discriminator_flat: Flat
    projected_flat: Flat
    strength: Tensor
    stats: Tensor
    fakes: Tensor
    real_maps: list[Tensor]
    fake_maps: list[Tensor]
    images_seen: int
    steps: int
    _run: dict[str, Callable[[], None]]

    @property
    def gradients(self) -> list[Flat]:
        """Gradients of all networks that are trained."""
        own = [self.generator_flat, self.discriminator_flat]
        return own if self.projection is None else [*own, self.projected_flat]

    @torch.no_grad()
    def _update_average(self) -> None:
        s = self.settings
        half_life = half_life_of(self.images_seen, s.ema_kimg, s.ema_rampup)
        update_average(self.average, self.generator, decay_of(s.batch * self.processes.size, half_life))
        self.average.mapping.w_avg.copy_(self.generator.mapping.w_avg)

    def set_progress(self, done: float) -> None:
        """Set the learning rate after a share `done` (0 to 1) of the run."""
        s = self.settings
        left = min((1 - done) / s.decay, 1.0) if s.decay > 0 else 1.0
        rates = [(self.generator_adam, s.lr), (self.discriminator_adam, s.lr)]
        if self.projection is not None:
            rates.append((self.projected_adam, s.projected_lr))
        for adam, rate in rates:
            for group in adam.param_groups:
                group["lr"] = rate * (0.1 + 0.9 * left)

    def read_stats(self) -> dict[str, float]:
        """Means since the last call; waits for the device.

        Raises:
            TrainingDiverged: more than half of the gradients since then were not finite.
        """
        d, g, sign, penalty, penalties, steps, projected = self.stats[:7].tolist()
        self.stats.zero_()
        dropped = check_finite(self.gradients, max(int(steps), 1))
        steps, penalties = max(steps, 1), max(penalties, 1)
        return {
            "loss_d": d / steps,
            "loss_g": g / steps,
            "sign": sign / steps,
            "penalty": penalty / penalties,
            "loss_projected": projected / steps,
            "dropped": dropped,
            "augment": self.strength.item(),
        }

    @torch.no_grad()
    def sample(self, count: int, psi: float = 1.0, seed: int = 1) -> Tensor:
        """Pictures of the averaged generator, (count, 3, R, R), on the CPU."""
        z = torch.randn(count, self.settings.z_dim, generator=torch.Generator().manual_seed(seed))
        return torch.cat(
            [self.average(part.to(self.processes.device), psi=psi, noise="const").cpu() for part in z.split(32)]
        )

    def close(self) -> None:
        """Drop the recordings after the last step: NCCL cannot shut down while a recording contains its operations."""
        self._run.clear()
        self.fakes = torch.empty(0)
        self.real_maps, self.fake_maps = [], []
        gc.collect()

    def save(self, folder: Path) -> None:
        """Weights in half precision: averaged generator, generator, discriminator."""
        note = {"images_seen": self.images_seen, "settings": asdict(self.settings)}
        nets = {
            "generator_ema": self.average,
            "generator": self.generator,
            "discriminator": self.discriminator.discriminator,
        }
        for name, net in nets.items():
            store.save(folder / f"{name}.safetensors", net.state_dict(), config={**net.config, "training": note})
        if self.projection is not None:
            # The spectral normalisation's vectors belong to the weights.
            store.save(
                folder / "projected.safetensors",
                self.projected.state_dict(),
                config={"resolution": self.settings.resolution, "training": note},
            )

    def save_state(self, path: Path) -> None:
        """Everything that is needed to resume exactly, in full precision."""
        state = {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.discriminator.state_dict(),
            "generator_adam": self.generator_adam.state_dict(),
            "discriminator_adam": self.discriminator_adam.state_dict(),
            "images_seen": self.images_seen,
            "steps": self.steps,
            "strength": self.strength,
        }
        if self.projection is not None:
            state["projected"] = self.projected.state_dict()
            state["projected_adam"] = self.projected_adam.state_dict()
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(path)

    def load_state(self, path: Path) -> None:
        """Continue from `save_state`."""
        state = torch.load(path, map_location=self.processes.device, weights_only=True)
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.discriminator.discriminator.load_state_dict(state["discriminator"])
        self.generator_adam.load_state_dict(state["generator_adam"])
        self.discriminator_adam.load_state_dict(state["discriminator_adam"])
        if self.projection is not None:
            self.projected.load_state_dict(state["projected"])
            self.projected_adam.load_state_dict(state["projected_adam"])
        self.images_seen, self.steps = state["images_seen"], state["steps"]
        self.strength.copy_(state["strength"])
        self.discriminator.fade.fill_(1.0)
