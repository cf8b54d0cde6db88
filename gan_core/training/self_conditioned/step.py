"""Steps (c) and (d): the networks with their additions, and one training step (Liu et al. 2022, sections 3 and 4).

What differs from `gan_core.training.stylegan2.step.GanTrainer`:
- Real pictures are drawn uniformly in their labels; each has its label, or the opposite one where it is mirrored.
- Generated pictures have attribute values drawn uniformly from [0, 1], independent of their latent; with more than
  three attributes three random ones, the others being the latent's own, as real pictures are drawn (`draw_uniformly`).
- Both networks have a loss on the attribute head: the divergence of its softmax from the soft label, on real pictures
  for the discriminator, on generated ones for the generator.
- The mapping network is not trained, so that a seed is the same face in both generators and the encoder's latents
  remain valid. Part of the latents are those of inverted training pictures, because real pictures will be edited later.

Not in the paper, for small data:
- A share of the real pictures is drawn without reweighting, and as many generated ones have the attribute values of
  their own latents, so that the middle of the distribution is learned as well as its tails.
- Generated pictures come in pairs of one latent with different values. The cosine distance of the two identities, by an
  identity network (another one than in the evaluation), is part of the generator's loss. A share of the pairs differ in
  one attribute only, so that the change of identity is penalised for each attribute alone.
- At a latent's own attribute values, the generator's picture is kept near the pretrained generator's.
- There may be a second discriminator, of ImageNet features, as in `GanTrainer`. It reads no attributes.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.checkpoints.keys import load_strict
from gan_core.errors import BadValue
from gan_core.self_conditioned.labels import label_vector, soft_labels, weights_for_values, without_middle
from gan_core.self_conditioned.networks import SelfConditionedDiscriminator, SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.self_conditioned.space import AttributeSpace
from gan_core.stylegan2 import Generator
from gan_core.training import distributed
from gan_core.training.data import PictureStream
from gan_core.training.growing import FadingDiscriminator
from gan_core.training.people import PeopleStream
from gan_core.training.places import PlacesStream
from gan_core.training.self_conditioned.labelling import TOGETHER, Labels, draw_uniformly
from gan_core.training.self_conditioned.losses import attribute_divergence, identity_change, thumbnails
from gan_core.training.self_conditioned.settings import SelfConditionedSettings
from gan_core.training.stylegan2.step import INITIAL_SEED, GanTrainer

State = dict[str, Tensor]


def start_generator(generator: SelfConditionedGenerator, plain: State) -> None:
    """Copy a pretrained generator's weights. The constants stay zero, so that it draws the same pictures.

    The weights of a self-conditioned generator are copied with its constants. Raises BadCheckpoint if they do not fit.
    """
    state = plain if "constants" in plain else {**plain, "constants": torch.zeros_like(generator.constants)}
    load_strict(generator, state, "generator")


def start_discriminator(discriminator: SelfConditionedDiscriminator, plain: State) -> None:
    """Copy a pretrained discriminator's weights. The attribute head starts with the score's hidden layer and outputs 0.
    Raises BadCheckpoint if they do not fit."""
    state = dict(plain)
    if not any(name.startswith("attribute_head.") for name in plain):
        last = discriminator.attribute_head[1]
        state |= {f"attribute_head.0.{kind}": plain[f"epilogue.fc.{kind}"].clone() for kind in ("weight", "bias")}
        state |= {"attribute_head.1.weight": last.weight.detach() * 0.1, "attribute_head.1.bias": last.bias.detach()}
    load_strict(discriminator, state, "discriminator")


class SelfConditionedTrainer(GanTrainer):
    """Networks, optimizers and pieces of a step.

    Args:
        pictures: uint8 (N, 3, R, R), or a stream of people on the processes' device.
        labels: of the pictures and of their mirror images, in their order.
        space: measures the attribute values of latents (needed with `unweighted`, `single` or more than three
            attributes).
        identity_network: for the identity loss; None for none.
        plain: the pretrained generator (needed with `anchor_weight` only).

    Raises:
        BadValue: pictures, labels and settings do not fit together.
    """

    settings: SelfConditionedSettings

    def __init__(
        self,
        settings: SelfConditionedSettings,
        pictures: Tensor | PeopleStream,
        labels: Labels,
        processes: distributed.ProcessGroup,
        generator_start: State | None = None,
        discriminator_start: State | None = None,
        average_start: State | None = None,
        projected_start: State | None = None,
        graphs: bool = True,
        space: AttributeSpace | None = None,
        identity_network: FacePredictor | None = None,
        plain: Generator | None = None,
    ) -> None:
        if len(labels.values) != 2 * len(pictures):
            raise BadValue(f"There are {len(pictures)} pictures and labels of {len(labels.names)}.")
        if not 0 <= settings.unweighted <= 0.5 or settings.batch % 2:
            raise BadValue("At most half of the pictures can be drawn unweighted, and a batch is of an even number.")
        self.needs_own = bool(settings.unweighted or settings.single or labels.values.shape[1] > TOGETHER)
        if self.needs_own and space is None:
            raise BadValue("A latent's own values need the directions, which say what they are.")
        if settings.anchor_weight and (plain is None or not settings.unweighted):
            raise BadValue("An anchor needs the pretrained generator, and a share of pictures drawn unweighted.")
        if not 0 <= settings.single <= 1 or (settings.single and identity_network is None):
            raise BadValue("Pairs that differ in one attribute need an identity network.")
        self.settings, self.processes, device = settings, processes, processes.device
        torch.manual_seed(INITIAL_SEED + settings.seed)
        shape = {"channel_base": settings.channel_base, "channel_max": settings.channel_max}
        attributes = labels.values.shape[1]
        generator = SelfConditionedGenerator(
            settings.resolution,
            attributes=attributes,
            z_dim=settings.z_dim,
            w_dim=settings.w_dim,
            mapping_layers=settings.mapping_layers,
            **shape,
        )
        discriminator = SelfConditionedDiscriminator(settings.resolution, attributes=attributes, **shape)
        if generator_start is not None:
            start_generator(generator, generator_start)
        if discriminator_start is not None:
            start_discriminator(discriminator, discriminator_start)
        average = copy.deepcopy(generator)
        if average_start is not None:
            start_generator(average, average_start)
        generator.train().requires_grad_(True).mapping.requires_grad_(False)
        discriminator.train().requires_grad_(True)
        self.values, self.codes = labels.values.to(device), labels.codes.to(device)
        self.table = draw_uniformly(self.values, seed=settings.seed + processes.rank)
        self._projected_start = projected_start
        self.knots = torch.linspace(0, 1, 3, device=device)  # a captured graph may not copy it from the host
        self.real_values = torch.zeros(settings.batch, attributes, device=device)  # of this step's pictures
        self.fake_values = torch.zeros(settings.batch, attributes, device=device)
        self.attribute_weight = torch.zeros((), device=device)  # the generator's, which rises during the run
        # Every other row, so that the groups of the discriminator's minibatch statistics are not mixed.
        row = torch.arange(settings.batch, device=device)
        self.own_rows = slice(0, 2 * round(settings.unweighted * settings.batch), 2)
        self.as_is = (row % 2 == 0) & (row < self.own_rows.stop)
        self.single = (row % 2 == 1) & (row // 2 < round(settings.single * settings.batch / 2))
        self.space = None if space is None else copy.deepcopy(space).to(device)
        self.identity_network = (
            None
            if identity_network is None
            else copy.deepcopy(identity_network).eval().requires_grad_(False).to(device)
        )
        # The pretrained generator's pictures of the rows with their latents' own values.
        self.plain, self.anchors = None, torch.empty(0)
        if plain is not None and settings.anchor_weight:
            plain = copy.deepcopy(plain).eval().requires_grad_(False)
            self.plain = plain.to(device, memory_format=torch.channels_last)
        self._set_up(generator, average, FadingDiscriminator(discriminator), pictures, graphs)
        self.set_progress(0.0)

    def _reals(self) -> Tensor:
        n, device = self.settings.batch, self.processes.device
        evenly = self.table[torch.randint(len(self.table), (n,), device=device)]
        index = torch.where(self.as_is, self._rows(), evenly)
        self.real_values = self.values[index]
        count = len(self._data)
        return self._data.at(index % count, index >= count)

    def _rows(self) -> Tensor:
        """Rows (batch,) of the labels, as often as the data's shares say; half of them of mirror images."""
        rows = self._data.rows(self.settings.batch)
        return rows + torch.randint(2, rows.shape, device=rows.device) * len(self._data)

    @property
    def _data(self) -> PictureStream | PeopleStream:
        assert not isinstance(self.stream, PlacesStream)  # see `__init__`
        return self.stream

    def _draw(self, w_plus: Tensor) -> Tensor:
        s, device = self.settings, self.processes.device
        index = self._rows()
        inverted = torch.arange(s.batch, device=device) < round(s.inverted * s.batch)
        w_plus = torch.where(inverted[:, None, None], self.codes[index].float(), w_plus)
        if self.identity_network is not None:  # one latent for each two rows
            w_plus = w_plus[0::2, None].expand(-1, 2, -1, -1).flatten(0, 1)
        self.fake_values = torch.rand(s.batch, self.values.shape[1], device=device)
        if self.needs_own:
            assert self.space is not None
            own = torch.where(inverted[:, None], self.values[index], self.space.values(w_plus))
            if self.identity_network is not None:
                own = own[0::2, None].expand(-1, 2, -1).flatten(0, 1)
            attribute = torch.arange(own.shape[1], device=device)
            edited = attribute == torch.randint(own.shape[1], (s.batch, 1), device=device)
            few = torch.rand_like(own).argsort(1) < TOGETHER
            kept = self.as_is[:, None] | torch.where(self.single[:, None], ~edited, ~few)
            self.fake_values = torch.where(kept, own, self.fake_values)
        if self.plain is not None:
            with torch.no_grad():
                anchors = self.plain.synthesis(w_plus[self.own_rows], noise="const", dtype=self.dtype)
                self.anchors = thumbnails(anchors)
        start = self.generator.start(without_middle(label_vector(soft_labels(self.fake_values, self.knots))))
        return self.generator.synthesis(w_plus, noise="random", dtype=self.dtype, start=start)

    def _score_and_attributes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.discriminator.discriminator.score_and_attributes(images, dtype=self.dtype)

    def _discriminator_losses(self, reals: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        real, logits = self._score_and_attributes(reals)
        fake, _ = self._score_and_attributes(fakes)
        divergence = attribute_divergence(logits, self.real_values, self.knots)
        self.stats[8] += divergence.detach()
        loss = F.softplus(fake - real).mean() + self.settings.attribute_weight * divergence
        return real, fake, loss

    def _generator_losses(self, fakes: Tensor) -> Tensor:
        fake, logits = self._score_and_attributes(fakes)
        divergence = attribute_divergence(logits, self.fake_values, self.knots)
        self.stats[9] += divergence.detach()
        loss = F.softplus(self.real_scores - fake).mean() + self.attribute_weight * divergence
        if self.identity_network is not None:
            change = identity_change(self.identity_network, self.fakes)
            self.stats[10] += change.detach()
            loss = loss + self.settings.identity_weight * change
        if self.plain is not None:
            away = (thumbnails(self.fakes[self.own_rows]) - self.anchors).abs().mean()
            self.stats[11] += away.detach()
            loss = loss + self.settings.anchor_weight * away
        return loss

    def step(self) -> None:
        """One update of both networks; the generator's weight of the attribute loss rises from zero."""
        super().step()
        s = self.settings
        self.attribute_weight.fill_(s.attribute_weight * _risen(self.images_seen, s.attribute_kimg))
        if self.images_seen <= 1000 * s.warm_kimg:
            self.set_progress(0.0)

    def set_progress(self, done: float) -> None:
        """Set the learning rate after a share `done` (0 to 1) of the run; it rises at first."""
        super().set_progress(done)
        adams = [self.generator_adam, self.discriminator_adam]
        for adam in adams if self.projection is None else [*adams, self.projected_adam]:
            for group in adam.param_groups:
                group["lr"] *= _risen(self.images_seen, self.settings.warm_kimg)

    def read_stats(self) -> dict[str, float]:
        """Means since the last call, with the divergences `attributes_real` and `attributes_fake`, the change of the
        `person` and the difference from the `anchor`; waits for the device."""
        steps, names = max(self.stats[5].item(), 1), ("attributes_real", "attributes_fake", "person", "anchor")
        own = {name: value / steps for name, value in zip(names, self.stats[8:].tolist(), strict=True)}
        return super().read_stats() | own

    @torch.no_grad()
    def sample(self, count: int, psi: float = 0.7, seed: int = 1) -> Tensor:
        """Pictures of the averaged generator for a grid of ten columns, (count, 3, R, R) on the CPU: each row is one
        face, neutral and with each attribute at one, at zero, and at 0.8, as far as ten columns go."""
        attributes, net, device = self.values.shape[1], self.average, self.processes.device
        rows = torch.full((10, attributes), 0.5)
        ends = [(i, value) for value in (1.0, 0.0, 0.8) for i in range(attributes)]
        for row, (i, value) in zip(rows[1:], ends, strict=False):
            row[i] = value
        weights = weights_for_values(rows).to(device)
        z = torch.randn(-(-count // 10), self.settings.z_dim, generator=torch.Generator().manual_seed(seed))
        w = net.mapping.truncate(net.mapping(z.to(device)), psi)
        return torch.cat([net.draw(net.broadcast(one[None]), weights).cpu() for one in w])[:count]


def _risen(seen: int, kimg: float) -> float:
    """Progress (0 to 1, never 0) of a linear rise over `kimg` thousand pictures."""
    return min((seen + 1) / (1000 * kimg), 1.0) if kimg > 0 else 1.0
