"""The one job that changes the models of this machine: fetching, converting. It goes on when the page is closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from demo.parts.errors import GENERIC
from gan_core.checkpoints.places import Place, not_writable
from gan_core.errors import BadValue, Busy, Cancelled, StudioError, WeightsMissing
from gan_core.insetgan.labels import FACE_ENTRY
from weights.published import PublishedModel, files_here, is_complete, offered_by, published

logger = logging.getLogger(__name__)

TABS = {
    "hfgi": "Edit a face",
    "self_conditioned": "Edit at the edges",
    "comodgan": "Fill a hole",
    "insetgan": "Compose a body",
    "swapping_autoencoder": "Swap structure and texture",
}
"""What a person calls each tab, by its paper."""


@dataclass(frozen=True)
class Status:
    """How far the job is."""

    title: str
    text: str = "Starting"
    done: int = 0
    total: int | None = None
    """Bytes, while something is fetched; else hundredths of 100."""
    running: bool = True
    failed: bool = False


@dataclass
class _Installation:
    status: Status
    stop: threading.Event = field(default_factory=threading.Event)


class Keeper:
    """Runs one job at a time in a thread of its own.

    changed: told which model (its name in the catalogue) has been installed; whether the app offers it at once.
    """

    def __init__(self, root: Path, *, offline: bool, changed: Callable[[str], bool] = lambda entry: False) -> None:
        self.root, self.offline, self._changed = root, offline, changed
        self._lock = threading.Lock()
        self._job: _Installation | None = None

    @property
    def status(self) -> Status | None:
        """Of the job that runs, or of the last one."""
        return self._job.status if self._job else None

    def cancel(self) -> None:
        """Ask the job to end; what was fetched stays, to be continued."""
        if self._job:
            self._job.stop.set()

    def fetch(self, model: PublishedModel, accepted: bool) -> None:
        """Start fetching a model and converting it. Raises BadValue, WeightsMissing or Busy, each a sentence."""
        if self.offline:
            raise WeightsMissing("The app was started offline, so nothing is fetched. Start it with --no-offline.")
        if not model.fetchable:
            raise WeightsMissing("No program can fetch this model. Get its file in a browser, then give it here.")
        self._may_start(accepted)

        def work(job: _Installation) -> None:
            from gan_core.checkpoints.fetch import fetch_model

            def show(done: int, total: int | None) -> None:
                job.status = replace(job.status, text="Fetching", done=done, total=total)

            fetch_model(model, self.root, show, stop=job.stop.is_set)
            if model.format != "support":
                from gan_core.checkpoints.library import convert_files, unpack

                job.status = replace(job.status, done=0, total=100)
                if model.parts:
                    unpack(model.name, self.root, report=_report(job), stop=job.stop.is_set)
                elif files_here(model, self.root):
                    convert_files(Place(model.name), self.root, report=_report(job), stop=job.stop.is_set)

        self._start(model.title, model, work)

    def install(
        self, path: Path, place: Place, accepted: bool, *, name: str = "", after: Callable[[], None] = lambda: None
    ) -> None:
        """Start converting a file that is here. after: called in the end, however it ends.

        Raises BadValue, WeightsMissing or Busy, each a sentence.
        """
        self._may_start(accepted)

        def work(job: _Installation) -> None:
            try:
                from gan_core.checkpoints.library import install

                job.status = replace(job.status, total=100)
                install(path, place, self.root, name=name, report=_report(job), stop=job.stop.is_set)
            finally:
                after()

        self._start(place.label, published(place.entry), work)

    def _may_start(self, accepted: bool) -> None:
        if not accepted:
            raise BadValue("Please read the model's licence and tick that you accept it.")
        reason = not_writable(self.root)
        if reason:
            raise WeightsMissing(reason)

    def _start(self, title: str, model: PublishedModel, work: Callable[[_Installation], None]) -> None:
        with self._lock:
            if self._job and self._job.status.running:
                raise Busy(f"{self._job.status.title} is still being installed. Wait for it, or stop it.")
            job = self._job = _Installation(Status(title))
        threading.Thread(target=self._run, args=(job, model, work), name="models-page", daemon=True).start()

    def _run(self, job: _Installation, model: PublishedModel, work: Callable[[_Installation], None]) -> None:
        try:
            work(job)
            offered = self._changed(model.name)
        except Cancelled:
            _end(job, "Stopped. What was fetched is kept: fetching it again goes on from there.", failed=True)
        except StudioError as error:
            _end(job, str(error), failed=True)
        except Exception:
            logger.exception("installing %s", job.status.title)
            _end(job, GENERIC, failed=True)
        else:
            kept = job.status.text if job.status.text.startswith("Kept") else ""
            _end(job, kept or installed_text(model, self.root, offered), failed=False)


def installed_text(model: PublishedModel, root: Path, offered: bool) -> str:
    """Where a model that was installed is to be found. offered: whether its tab has it without a new start."""
    if not model.tab:
        return "Installed. No tab offers it; scripts can load it."
    tab = TABS[model.tab]
    if model.tab == "insetgan":
        bodies = any(is_complete(body, root) for body in offered_by("insetgan") if body.name != FACE_ENTRY)
        if not bodies or not is_complete(published(FACE_ENTRY), root):
            other = "a generator of bodies" if model.name == FACE_ENTRY else published(FACE_ENTRY).title
            return f'Installed. "{tab}" offers it once {other} is installed, too.'
    if not offered:
        return "Installed. Start the app again to find it in its tab's menu."
    return f'Installed. It is in the menu of "{tab}" now.'


def _report(job: _Installation) -> Callable[[float, str], None]:
    def report(fraction: float, text: str) -> None:
        job.status = replace(job.status, text=text, done=round(100 * fraction))

    return report


def _end(job: _Installation, text: str, *, failed: bool) -> None:
    job.status = replace(job.status, text=text, running=False, failed=failed)
