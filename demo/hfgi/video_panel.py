"""The video part of "Edit a face": the same slider values for every frame."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo import gpu
from demo.context import Studio
from demo.gpu import Done
from demo.hfgi import tasks
from demo.hfgi.editor import Editor
from demo.parts.events import Data, reporter
from demo.parts.long_job import has_stopped, idle, long_job
from demo.parts.queued import QUEUE, queued
from demo.parts.results import sign_result
from gan_core.errors import BadValue, BadVideo, Busy, StudioError

MAX_SECONDS = 20  # of video
_JOB = "hfgi.video"
MAX_WORK_SECONDS = 1800  # of work on one video


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
    ) -> None:
        """Connect the buttons. strengths: reads the sliders out of a handler's data."""

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
            session.own_upload(data[self.source])
            job = session.job(_JOB)
            choice = editor.model(data[model])
            if choice.alignment != "face":
                raise BadValue("Videos are edited with models of faces. Please choose other weights.")
            values = {name: value for name, value in strengths(data).items() if value}
            if not values:
                raise BadValue("All sliders are at 0. Please set what to change first.")
            if job.stopped:
                yield {self.state: "Stopped."}
                return
            target = session.new_file("video", ".mp4")
            call = tasks.video(
                choice.model,
                size=choice.resolution,
                source=data[self.source],
                target=str(target),
                strengths=values,
                max_seconds=MAX_SECONDS,
            )
            steps = gpu.stream(call, reporter(progress))
            deadline = time.monotonic() + MAX_WORK_SECONDS
            with contextlib.closing(steps):
                for step in steps:
                    if job.stopped:
                        yield {self.state: "Stopped."}
                        return
                    if time.monotonic() > deadline:
                        raise Busy("This video takes too long on this machine. Please send a shorter one.")
                    if isinstance(step, Done):
                        sign_result(target, editor.note(choice, values))
                        yield {self.output: str(target), self.state: "Done."}
                    else:
                        yield {self.state: f"{step.text} ({step.fraction:.0%})"}

        long_job(studio.sessions, _JOB, self.start, self.stop).then(
            queued(on_start, idle=at_rest, stopped=has_stopped(studio.sessions, _JOB)),
            inputs | {self.source},
            [self.output, self.state, self.start, self.stop],
            show_progress_on=[self.output],
            api_visibility="private",
            **QUEUE,
        )


def build_input() -> VideoPanel:
    """The video input, in the current context."""
    return VideoPanel()
