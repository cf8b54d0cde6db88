"""What the adapters share: taking tensors by published name, and telling a network's shape from them."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gan_core.errors import BadCheckpoint

logger = logging.getLogger(__name__)

_LARGEST_MAP = 4096 * 4096  # numbers of a noise map; published networks make pictures of at most 1024 x 1024
_LONGEST_CODE = 8192  # numbers of a latent or a label; published ones have at most 512
_LONGEST_EMPTY = 1 << 20


@dataclass(frozen=True)
class BuiltCheckpoint:
    """A published checkpoint as this project's modules, in evaluation mode on the CPU."""

    format: str
    modules: dict[str, nn.Module]  # generator, discriminator, encoder, alignment, consultation
    tensors: dict[str, Tensor] = field(default_factory=dict)  # what belongs to no module (latent_avg)
    config: dict[str, Any] = field(default_factory=dict)  # per module: its constructor's arguments
    dropped: list[str] = field(default_factory=list)  # published names that are not needed
    notes: list[str] = field(default_factory=list)  # what was missing and what was done instead


class Adapter(Protocol):
    """A module that knows one published format."""

    FORMAT: str
    MODULES: dict[str, type[nn.Module]]  # the class of each module that it builds

    def recognise(self, tree: Mapping[str, Any]) -> bool:
        """Whether the names are this format's."""

    def build(self, tree: Mapping[str, Any]) -> BuiltCheckpoint:
        """The modules. Raises BadCheckpoint if a tensor is missing, misshapen or unknown."""


def build_with(
    adapters: Sequence[Adapter], tensors: Mapping[str, Any], what: str = "The checkpoint"
) -> BuiltCheckpoint:
    """What the first adapter builds that recognises the names.

    what: names the file in the message.
    Raises BadCheckpoint if no adapter does, or a tensor is missing, misshapen or unknown.
    """
    with refused(what):
        for adapter in adapters:
            if adapter.recognise(tensors):
                return adapter.build(tensors)
    formats = ", ".join(adapter.FORMAT for adapter in adapters)
    raise BadCheckpoint(f"{what} is of no supported format ({formats}).")


@contextlib.contextmanager
def refused(what: str = "The checkpoint") -> Iterator[None]:
    """Whatever an adapter meets in tensors that are not as their names promise becomes a BadCheckpoint.

    Adapters tell a network's shape from its tensors' shapes, so a hostile file can make nearly any line of them fail.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        logger.info("checkpoint refused", exc_info=error)
        raise BadCheckpoint(f"{what} is damaged: its tensors are not what their names promise.") from error


class Keys:
    """Published tensors by name; every one must be taken or dropped in the end."""

    def __init__(self, tensors: Mapping[str, Any], where: str = "") -> None:
        self._left = {name: _tensor(value) for name, value in tensors.items() if _is_array(value)}
        self._where = where
        self.dropped = [where + name for name, value in tensors.items() if not _is_array(value)]

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def names(self) -> list[str]:
        """The names that are left."""
        return list(self._left)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that stays. Raises BadCheckpoint if it is not there."""
        return tuple(self._get(name).shape)

    def take(self, name: str, *, squeeze: bool = False, shape: tuple[int, ...] | None = None) -> Tensor:
        """One tensor as float32, which then counts as used; without its leading axis of 1, or reshaped."""
        value = self._get(name)
        del self._left[name]
        if squeeze:
            if value.ndim < 1 or value.shape[0] != 1:
                raise BadCheckpoint(f"The checkpoint's tensor {self._where + name} has an unexpected shape.")
            value = value[0]
        if shape is not None:
            if value.numel() != math.prod(shape):
                raise BadCheckpoint(f"The checkpoint's tensor {self._where + name} has an unexpected shape.")
            value = value.reshape(shape)
        return (value.float() if value.is_floating_point() else value).contiguous()

    def drop(self, name: str) -> None:
        """Leave a tensor out, by name."""
        self._get(name)
        del self._left[name]
        self.dropped.append(self._where + name)

    def drop_filter(self, name: str, gain: float) -> None:
        """Leave out a stored resampling filter after checking that it is the usual [1, 3, 3, 1] with this
        gain."""
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        value = self._get(name).float()
        if value.shape != (4, 4) or not torch.allclose(value, torch.outer(line, line) * gain, atol=1e-4):
            raise BadCheckpoint(f"The checkpoint's filter {self._where + name} is not the one supported here.")
        self.drop(name)

    def finish(self) -> list[str]:
        """The dropped names. Raises BadCheckpoint if a tensor was neither used nor dropped."""
        if self._left:
            some = ", ".join(self._where + name for name in list(self._left)[:3])
            count = len(self._left)
            raise BadCheckpoint(f"The checkpoint holds {count} tensors that have no place here, such as {some}.")
        return self.dropped

    def _get(self, name: str) -> Tensor:
        if name not in self._left:
            raise BadCheckpoint(f"The checkpoint lacks the tensor {self._where + name}.")
        return self._left[name]


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray, np.generic))


