"""One step of StyleGAN2's training (Karras et al. 2020), in pieces that can be recorded as CUDA graphs.

Pictures, augmentation and its adaptive strength stay on the device, so that no step waits for the host. There can be
two discriminators: one of pixels, and one of ImageNet features (`gan_core.training.projected`). The training steps of
other papers extend this class.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gan_core.features import load as load_features
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training import distributed
from gan_core.training.augment import augment
from gan_core.training.capture import capture
from gan_core.training.data import PictureStream
from gan_core.training.diff_augment import diff_augment
from gan_core.training.gradients import Flat
from gan_core.training.growing import FadingDiscriminator, grow_generator
from gan_core.training.objective import discriminator_loss, generator_loss, gradient_norm
from gan_core.training.people import PeopleStream
from gan_core.training.places import PlacesStream
from gan_core.training.projected import FrozenProjection, ProjectedDiscriminator, beside_maps
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.state import TrainerState

Pictures: TypeAlias = Tensor | PeopleStream | PlacesStream  # uint8 (N, 3, H, W), or a stream of pictures on the device


# Networks start from random numbers that nobody draws latents from. The first generation began at seed 0: the first 256
# latents of seed 0 are the rows of their mapping networks' first weights, for which the layers answer far outside of
# their range; samples of seed 0 show too much contrast. For those networks, draw latents from another seed.
INITIAL_SEED = 1_500_000_000  # below 2^32, of which no more bits count


class GanTrainer(TrainerState):
    """Generator, discriminator, their optimizers and the captured pieces of a step.

    The generated pictures of a step serve both updates: the discriminator's, and then the generator's, which has not
    changed in between. The generator's relativistic loss uses the real pictures' scores from before the discriminator's
    update. Each of these saves a pass of a network.
    """

    beside = 0  # channels of the condition that the projected discriminators see beside the features
    gpu_dtype = torch.bfloat16  # of the networks' passes on a GPU

    def __init__(
        self,
        settings: GanSettings,
        pictures: Pictures,
        processes: distributed.ProcessGroup,
        generator_start: dict[str, Tensor] | None = None,
        discriminator_start: dict[str, Tensor] | None = None,
        ema_start: dict[str, Tensor] | None = None,
        projected_start: dict[str, Tensor] | None = None,
        graphs: bool = True,
    ) -> None:
        self.settings, self.processes = settings, processes
        torch.manual_seed(INITIAL_SEED + settings.seed)
        shape: dict[str, Any] = {
            "channel_base": settings.channel_base,
            "channel_max": settings.channel_max,
            "start_shape": settings.start_shape,
        }
        generator = Generator(
            settings.resolution,
            z_dim=settings.z_dim,
            w_dim=settings.w_dim,
            mapping_layers=settings.mapping_layers,
            **shape,
        )
        discriminator = Discriminator(settings.resolution, **shape)
        average = copy.deepcopy(generator)
        if generator_start is not None:
            grow_generator(generator, generator_start)
            average.load_state_dict(generator.state_dict())
            if ema_start is not None:
                grow_generator(average, ema_start)
        self._projected_start = projected_start
        self._set_up(generator, average, FadingDiscriminator(discriminator, discriminator_start), pictures, graphs)

    def _set_up(
        self,
        generator: nn.Module,
        average: nn.Module,
        discriminator: FadingDiscriminator,
        pictures: Pictures,
        graphs: bool,
    ) -> None:
        """Put everything on the device, make the optimizers and record the pieces of a step."""
        settings, processes, device = self.settings, self.processes, self.processes.device
        layout = {"memory_format": torch.channels_last}
        self.generator = generator.to(device, **layout)
        self.average = average.to(device, **layout).eval().requires_grad_(False)
        self.discriminator = discriminator.to(device, **layout)
        for net in (self.generator, self.average, self.discriminator):
            processes.broadcast_(list(net.state_dict().values()))
        if isinstance(pictures, Tensor):
            self.pictures = pictures.to(device)
            self.stream: PictureStream | PeopleStream | PlacesStream = PictureStream(self.pictures)
        else:
            self.stream = pictures
        self.dtype = self.gpu_dtype if device.type == "cuda" else torch.float32
        adam = {"lr": settings.lr, "betas": (0.0, 0.99), "eps": 1e-8, "fused": device.type == "cuda"}
        self.generator_flat, self.discriminator_flat = Flat(self.generator), Flat(self.discriminator)
        self.generator_adam = torch.optim.Adam(self.generator_flat.parameters, **adam)
        self.discriminator_adam = torch.optim.Adam(self.discriminator_flat.parameters, **adam)
        self.projection: FrozenProjection | None = None
        if settings.projected_weight > 0:
            # Allocated before the capture: one of two recordings fills it in a step, and memory that a recording
            # allocates may be reused by another one.
            self.reals = torch.zeros(settings.batch, 3, settings.resolution, settings.width, device=device)
            self.projection = FrozenProjection(load_features()).to(device, **layout)
            self.projected = ProjectedDiscriminator(settings.resolution, self.beside)
            if self._projected_start is not None:
                self.projected.load_state_dict(self._projected_start)
            self.projected.to(device, **layout)
            processes.broadcast_(list(self.projected.state_dict().values()))
            self.projected_flat = Flat(self.projected)
            self.projected_adam = torch.optim.Adam(
                self.projected_flat.parameters, **{**adam, "lr": settings.projected_lr}
            )
        self.strength = torch.full((), settings.augment_start, device=device)
        # D loss, G loss, sign, penalty, penalties, steps, projected D loss, unused; from 8 on, four for a paper
        self.stats = torch.zeros(12, device=device)
        self.fakes = torch.empty(0)  # drawn by this step, with their graph
        self.real_maps: list[Tensor] = []  # of the frozen projection
        self.fake_maps: list[Tensor] = []  # with their graph
        self.real_scores = torch.zeros(settings.batch, 1, device=device)
        self.images_seen = 0
        self.steps = 0
        torch.manual_seed(settings.seed + 1 + processes.rank)
        self._run = self._pieces()
        if graphs and device.type == "cuda":
            self._run = capture(self._run)
            for p in self.discriminator_flat.parameters:  # a failed recording may have left them disabled
                p.requires_grad_(True)
            self.strength.fill_(settings.augment_start)
            self.stats.zero_()
            for flat in self.gradients:
                flat.dropped.zero_()

    def _score(self, images: Tensor) -> Tensor:
        return self.discriminator(images, dtype=self.dtype)

    def _reals(self) -> Tensor:
        """Real pictures (batch, 3, R, R) in [-1, 1]."""
        return self.stream.draw(self.settings.batch)

    def _draw(self, w_plus: Tensor) -> Tensor:
        """Pictures of latents (batch, num_ws, w_dim)."""
        return self.generator.synthesis(w_plus, noise="random", dtype=self.dtype)

    def _discriminator_losses(self, reals: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (batch, 1) of both, and the loss without penalties."""
        real, fake = self._score(reals), self._score(fakes)
        return real, fake, discriminator_loss(real, fake)

    def _generator_losses(self, fakes: Tensor) -> Tensor:
        return generator_loss(self.real_scores, self._score(fakes))

    def _draw_piece(self) -> None:
        self.generator_flat.buffer.zero_()
        self.fakes = self._draw(self._latents())

    def _latents(self) -> Tensor:
        """w+ (batch, num_ws, w_dim), some of two latents: from a random layer on they are of the second one (style
        mixing, Karras et al. 2019, section 3.1)."""
        s, net, device = self.settings, self.generator, self.processes.device
        w = net.mapping(torch.randn(2 * s.batch, s.z_dim, device=device))
        net.mapping.w_avg.lerp_(w.detach().mean(0), 0.005)
        first, second = w.chunk(2)
        layer = torch.arange(net.num_ws, device=device)[None, :, None]
        cut = torch.randint(1, net.num_ws, (s.batch, 1, 1), device=device)
        mixed = (torch.rand(s.batch, 1, 1, device=device) < s.mixing) & (layer >= cut)
        return torch.where(mixed, second[:, None], first[:, None])

    def _discriminator_piece(self, penalise: bool) -> None:
        self.discriminator_flat.buffer.zero_()
        with torch.no_grad():
            fakes = augment(self.fakes, self.strength)
            drawn = self._reals()
            if self.projection is not None:
                self.reals.copy_(drawn)
            reals = augment(drawn, self.strength)
        reals.requires_grad_(penalise)
        fakes.requires_grad_(penalise)
        real, fake, loss = self._discriminator_losses(reals, fakes)
        self._note_scores(real, fake, loss)
        if penalise:
            loss = loss + self._penalty(real, reals, fake, fakes)
        with self.discriminator_flat.exchanged(self.processes):
            loss.backward()
        self.discriminator_flat.drop_non_finite()

    def _note_scores(self, real: Tensor, fake: Tensor, loss: Tensor) -> None:
        """Keep the scores (batch, 1) of real pictures for the generator, count the step, and adapt the strength of the
        augmentation to how often real pictures score higher (Karras et al. 2020, ADA, section 3)."""
        s = self.settings
        self.real_scores.copy_(real.detach())
        self.stats[0] += loss.detach()
        sign = (real - fake).detach().sign().mean()
        self.stats[2] += sign
        self.stats[5] += 1
        if s.augment_target > 0:
            step = s.batch * self.processes.size / (s.augment_kimg * 1000)
            self.strength.add_((sign - s.augment_target).sign() * step).clamp_(0, s.augment_max)

    def _penalty(self, real: Tensor, reals: Tensor, fake: Tensor, fakes: Tensor) -> Tensor:
        """R1 and R2, weighted, of scores (batch, 1) and the pictures that they are of, which require gradients."""
        penalty = gradient_norm(real, reals) + gradient_norm(fake, fakes)
        self.stats[3] += penalty.detach()
        self.stats[4] += 1
        return penalty * (self.settings.gamma / 2 * self.settings.penalty_every)

    def _projected_piece(self) -> None:
        """Gradients of the projected discriminators; the features of the generated pictures are kept for the
        generator."""
        self.projected_flat.buffer.zero_()
        reals, fakes = self._projected_input()
        with torch.no_grad():
            self.real_maps = self._maps(reals)
        self.fake_maps = self._maps(fakes)
        loss = self.projected.losses(self.real_maps, [x.detach() for x in self.fake_maps])
        self.stats[6] += loss.detach()
        with self.projected_flat.exchanged(self.processes):
            loss.backward()
        self.projected_flat.drop_non_finite()

    def _projected_input(self) -> tuple[Tensor, Tensor]:
        """Real and generated pictures (N, 3 + beside, R, R) for the projected discriminators."""
        return self.reals, self.fakes

    def _maps(self, pictures: Tensor) -> list[Tensor]:
        """Augmented, then projected; channels after the third are put beside the maps."""
        assert self.projection is not None
        changed = diff_augment(pictures)
        maps = self.projection(changed[:, :3], self.dtype)
        return beside_maps(maps, changed[:, 3:]) if self.beside else maps

    def _generator_piece(self) -> None:
        with self._discriminators_fixed():
            loss = self._adversarial(self._generator_losses(augment(self.fakes, self.strength)))
            with self.generator_flat.exchanged(self.processes):
                loss.backward()
            self.generator_flat.drop_non_finite()

    def _adversarial(self, pixel_loss: Tensor) -> Tensor:
        """The generator's loss against all discriminators, weighted, given the one of pixels."""
        loss = pixel_loss * self.settings.pixel_weight
        if self.projection is not None:
            loss = loss + self.projected.generator_loss(self.real_maps, self.fake_maps) * self.settings.projected_weight
        self.stats[1] += loss.detach()
        return loss

    @contextmanager
    def _discriminators_fixed(self) -> Iterator[None]:
        """Context of the generator's pass, in which no gradients of the discriminators are computed."""
        trained = [*self.discriminator_flat.parameters]
        trained += self.projected_flat.parameters if self.projection is not None else []
        for p in trained:
            p.requires_grad_(False)
        yield
        for p in trained:
            p.requires_grad_(True)

    def _pieces(self) -> dict[str, Callable[[], None]]:
        pieces = {
            "draw": self._draw_piece,
            "discriminator": lambda: self._discriminator_piece(False),
            "penalty": lambda: self._discriminator_piece(True),
        }
        if self.projection is not None:
            pieces["projected"] = self._projected_piece
        return {**pieces, "generator": self._generator_piece}

    def step(self) -> None:
        """One update of the discriminator and one of the generator."""
        s = self.settings
        self._run["draw"]()
        self._run["penalty" if self.steps % s.penalty_every == 0 else "discriminator"]()
        self.discriminator_adam.step()
        if self.projection is not None:
            self._run["projected"]()
            self.projected_adam.step()
        self._run["generator"]()
        self.generator_adam.step()
        self.steps += 1
        self.images_seen += s.batch * self.processes.size
        self._update_average()
        if self.discriminator.old_from_rgb is not None:
            self.discriminator.fade.fill_(min(self.images_seen / (s.fade_kimg * 1000), 1.0))
