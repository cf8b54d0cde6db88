"""Memory of models and devices: what a model occupies, what a device has left, whether an error means out of memory."""

from __future__ import annotations

import functools
import gc
import inspect
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the page must answer before torch is imported
    import torch
    from torch import nn

_WITHOUT_TENSORS = (
    str, bytes, int, float, complex, type(None), type, types.ModuleType, types.BuiltinFunctionType, Path,
)  # fmt: skip
_ALLOCATION_FAILED = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def modules_of(value: Any) -> list[nn.Module]:
    """The networks of a built model: itself, or those in its attributes (also inside lists and dicts)."""
    from torch import nn

    if isinstance(value, nn.Module):
        return [value]
    found: list[nn.Module] = []
    for attribute in vars(value).values() if hasattr(value, "__dict__") else ():
        members = attribute.values() if isinstance(attribute, dict) else attribute
        if not isinstance(attribute, (dict, list, tuple)):
            members = (attribute,)
        found.extend(member for member in members if isinstance(member, nn.Module))
    return found


def own_submodules(value: Any, shared: Iterable[Any]) -> list[nn.Module]:
    """Every submodule of `value`, each once, that does not belong to one of the `shared` values."""
    others = {id(m) for part in shared for network in modules_of(part) for m in network.modules()}
    own: dict[int, nn.Module] = {}
    for network in modules_of(value):
        own.update((id(m), m) for m in network.modules() if id(m) not in others)
    return list(own.values())


def held(value: Any, shared: Iterable[Any] = ()) -> dict[str, int]:
    """Bytes by device name of everything that `value` keeps alive and that no `shared` value does.

    References are followed through networks, attributes of plain objects, containers, closures and bound methods, so
    that a copy in half precision, a folded kernel or a tuned network counts wherever it is kept. Each storage counts
    once. An object may have a method `held_memory() -> (members, {device: bytes})`, which names the objects to follow
    and adds memory that belongs to no tensor (the pools of CUDA graphs).
    """
    visited: set[int] = set()
    storages: set[tuple[str, int]] = set()
    for part in shared:
        _count(part, visited, storages)
    return dict(_count(value, visited, storages))


def _count(value: Any, visited: set[int], storages: set[tuple[str, int]]) -> Counter[str]:
    import torch

    total: Counter[str] = Counter()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in visited or isinstance(item, _WITHOUT_TENSORS):
            continue
        visited.add(id(item))
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            place = str(storage.device), storage.data_ptr() or id(item)
            if place not in storages:
                storages.add(place)
                total[place[0]] += storage.nbytes()
            waiting.append(item.grad if item.is_leaf else None)
        elif hasattr(item, "held_memory"):
            members, beside = item.held_memory()
            waiting.extend(members)
            total.update(beside)
        else:
            waiting.extend(_members(item))
    return total


def _members(item: Any) -> Iterator[Any]:
    """The objects that an object which is no tensor refers to."""
    from torch import nn

    if isinstance(item, nn.Module):
        for table in (item._parameters, item._buffers, item._modules):
            yield from table.values()
        yield from (member for name, member in vars(item).items() if name not in _module_fields())
    elif isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, (list, tuple, set, frozenset)):
        yield from item
    elif isinstance(item, types.MethodType):
        yield from (item.__self__, item.__func__)
    elif isinstance(item, types.FunctionType):
        yield from inspect.getclosurevars(item).nonlocals.values()
    elif isinstance(item, functools.partial):
        yield from (item.func, item.args, item.keywords)
    elif hasattr(item, "__dict__"):
        yield from vars(item).values()


@functools.cache
def _module_fields() -> frozenset[str]:
    """Names of the attributes that every module has: hooks, and the tables of parameters, buffers and submodules."""
    from torch import nn

    return frozenset(vars(nn.Module()))


def tensor_bytes(tensors: Iterable[torch.Tensor | None]) -> int:
    """Bytes of some tensors' values."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)


def move(submodules: Iterable[nn.Module], device: str) -> None:
    """Move the submodules' own parameters and buffers in place, without their children, so that shared parts stay."""
    for module, name, tensor in list(_tensors(submodules)):
        if name in module._buffers:
            module._buffers[name] = tensor.to(device)
        else:
            tensor.data = tensor.data.to(device)


def bring_back(network: nn.Module, device: str | torch.device) -> None:
    """Move a network that the registry has taken off the device as idle back to it; for a pipeline that needs it."""
    import torch

    with torch.inference_mode(False):  # its tensors outlive the call
        network.to(device)


def move_attributes(value: Any, device: str) -> None:
    """Move a pipeline object's plain tensors and dicts of tensors, and set its `device`. Modules are not moved."""
    import torch
    from torch import nn

    if isinstance(value, nn.Module) or not hasattr(value, "__dict__"):
        return
    for name, attribute in list(vars(value).items()):
        if isinstance(attribute, torch.Tensor):
            setattr(value, name, attribute.to(device))
        elif isinstance(attribute, torch.device):
            setattr(value, name, torch.device(device))
        elif isinstance(attribute, dict) and _all_tensors(attribute):
            setattr(value, name, {key: tensor.to(device) for key, tensor in attribute.items()})


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, torch or a CUDA library means that an allocation failed."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATION_FAILED)


def free_bytes(device: str) -> int | None:
    """Free bytes of the device (for "cpu", of the machine); None where that is unknown."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return _meminfo("MemAvailable")


def default_budget(device: str) -> int:
    """Bytes that models may occupy: four fifths of a GPU's memory, half of the machine's."""
    if device.startswith("cuda"):
        import torch

        return int(0.8 * torch.cuda.mem_get_info(device)[1])
    return (_meminfo("MemTotal") or 8 << 30) // 2


def release_cached() -> None:
    """Free the memory of dropped models: collect reference cycles, then empty the CUDA caching allocator."""
    gc.collect()
    import torch

    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _all_tensors(members: dict[Any, Any]) -> bool:
    import torch

    return bool(members) and all(isinstance(member, torch.Tensor) for member in members.values())


def _tensors(submodules: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, str, torch.Tensor]]:
    for module in submodules:
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield module, name, tensor


def _meminfo(field: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes.get(field)
