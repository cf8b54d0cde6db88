"""The button that refines the inversion on the photo, with progress, Stop, and a switch between before and after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.gpu import Done
from demo.hfgi.editor import Editor
from demo.hfgi.tasks import RefinementPreview
from demo.hfgi.work import Work
from demo.parts.events import Data, reporter
from demo.parts.long_job import has_stopped, idle, long_job
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from gan_core.errors import BadImage, StudioError

JOB = "hfgi.refine"
_SHOWN = "hfgi-shown"
_HINT = (
    "Fits the generator to this one photo, for some ten seconds on a CPU: the sliders then edit this person's face, "
    "and not that of somebody like them."
)

Open = Callable[[Data, gr.Request], tuple[Session, Work]]
Draw = Callable[[Session, Work, Data, gr.Progress], Data]


class RefinePanel:
    """The components, in the current context."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button("Refine on this photo", min_width=150, size="sm", elem_id="hfgi-refine-start")
            self.stop = gr.Button(
                "Stop, keep it", variant="stop", interactive=False, min_width=100, size="sm", elem_id="hfgi-refine-stop"
            )
        self.state = gr.Markdown(_HINT, elem_classes="hint", elem_id="hfgi-refine-state")
        self.preview = gr.Image(
            label="What the generator draws of the face", interactive=False, buttons=[], height=180, visible=False,
            elem_id="hfgi-refine-preview",
        )  # fmt: skip
        self.used = gr.Checkbox(True, label="Use the refined face", visible=False, elem_id="hfgi-refine-used")

    @property
    def outputs(self) -> list[Any]:
        """What `fresh` sets."""
        return [self.state, self.preview, self.used]

    def fresh(self, session: Session, work: Work | None) -> Data:
        """Another photo or face is shown from now on (None: no photo), which is not refined; what runs, stops."""
        session.job(JOB).stop()
        session.keep(_SHOWN, work.face if work else "nothing", 0)
        known = bool(work and work.refined)
        return {
            self.state: _HINT,
            self.preview: gr.Image(None, visible=False),
            self.used: gr.Checkbox(True, visible=known),
        }

    def wire(
        self,
        studio: Studio,
        editor: Editor,
        *,
        inputs: set[Any],
        photo: gr.Image,
        model: gr.Dropdown,
        opened: Open,
        draw: Draw,
        drawn: list[Any],
        changed: Callable[..., Any],
    ) -> None:
        """Connect the buttons and the switch. opened: the session and the photo of a handler's data; draw: updates that
        show the edited photo, of the components `drawn`; changed: the handler that draws again."""
        at_rest = idle(self.start, self.stop)

        def on_start(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
            try:
                yield from work_on(data, request, progress)
                yield at_rest()
            except StudioError as error:
                yield {self.state: str(error), self.preview: gr.Image(visible=False)}
                raise

        def work_on(data: Data, request: gr.Request, progress: gr.Progress) -> Iterator[Data]:
            if not data[photo]:
                raise BadImage("Please choose a photo first; then its face can be refined.")
            session, work = opened(data, request)
            job, face = session.job(JOB), work.face
            session.keep(_SHOWN, face, 0)
            if job.stopped:
                yield {self.state: "Stopped before it began."}
                return
            yield {self.state: "Refining ..."}
            last = 0
            with contextlib.closing(editor.refine(session, work, data[model], reporter(progress))) as steps:
                for step in steps:
                    if isinstance(step, Done):
                        last = step.value.refined
                    elif isinstance(step, RefinementPreview):
                        last = step.face.refined
                        preview = shown(session, "refining", step.face.plain)
                        yield {self.preview: gr.Image(preview, visible=True), self.state: f"{step.text}."}
                    else:
                        yield {self.state: f"{step.text} ..."}
                    if job.stopped:
                        break
            now = session.recall(_SHOWN)
            if now is not None and now is not face:  # another photo or face has taken its place
                return
            if not last:
                yield {self.state: "Stopped before there was anything to keep."}
                return
            done = "Refined" if not job.stopped else f"Stopped; the {last} steps so far are kept"
            yield {
                **draw(session, work, {**data, self.used: True}, progress),
                self.state: f"{done}. Move a slider.",
                self.preview: gr.Image(visible=False),
                self.used: gr.Checkbox(True, visible=True),
            }

        inputs = inputs | {self.used}
        long_job(studio.sessions, JOB, self.start, self.stop).then(
            queued(on_start, idle=at_rest, stopped=has_stopped(studio.sessions, JOB)),
            inputs,
            [self.start, self.stop, *self.outputs, *drawn],
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        )
        self.used.input(
            changed,
            inputs,
            drawn,
            show_progress="minimal",
            trigger_mode="always_last",
            api_visibility="private",
            **QUEUE,
        )


def build() -> RefinePanel:
    """The panel, in the current context."""
    return RefinePanel()