def _tensor(value: Any) -> Tensor:
    tensor = value.detach() if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))
    if not tensor.numel() and max(tensor.shape) > _LONGEST_EMPTY:  # it costs a file nothing to claim that
        raise BadCheckpoint("The checkpoint claims a tensor larger than the data it holds.")
    return tensor


def new_noise(size: Sequence[int]) -> Tensor:
    """A noise map for a file that holds none. Raises BadCheckpoint where the file's names claim a huge network."""
    if math.prod(size) > _LARGEST_MAP:
        raise BadCheckpoint("The checkpoint claims a network for far larger pictures than any that is known.")
    return torch.randn(tuple(size))


def estimate_average(mapping: Any) -> None:
    """`MappingNetwork.estimate_average`, for a file that holds no mean latent. Raises BadCheckpoint."""
    if max(mapping.z_dim, mapping.w_dim, mapping.c_dim) > _LONGEST_CODE:
        raise BadCheckpoint("The checkpoint claims a network with far longer latents than any that is known.")
    mapping.estimate_average()


def section(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The part of a checkpoint under `name`: nested (tree[name]) or flattened ("name.key"); {} if it has
    none."""
    inner = tree.get(name)
    if isinstance(inner, Mapping):
        return dict(inner)
    prefix = name + "."
    return {key[len(prefix) :]: value for key, value in tree.items() if str(key).startswith(prefix)}


def channel_table(channels: Mapping[int, int]) -> tuple[int, int]:
    """(channel_base, channel_max) such that min(base / resolution, max) gives the channels seen at each
    resolution.

    Raises BadCheckpoint if the channels follow no such rule.
    """
    largest = max(channels.values())
    base = max(resolution * count for resolution, count in channels.items())  # each is a lower bound
    for resolution, count in channels.items():
        if min(base // resolution, largest) != count:
            raise BadCheckpoint(f"The checkpoint's {count} channels at {resolution} pixels fit no known network.")
    return base, largest


def laid_out(build: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> Any:
    """A network without memory for its parameters and buffers: `load_strict` gives it all of them."""
    with torch.device("meta"):
        return build(*args, **kwargs)


def load_strict(module: nn.Module, state: dict[str, Tensor], what: str) -> nn.Module:
    """Give `module` the tensors of `state` (not copied), all and only those. Raises BadCheckpoint on a
    misfit."""
    own = module.state_dict()
    if own.keys() != state.keys():
        odd = ", ".join(sorted(own.keys() ^ state.keys())[:3])
        raise BadCheckpoint(f"The checkpoint's {what} does not fit: {odd}.")
    for name, tensor in state.items():
        if own[name].shape != tensor.shape:
            got, want = tuple(tensor.shape), tuple(own[name].shape)
            raise BadCheckpoint(f"The checkpoint's {what} has {name} of shape {got} where {want} is needed.")
    if any(tensor.is_meta for tensor in state.values()):
        raise AssertionError(f"{what}: a tensor of the layout was taken for one of the checkpoint")
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)
