"""Several photos through a tab's present settings: files, a folder or a ZIP archive in, one archive out."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.gpu import Step
from demo.parts.events import QUIET, Data
from demo.parts.files import pictures_input
from demo.parts.long_job import has_stopped, idle, long_job, start_and_stop
from demo.parts.queued import QUEUE, queued
from demo.session import Job, Session
from gan_core.errors import BadValue, StudioError
from gan_core.picture_sets import MOST_PICTURES, PictureSet, picture_set, result_names

LARGEST_RESULT = 1 << 30
"""Bytes of the archive; then it ends with what is done."""
FAILED = "what did not work.txt"
_HINT = f"Up to {MOST_PICTURES} pictures go through the settings as they are now, and come back as one archive."

Edit = Callable[[Session, str, Data], Iterator[Step | Path]]
"""Edits the picture at a path with the page's settings: steps, and at last the path of the saved result."""
Prepare = Callable[[Data, gr.Request], Data]
"""Checks the settings before anything is done, and may add to the data that `Edit` gets. Raises a StudioError."""


class BatchPanel:
    """The panel. prefix: begins the elements' ids; job: its name among the visitor's jobs."""

    def __init__(self, studio: Studio, prefix: str, job: str) -> None:
        self.studio, self._prefix, self._job = studio, f"{prefix}-batch", job

    def build(self) -> gr.Column:
        """Lay it out in the current context. Returns a place in it for settings that only a batch has."""
        prefix = self._prefix
        with gr.Accordion("Several photos at once", open=False):
            gr.Markdown(_HINT, elem_classes="hint")
            self.files = pictures_input(
                label="Photos, or a ZIP archive", height=135, kinds=["image", ".zip"], elem_id=f"{prefix}-files"
            )
            self.folder = pictures_input(
                label="Or a folder", height=135, kinds=None, file_count="directory", elem_id=f"{prefix}-folder"
            )
            more = gr.Column()
            with gr.Row(elem_classes="actions"):
                self.start = gr.Button("Edit them all", min_width=110, size="md", elem_id=f"{prefix}-start")
                self.stop = gr.Button(
                    "Stop, keep them", variant="stop", interactive=False, min_width=110, size="md",
                    elem_id=f"{prefix}-stop",
                )  # fmt: skip
            self.state = gr.Markdown("", elem_id=f"{prefix}-state")
            self.result = gr.File(label="The results", visible=False, interactive=False, elem_id=f"{prefix}-result")
        return more

    def wire(self, inputs: set[Any], edit: Edit, prepare: Prepare) -> None:
        """Connect it. inputs: the tab's settings."""

        def on_start(data: Data, request: gr.Request) -> Iterator[Data]:
            session = self.studio.sessions.get(request.session_hash)
            job = session.job(self._job)
            if job.stopped:
                yield {self.state: "Stopped before it began."}
                return
            yield {self.state: "Looking through the files ...", self.result: gr.File(value=None, visible=False)}
            try:
                found = picture_set(self._uploads(session, data))
                for text, archive in run(session, job, found, edit, {**data, **prepare(data, request)}):
                    shown = {self.result: gr.File(value=str(archive), visible=True)} if archive else {}
                    yield {self.state: text, **shown}
            except StudioError as error:
                yield {self.state: str(error)}
                raise

        buttons = [self.start, self.stop]
        handler = queued(on_start, idle=idle(*buttons), stopped=has_stopped(self.studio.sessions, self._job))
        long_job(self.studio.sessions, self._job, *buttons).then(
            handler,
            inputs | {self.files, self.folder},
            [self.state, self.result, *buttons],
            api_visibility="private",
            show_progress="hidden",
            **QUEUE,
        ).then(lambda: start_and_stop(busy=False), None, buttons, **QUIET)

    def _uploads(self, session: Session, data: Data) -> list[Path]:
        paths = [*(data[self.files] or []), *(data[self.folder] or [])]
        if not paths:
            raise BadValue("Please choose some photos, a folder or a ZIP archive first.")
        for path in paths:
            session.own_upload(path)
        return [Path(path) for path in paths]


def run(session: Session, job: Job, found: PictureSet, edit: Edit, data: Data) -> Iterator[tuple[str, Path | None]]:
    """Texts on the way, and at the end of a run with results the archive's path. Stopped, it keeps what is done."""
    count, done, failed, size = len(found.pictures), 0, list(found.refused), 0
    before = session.recall("batch")
    if before:
        Path(before).unlink(missing_ok=True)
    name = re.sub(r"[^\w -]", "", found.name)[:60].strip() or "photos"
    path = session.new_file(f"{name} edited", ".zip")
    session.keep("batch", str(path), 0)
    half = path.with_suffix(".part")
    ended = ""
    try:
        with zipfile.ZipFile(half, "w", zipfile.ZIP_STORED) as archive:
            names = result_names([picture.name for picture in found.pictures])
            for number, (picture, result_name) in enumerate(zip(found.pictures, names, strict=True), 1):
                yield f"{number} of {count}: {picture.name}", None
                here = session.new_file("batch-picture", PurePosixPath(picture.name).suffix.lower())
                result: Path | None = None
                try:
                    here.write_bytes(picture.read())
                    with contextlib.closing(edit(session, str(here), data)) as steps:  # type: ignore[type-var]
                        for step in steps:
                            if job.stopped:
                                break
                            if isinstance(step, Path):
                                result = step
                            else:
                                yield f"{number} of {count}: {picture.name}. {step.text}", None
                    if result is not None:
                        size += result.stat().st_size
                        archive.write(result, result_name)
                        done += 1
                except StudioError as error:
                    failed.append((picture.name, str(error)))
                finally:
                    here.unlink(missing_ok=True)
                    if result is not None:
                        result.unlink(missing_ok=True)
                if job.stopped or size > LARGEST_RESULT:
                    ended = "Stopped. " if job.stopped else "The archive is full. "
                    break
            if failed:
                archive.writestr(FAILED, "".join(f"{name}: {why}\n" for name, why in failed))
        text = f"{ended}{done} of {count} done" + (f", {len(failed)} not: {_listed(failed)}" if failed else ".")
        if done:
            half.replace(path)
        yield text, path if done else None
    finally:
        half.unlink(missing_ok=True)


def _listed(failed: list[tuple[str, str]]) -> str:
    some = "; ".join(f"{name}: {why}" for name, why in failed[:3])
    return some if len(failed) <= 3 else f"{some} And {len(failed) - 3} more, listed in the archive."
