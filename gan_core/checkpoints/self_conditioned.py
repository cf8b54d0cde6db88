"""Checkpoints of sc-gan (Self-Conditioned GAN): rosinality's names, except for the start and the attribute head.

g_ema.input.multiinput is (1, C, h, w, modes), the base constant first on its last axis and then three an attribute;
d.final_class is the attribute head. Training files hold the optimisers and arguments too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gan_core.checkpoints import rosinality
from gan_core.checkpoints.keys import BuiltCheckpoint, Keys, laid_out, load_strict, section
from gan_core.errors import BadCheckpoint
from gan_core.self_conditioned.labels import KNOTS, modes_of
from gan_core.self_conditioned.networks import SelfConditionedDiscriminator, SelfConditionedGenerator

FORMAT = "sc_gan"
MODULES: dict[str, type[nn.Module]] = {
    "generator": SelfConditionedGenerator,
    "discriminator": SelfConditionedDiscriminator,
}
_START = "input.multiinput"


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are this format's."""
    return _START in (section(tree, "g_ema") or tree)


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """Generator, and discriminator if the file has one. Raises BadCheckpoint if a tensor is missing or too many."""
    part, average = section(tree, "g_ema"), tree.get("latent_avg")
    bare = not part
    part = dict(part or {name: value for name, value in tree.items() if name != "latent_avg"})
    starts = Keys(part).take(_START, squeeze=True)
    modes = starts.shape[-1]
    attributes = (modes - 1) // KNOTS
    if starts.ndim != 4 or modes != modes_of(attributes):
        raise BadCheckpoint(f"The checkpoint's start has {modes} modes, which is not 1 and {KNOTS} an attribute.")
    starts = starts.movedim(-1, 0)

    del part[_START]
    part["input.input"] = starts[None, 0]
    keys = Keys(part, "" if bare else "g_ema.")
    plain, notes = rosinality.build_generator(keys, average)
    generator = laid_out(SelfConditionedGenerator, attributes=attributes, **plain.config)
    state: dict[str, Tensor] = plain.state_dict() | {"constants": starts[1:].contiguous()}
    modules: dict[str, nn.Module] = {"generator": load_strict(generator, state, "generator")}
    dropped = keys.finish()

    if section(tree, "d"):
        keys = Keys(section(tree, "d"), "d.")
        head = {
            f"attribute_head.{i}.{name}": keys.take(f"final_class.{i}.{name}")
            for i in (0, 1)
            for name in ("weight", "bias")
        }
        discriminator = rosinality.build_discriminator(keys, generator.config["start_shape"])
        network = laid_out(SelfConditionedDiscriminator, attributes=attributes, **discriminator.config)
        modules["discriminator"] = load_strict(network, discriminator.state_dict() | head, "discriminator")
        dropped += keys.finish()
    if not bare:
        used = ("g_ema", "d", "latent_avg")
        dropped += [str(k) for k in tree if k not in used and not str(k).startswith(("g_ema.", "d."))]
    config = {name: module.config for name, module in modules.items()}
    return BuiltCheckpoint(FORMAT, modules, config=config, dropped=dropped, notes=notes)
