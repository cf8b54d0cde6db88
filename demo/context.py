"""What the whole app shares: settings, the model registry, and its visitors."""

from __future__ import annotations

import contextlib
import importlib
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo import computing, credentials, gpu
from demo.memory import give_back_freed
from demo.parts.choices import Choices, Model
from demo.session import Sessions
from demo.settings import Settings
from gan_core.errors import Busy, StudioError

logger = logging.getLogger(__name__)

_SWEEP_EVERY = 15.0  # seconds


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
        """Load models in advance if the settings say so; now and then delete idle sessions and stray uploads, and give
        freed memory back."""
        if self.settings.preload and not self.settings.zero_gpu:
            threading.Thread(target=self.warm_up, name="warm-up", daemon=True).start()
        else:
            self.ready.set()

        def sweep() -> None:
            while not stop.wait(_SWEEP_EVERY):
                self.sessions.sweep()
                self.sessions.delete_orphans()
                give_back_freed()

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
    computing.use(settings)
    return Studio(settings, Sessions(settings.temporary))
