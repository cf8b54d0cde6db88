"""One step of CoModGAN's training, in pieces that can be recorded as CUDA graphs (see `training.stylegan2.step`).

Differences from an unconditional step:
- The relativistic loss compares a real picture with the completions of it, under the same augmentation. They share all
  known pixels, so the loss compares the content of the hole.
- Each condition is completed `pairs` times. This saves encoder passes, and a hinge on the difference of two completions
  keeps large holes from having one answer only.
- An L1 loss on the raw picture's known pixels makes it fit at the rim before anything is pasted. In small holes, which
  are largely determined by their surroundings, hidden pixels count as well. A further loss compares colours of blocks.
The discriminator sees picture and mask (or drawing); so does the projected one, which gets the mask beside features.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from gan_core.comodgan.edges import lines
from gan_core.comodgan.networks import CoModGenerator, Encoding, drawing_condition, hole_condition
from gan_core.errors import BadValue
from gan_core.stylegan2 import Discriminator
from gan_core.training import distributed
from gan_core.training.augment import draw_transforms, transform
from gan_core.training.comodgan.hand import Hand, HandDrawn, any_of
from gan_core.training.comodgan.losses import (
    colour_loss,
    counted_pixels,
    drawn_lines_loss,
    known_nearby,
    reconstruction_loss,
    spread_loss,
    spread_of,
)
from gan_core.training.comodgan.settings import TASKS, CoModGANSettings, HeldOut, Starts
from gan_core.training.comodgan.start import start_networks, start_plain
from gan_core.training.data import PictureStream
from gan_core.training.growing import FadingDiscriminator
from gan_core.training.objective import discriminator_loss, generator_loss
from gan_core.training.people import PeopleStream
from gan_core.training.places import PlacesStream
from gan_core.training.stylegan2.step import INITIAL_SEED, GanTrainer, Pictures


class CoModGANTrainer(GanTrainer):
    """Networks, optimizers and the pieces of a step.

    holes: (M, R, R) uint8, 1 = hole, the bank of masks, also of what a hand leaves out for the task "drawing".
    """

    settings: CoModGANSettings
    beside = 1

    def __init__(
        self,
        settings: CoModGANSettings,
        pictures: Pictures,
        processes: distributed.ProcessGroup,
        holes: Tensor,
        held_out: HeldOut | None = None,
        starts: Starts | None = None,
        graphs: bool = True,
    ) -> None:
        if settings.task not in TASKS:
            raise BadValue(f"The task must be one of {', '.join(TASKS)}, not {settings.task}.")
        if settings.task == "drawing" and isinstance(pictures, PlacesStream):
            raise BadValue("Drawings are made of portraits (--data or --people), not of places.")
        if settings.batch % (4 * settings.pairs):
            raise BadValue(f"The batch must be a multiple of {4 * settings.pairs}.")  # the spread's groups of four
        self.settings, self.processes = settings, processes
        torch.manual_seed(INITIAL_SEED + settings.seed)
        shape: dict[str, Any] = {"channel_base": settings.channel_base, "channel_max": settings.channel_max}
        generator = CoModGenerator(
            settings.resolution,
            in_channels=4 if settings.task == "hole" else 1,
            z_dim=settings.z_dim,
            w_dim=settings.w_dim,
            global_dim=settings.global_dim,
            mapping_layers=settings.mapping_layers,
            skip_gain=True,
            **shape,
        )
        discriminator = Discriminator(settings.resolution, img_channels=4, **shape)
        device = processes.device
        self.holes, self.held_out = holes.to(device), held_out
        self.hand = Hand(self.holes, settings.seed) if settings.task == "drawing" else None
        starts = starts or Starts()
        average_start = start_networks(generator, discriminator, starts, lambda: self._condition(pictures))
        average = copy.deepcopy(generator)
        if average_start is not None:
            average.load_state_dict(average_start)
        if settings.plain:
            for net in (generator, average):
                start_plain(net)
        self._projected_start = starts.projected
        self.reals = torch.empty(0)  # pictures of this step, (batch / pairs, 3, R, R)
        self.hole = torch.empty(0)  # and their holes, (batch / pairs, 1, R, R)
        self.drawn: HandDrawn | None = None  # and the drawings made of them
        self.seen = torch.empty(0)  # mask or drawing that the discriminator sees beside them, of the same shape
        self.moves: Any = None  # the augmentation of this step's pictures
        self.raw = torch.empty(0)  # the generator's pictures, (batch, 3, R, R), nothing pasted
        self._set_up(generator, average, FadingDiscriminator(discriminator), pictures, graphs)

    def _condition(self, pictures: Pictures) -> Tensor:
        """Some conditions (N, C, R, R) on the CPU."""
        image = pictures[:16].float() / 127.5 - 1 if isinstance(pictures, Tensor) else pictures.draw(16).cpu()
        if self.settings.task == "hole":
            return hole_condition(image, 1 - self.holes[: len(image), None].float().cpu())
        return drawing_condition(lines(image))

    # ------------------------------------------------------------ pieces of a step

    def _draw_piece(self) -> None:
        s, net, device = self.settings, self.generator, self.processes.device
        self.generator_flat.buffer.zero_()
        n = s.batch // s.pairs
        mattes = None
        if isinstance(self.stream, PeopleStream):
            image, mattes = self.stream.draw_with_mattes(n)  # in another light each time
        else:
            image = self.stream.draw(n)
        if isinstance(self.stream, PictureStream):
            light = torch.randn(2, n, 1, 1, 1, device=device) * s.jitter
            image = (image * torch.exp2(light[0]) + light[1]).clamp(-1, 1)
        if self.hand is None:
            hole = any_of(self.holes, n)
            hole = torch.where(torch.rand(n, 1, 1, 1, device=device) < s.full, 1.0, hole)
            seen, condition = 0.5 - hole, hole_condition(image, 1 - hole)
        else:
            self.drawn = self.hand.draw(image, mattes)
            condition = seen = drawing_condition(self.drawn.drawing)
            hole = torch.ones_like(seen)
        self.reals, self.seen, self.hole = image, seen, hole
        self.moves = draw_transforms(n, self.strength, device)
        encoding = net.encode(condition.to(self.dtype))
        repeat = (s.pairs, 1, 1, 1)
        encoding = Encoding(
            {side: x.repeat(repeat) if s.pairs > 1 else x for side, x in encoding.features.items()},
            encoding.code.repeat(s.pairs, 1),
        )
        self.raw = net.decode(encoding, self._latents(), noise="none" if s.plain else "random", dtype=self.dtype)
        if s.task == "hole":
            known = 1 - hole.repeat(repeat)
            self.fakes = self.raw * (1 - known) + image.repeat(repeat) * known
        else:
            self.fakes = self.raw

    def _latents(self) -> Tensor:
        """See `GanTrainer`; for the plain baseline, which has no latent, the mean (batch, num_ws, w_dim)."""
        if self.settings.plain:
            return self.generator.mapping.w_avg.expand(self.settings.batch, self.generator.num_ws, -1)
        return super()._latents()

    def _fakes_seen(self) -> Tensor:
        """The discriminator's input for the completions, (batch, 4, R, R). A condition's completions are neighbouring
        rows, so that no two of them are in the same group of the minibatch statistics, where their similarity would
        show."""
        k = self.settings.pairs
        both = torch.cat([self.fakes, self.seen.repeat(k, 1, 1, 1)], 1)
        both = both.unflatten(0, (k, -1)).transpose(0, 1).flatten(0, 1)
        return transform(both, *(self._side_by_side(x) for x in self.moves))

    def _side_by_side(self, x: Tensor) -> Tensor:
        """Repeat each row `pairs` times."""
        k = self.settings.pairs
        return x if k == 1 else x[:, None].expand(-1, k, *x.shape[1:]).flatten(0, 1)

    def _discriminator_piece(self, penalise: bool) -> None:
        self.discriminator_flat.buffer.zero_()
        with torch.no_grad():
            fakes = self._fakes_seen()
            reals = transform(torch.cat([self.reals, self.seen], 1), *self.moves)
        pictures = [x[:, :3].clone().requires_grad_(penalise) for x in (reals, fakes)]
        real, fake = (self._score(torch.cat([p, x[:, 3:]], 1)) for p, x in zip(pictures, (reals, fakes), strict=True))
        paired = self._side_by_side(real)
        loss = discriminator_loss(paired, fake)
        self._note_scores(paired, fake, loss)
        if penalise:
            loss = loss + self._penalty(real, pictures[0], fake, pictures[1])
        with self.discriminator_flat.exchanged(self.processes):
            loss.backward()
        self.discriminator_flat.drop_non_finite()

    def _generator_piece(self) -> None:
        with self._discriminators_fixed():
            loss = self._adversarial(generator_loss(self.real_scores, self._score(self._fakes_seen())))
            with self.generator_flat.exchanged(self.processes):
                (loss + self._other_losses()).backward()
            self.generator_flat.drop_non_finite()
        if self.settings.plain:  # its layers are not modulated by the condition
            for name, p in self.generator.named_parameters():
                if name.endswith("affine.weight"):
                    p.grad[:, self.settings.w_dim :].zero_()

    def _projected_input(self) -> tuple[Tensor, Tensor]:
        """Pictures with mask or drawing: (batch / pairs, 4, R, R) real ones and (batch, 4, R, R) completions."""
        return torch.cat([self.reals, self.seen], 1), torch.cat([self.fakes, self._repeated(self.seen)], 1)

    def _other_losses(self) -> Tensor:
        """The losses of `losses.py`, weighted; without latents and modulation (`plain`) all pixels count alike."""
        s, k = self.settings, self.settings.pairs
        if s.task == "hole":
            counted = torch.ones_like(self.hole) if s.plain else counted_pixels(self.hole, s.small_hole)
            difference = self.raw - self._repeated(self.reals)
            first = reconstruction_loss(difference, self._repeated(counted))
            near = self._repeated(known_nearby(self.hole))
            total = s.known_weight * first + s.colour_weight * colour_loss(difference, self._repeated(self.hole), near)
        else:
            assert self.drawn is not None
            wanted = (self.drawn.lines, self.drawn.counted, self.drawn.amount)  # what the hand meant
            first = drawn_lines_loss(self.raw, *(self._repeated(x) for x in wanted))
            total = s.follow_weight * first
        self.stats[8] += first.detach()
        if k > 1 and s.spread_weight > 0:
            first_of_each, second_of_each = self.raw.chunk(k)[:2]
            spread = spread_of(first_of_each, second_of_each, self.hole)
            total = total + s.spread_weight * spread_loss(spread, self.hole, s.spread)
            self.stats[9] += (spread.detach() / 2).mean()
        return total

    def _repeated(self, x: Tensor) -> Tensor:
        """Rows (batch / pairs, ...) as often as each condition is completed, (batch, ...), in the order of `raw`."""
        return x.repeat(self.settings.pairs, 1, 1, 1)

    # ------------------------------------------------------------ what the log and the grids show

    def read_stats(self) -> dict[str, float]:
        """Means since the last call, and the averaged network's numbers on held-out pictures; waits for the device."""
        steps = max(self.stats[5].item(), 1)
        own = {"l1": self.stats[8].item() / steps, "spread": self.stats[9].item() / steps}
        return super().read_stats() | own | self.held_out_stats()

    @torch.no_grad()
    def held_out_stats(self) -> dict[str, float]:
        """`diversity`: mean difference of two completions inside the hole, share of the range, with half of the picture
        hidden (or of a drawing); `known`: mean L1 error of the raw picture at the known pixels."""
        if self.held_out is None:
            return {}
        count = min(16, len(self.held_out.pictures))
        image, hole = self._held_out(slice(count), self.held_out.half)
        z = torch.randn(2, self.settings.z_dim, generator=torch.Generator().manual_seed(0)).to(image.device)
        a, b = (self._complete(image, hole, row[None])[1].clamp(-1, 1) for row in z)
        inside = hole if self.settings.task == "hole" else torch.ones_like(hole)
        diversity = ((a - b).abs() * inside).sum() / (2 * 3 * inside.sum())
        off = ((a - image).abs() * (1 - inside)).sum() / (3 * (1 - inside).sum().clamp_min(1))
        return {"diversity": diversity.item(), "known": off.item()}

    def _held_out(self, rows: slice, conditions: Tensor) -> tuple[Tensor, Tensor]:
        assert self.held_out is not None
        device = self.processes.device
        image = self.held_out.pictures[rows].to(device).float() / 127.5 - 1
        scale = 1 if self.settings.task == "hole" else 255
        return image, conditions[rows].to(device).float() / scale

    def _complete(self, image: Tensor, hole: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The condition as a picture, and the averaged network's raw picture; z (1, z_dim) is used for all rows."""
        if self.settings.task == "hole":
            given, condition = image * (1 - hole), hole_condition(image, 1 - hole)
        else:
            given, condition = (1 - 2 * hole).expand(-1, 3, -1, -1), drawing_condition(hole)
        w = self.average.mapping.truncate(self.average.mapping(z), 0.0 if self.settings.plain else 1.0)
        raw = self.average.decode(
            self.average.encode(condition), w.expand(len(image), -1), noise="none" if self.settings.plain else "const"
        )
        return given, raw

    @torch.no_grad()
    def sample(self, count: int, psi: float = 1.0, seed: int = 1) -> Tensor:
        """Pictures for a grid of ten columns, (count, 3, R, R) on the CPU: for two held-out pictures a row, the
        condition, the raw picture and three completions."""
        if self.held_out is None:
            return torch.zeros(count, 3, *[self.settings.resolution] * 2)
        n = min(count // 5, len(self.held_out.pictures))
        image, hole = self._held_out(slice(n), self.held_out.conditions)
        z = torch.randn(4, self.settings.z_dim, generator=torch.Generator().manual_seed(seed)).to(image.device)
        columns = []
        for i, row in enumerate(z):
            given, raw = self._complete(image, hole, row[None])
            done = given + hole * raw if self.settings.task == "hole" else raw
            columns += [given, raw] if i == 0 else [done]
        return torch.stack(columns, 1).flatten(0, 1).cpu()

    def close(self) -> None:
        """Drop the recordings and their tensors."""
        self.raw = self.reals = self.seen = self.hole = torch.empty(0)
        self.moves = self.drawn = None
        super().close()
