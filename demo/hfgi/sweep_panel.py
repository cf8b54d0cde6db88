"""The sweep beside the result: one slider from end to end as an animated picture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.gpu import Done
from demo.hfgi.editor import Editor
from demo.hfgi.sweep import sweep
from demo.hfgi.work import Work
from demo.parts.events import QUIET, Data, reporter
from demo.parts.long_job import has_stopped, idle, long_job
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from gan_core.errors import BadImage, BadValue, StudioError
from gan_core.hfgi.models import HFGIModel

_JOB = "hfgi.sweep"
_HINT = (
    "The photo with one slider moved from end to end and back, as an animated WebP and GIF. The other sliders stay as "
    "they are."
)

Open = Callable[[Data, gr.Request], tuple[Session, Work]]
Settings = Callable[[Session, Data], dict[str, Any]]
"""What `sweep` takes beside the attribute, by name: strengths, refined, own."""


class SweepPanel:
    """The panel, in the current context."""

    def __init__(self, first: HFGIModel) -> None:
        with gr.Accordion("Sweep", open=False, elem_id="hfgi-sweep"):
            gr.Markdown(_HINT, elem_classes="hint")
            with gr.Row(elem_classes="actions"):
                self.attribute = gr.Dropdown(
                    _names(first), value=_first(first), label="Slider", show_label=False, container=False,
                    min_width=140, elem_id="hfgi-sweep-attribute",
                )  # fmt: skip
                self.start = gr.Button("Make the sweep", size="md", min_width=120, elem_id="hfgi-sweep-start")
                self.stop = gr.Button(
                    "Stop", variant="stop", interactive=False, size="md", min_width=70, elem_id="hfgi-sweep-stop"
                )
            self.state = gr.Markdown("", elem_id="hfgi-sweep-state")
            self.picture = gr.Image(
                label="The sweep", type="filepath", interactive=False, buttons=["fullscreen"], visible=False,
                elem_id="hfgi-sweep-result",
            )  # fmt: skip
            self.files = gr.File(
                label="The files", file_count="multiple", visible=False, interactive=False, elem_id="hfgi-sweep-files"
            )

    def wire(
        self,
        studio: Studio,
        editor: Editor,
        *,
        inputs: set[Any],
        photo: gr.Image,
        model: gr.Dropdown,
        opened: Open,
        settings: Settings,
    ) -> None:
        """Connect it. opened: the session and the photo of a handler's data; settings: read out of the same."""
        at_rest = idle(self.start, self.stop)

        def on_start(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
            try:
                yield from work_on(data, request, progress)
                yield at_rest()
            except Exception as error:
                yield {self.state: str(error) if isinstance(error, StudioError) else ""}
                raise

        def work_on(data: Data, request: gr.Request, progress: gr.Progress) -> Iterator[Data]:
            if not data[photo]:
                raise BadImage("Please choose a photo first; then its face can be swept.")
            if not data[self.attribute]:
                raise BadValue("Please choose a slider.")
            yield {self.state: "Making the sweep ..."}
            session, work = opened(data, request)
            job = session.job(_JOB)
            steps = sweep(
                editor, session, work, data[model], data[self.attribute], **settings(session, data),
                progress=reporter(progress),
            )  # fmt: skip
            with contextlib.closing(steps):
                for step in steps:
                    if job.stopped:
                        yield {self.state: "Stopped."}
                        return
                    if isinstance(step, Done):
                        paths = [str(path) for path in step.value]
                        yield {
                            self.picture: gr.Image(paths[0], visible=True),
                            self.files: gr.File(paths, visible=True),
                            self.state: "Done.",
                        }
                    else:
                        yield {self.state: f"{step.text} ..."}

        long_job(studio.sessions, _JOB, self.start, self.stop).then(
            queued(on_start, idle=at_rest, stopped=has_stopped(studio.sessions, _JOB)),
            inputs | {self.attribute},
            [self.picture, self.files, self.state, self.start, self.stop],
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        )
        model.change(
            lambda name: gr.Dropdown(_names(editor.model(name)), value=_first(editor.model(name))), model,
            self.attribute, **QUIET,
        )  # fmt: skip


def _names(choice: HFGIModel) -> list[tuple[str, str]]:
    return [(slider.label, slider.name) for slider in choice.sliders]


def _first(choice: HFGIModel) -> str | None:
    return choice.sliders[0].name if choice.sliders else None
