"""What the whole app shares: settings, the model registry, and its visitors."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo import credentials, executors, gpu, ray_executor, turns
from demo.collector import batch_size
from demo.parts.choices import Choices, Model
from demo.session import Sessions
from demo.settings import Settings
from gan_core.errors import Busy, StudioError
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry

logger = logging.getLogger(__name__)

_SWEEP_EVERY = 60.0  # seconds
_SEATS_A_REPLICA = 2  # the next call is there when one ends; a replica computes one at a time
_ZERO_GPU_SEATS = 8  # there each call gets a GPU of its own, and the Space's host decides when


@dataclass(frozen=True)
class Studio:
    """One running app."""

    settings: Settings
    sessions: Sessions
    warmers: list[Callable[[], None]] = field(default_factory=list)
    """What tabs want done in advance: loading their embedded models and running them once."""
    choices: list[Choices[Any]] = field(default_factory=list)
    """The choices of weights of all tabs, which `models_changed` reads anew, in this order."""
    ready: threading.Event = field(default_factory=threading.Event)
    """Set once all that is loaded in advance is loaded."""

    def offer(self, read: Callable[[], Mapping[str, Model]]) -> Choices[Model]:
        """Choices of weights that are read anew whenever models are installed or removed."""
        choices = Choices(read)
        self.choices.append(choices)
        return choices

    def models_changed(self, entry: str) -> bool:
        """A published model (its name in the catalogue) was installed or removed: have the tabs offer what there is.
        Returns whether they do; else, also where a changed one is in use for long, the app has to be started again."""
        try:
            if not gpu.executor().refresh(entry):
                return False
        except Busy as error:
            logger.warning("%s has changed but is in use: %s", entry, error)
            return False
        for choices in self.choices:
            choices.refresh()
        return True

    def warm_up(self) -> None:
        """Do what the first visitor would wait for: importing torch, loading models, a first run of each."""
        with contextlib.suppress(ImportError):
            importlib.import_module("matplotlib")  # Gradio does so before its first event
        gpu.executor().on_each_device(self._run_each)
        self.ready.set()
        logger.info("ready")

    def _run_each(self) -> None:
        for warmer in self.warmers:
            try:
                warmer()  # beside the line: a visitor who is here already does not wait for what others may need
            except StudioError as error:
                logger.warning("not loaded in advance: %s", error)

    def start_background(self) -> None:
        """Load models in advance if the settings say so, and delete idle sessions and stray uploads now and then."""
        if self.settings.preload and not self.settings.zero_gpu:
            threading.Thread(target=self.warm_up, name="warm-up", daemon=True).start()
        else:
            self.ready.set()

        def sweep() -> None:
            while not stop.wait(_SWEEP_EVERY):
                self.sessions.sweep()
                self.sessions.delete_orphans()

        stop = threading.Event()
        threading.Thread(target=sweep, name="sweep", daemon=True).start()

    def close(self) -> None:
        """Delete what visitors left, and the folder it was in."""
        self.sessions.close()
        shutil.rmtree(self.settings.temporary, ignore_errors=True)


def assemble(settings: Settings) -> Studio:
    """A studio with every model of this machine declared. On ZeroGPU the models are loaded right away.

    Raises BadCertificate where results cannot be signed as the settings say.
    """
    if settings.certificate:
        credentials.use(*settings.certificate)
    if settings.zero_gpu:
        gpu.use(_zero_gpu(settings))
    elif settings.executor == "ray":
        gpu.use(_ray(settings))
    else:
        gpu.use(_local(settings))
    return Studio(settings, Sessions(settings.temporary))


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
