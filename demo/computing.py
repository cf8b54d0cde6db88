"""Where calls compute, as the settings have it: the app's executor, and the line of requests before it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from demo import executors, gpu, ray_executor, turns
from demo.collector import batch_size
from demo.settings import Settings
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry

_SEATS_A_REPLICA = 2  # the next call is there when one ends; a replica computes one at a time
_ZERO_GPU_SEATS = 8  # there each call gets a GPU of its own, and the Space's host decides when


def use(settings: Settings) -> None:
    """Let everything from now on be computed there. On ZeroGPU the models are loaded right away."""
    if settings.zero_gpu:
        gpu.use(_zero_gpu(settings))
    elif settings.executor == "ray":
        gpu.use(_ray(settings))
    else:
        gpu.use(_local(settings))


def _local(settings: Settings) -> executors.LocalExecutor:
    line = turns.Line(limits=settings.limits)
    turns.use(line)

    def declare(registry: ModelRegistry) -> None:
        declare_models(registry, settings.weights)

    def registry(devices: Callable[[], Sequence[str]]) -> ModelRegistry:
        made = ModelRegistry(devices, budgets=settings.memory)
        declare(made)
        return made

    @functools.cache
    def devices() -> tuple[str, ...]:
        return executors.devices(settings.device)

    def others() -> list[ModelRegistry]:
        line.seats = len(devices())
        line.company = batch_size(devices(), settings.together)
        return [registry(lambda device=device: (device,)) for device in devices()[1:]]  # type: ignore[misc]

    return executors.LocalExecutor(registry(lambda: devices()[:1]), others, declare, settings.together)


def _ray(settings: Settings) -> ray_executor.RayExecutor:
    line = turns.Line(_SEATS_A_REPLICA * settings.scale.most, settings.limits)
    line.company = settings.scale.together(settings.together)
    turns.use(line)
    declared = ModelRegistry()
    declare_models(declared, settings.weights)
    return ray_executor.connect(
        settings.ray_address, settings.scale, declared,
        weights=str(settings.weights), device=settings.device, memory=settings.memory, together=settings.together,
        log_format=settings.log_format,
    )  # fmt: skip


def _zero_gpu(settings: Settings) -> executors.ZeroGPUExecutor:
    executor = executors.ZeroGPUExecutor()  # before anything imports torch
    registry = ModelRegistry(lambda: executors.devices(settings.device), budgets=settings.memory, resident=True)
    declare_models(registry, settings.weights)
    from gan_core import graphs

    graphs.disable()  # a worker lives for one request
    registry.load_all()
    executor.registry = registry
    turns.use(turns.Line(_ZERO_GPU_SEATS, settings.limits))
    return executor
