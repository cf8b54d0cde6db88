"""The video part of "Edit a face": the same slider values for every frame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.gpu import Done
from demo.hfgi.edited_video import MAX_SECONDS, edited_video
from demo.hfgi.editor import Editor
from demo.hfgi.live_panel import Own
from demo.parts.events import Data, reporter
from demo.parts.long_job import has_stopped, idle, long_job
from demo.parts.queued import QUEUE, queued
from gan_core.errors import BadValue, BadVideo, StudioError

_JOB = "hfgi.video"


class VideoPanel:
    """Input and output of the video part, which are in different columns of the tab."""

    def __init__(self) -> None:
        self.source = gr.Video(
            label=f"A video of up to {MAX_SECONDS} seconds", sources=["upload", "webcam"], height=260,
            elem_id="hfgi-video",
        )  # fmt: skip
        gr.Markdown(
            "The sliders' setting is applied to the largest face in every frame; the sound stays.",
            elem_classes="hint",
        )
        self.beside = gr.Checkbox(
            False,
            label="Side by side with the original",
            show_label=False,
            container=False,
            elem_id="hfgi-video-beside",
        )
        with gr.Row():
            self.start = gr.Button("Edit the video", variant="primary", elem_id="hfgi-video-start")
            self.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="hfgi-video-stop")
        self.state = gr.Markdown("", elem_id="hfgi-video-state")
        self.output: gr.Video | None = None

    def build_output(self) -> None:
        """The result, in the current context."""
        self.output = gr.Video(label="Edited video", interactive=False, height=420, elem_id="hfgi-video-result")

    def wire(
        self,
        studio: Studio,
        editor: Editor,
        *,
        inputs: set[Any],
        model: gr.Dropdown,
        strengths: Callable[[Data], dict[str, float]],
        own: Own,
    ) -> None:
        """Connect the buttons. strengths, own: read the sliders out of a handler's data."""

        at_rest = idle(self.start, self.stop)

        def on_start(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
            yield {self.state: "Reading the video ..."}
            try:
                yield from work(data, request, progress)
                yield at_rest()
            except Exception as error:
                yield {self.state: str(error) if isinstance(error, StudioError) else ""}
                raise

        def work(data: Data, request: gr.Request, progress: gr.Progress) -> Iterator[Data]:
            session = studio.sessions.get(request.session_hash)
            if not data[self.source]:
                raise BadVideo("Please choose a video first.")
            job, mine = session.job(_JOB), own(session, data[model], data)
            values = {name: value for name, value in strengths(data).items() if value}
            if not values and mine is None:
                raise BadValue("All sliders are at 0. Please set what to change first.")
            if job.stopped:
                yield {self.state: "Stopped."}
                return
            steps = edited_video(
                editor, session, data[self.source], data[model], values, own=mine, side_by_side=data[self.beside],
                progress=reporter(progress),
            )  # fmt: skip
            with contextlib.closing(steps):
                for step in steps:
                    if job.stopped:
                        yield {self.state: "Stopped."}
                        return
                    if isinstance(step, Done):
                        yield {self.output: str(step.value), self.state: "Done."}
                    else:
                        yield {self.state: f"{step.text} ({step.fraction:.0%})"}

        long_job(studio.sessions, _JOB, self.start, self.stop).then(
            queued(on_start, idle=at_rest, stopped=has_stopped(studio.sessions, _JOB)),
            inputs | {self.source, self.beside},
            [self.output, self.state, self.start, self.stop],
            show_progress_on=[self.output],
            api_visibility="private",
            **QUEUE,
        )


def build_input() -> VideoPanel:
    """The video input, in the current context."""
    return VideoPanel()
