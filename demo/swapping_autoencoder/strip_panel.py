"""The strip and the looping video of "Swap structure and texture": from the first texture to the second one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from PIL import Image

from demo.context import Studio
from demo.gpu import Done
from demo.parts.events import QUIET, Data
from demo.parts.long_job import has_stopped, idle, long_job, start_and_stop
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.parts.results import sign_result
from demo.session import Session
from demo.swapping_autoencoder.editor import LOOP_FRAMES, Editor, OpenedPicture
from demo.swapping_autoencoder.request import MixtureRequest, note_of
from gan_core.swapping_autoencoder.models import SwappingAutoencoderModel

SHOWN = 7  # pictures of the strip
RATE = 16.0  # frames a second
HEIGHT = 256  # pixels of the strip
_JOB = "swapping_autoencoder.strip"
Inputs = tuple[Session, OpenedPicture, list[OpenedPicture], SwappingAutoencoderModel, MixtureRequest]


class StripPanel:
    """A button, a strip, a video. read: reads the page's inputs from a handler's data."""

    def __init__(self, studio: Studio, editor: Editor, read: Callable[..., Inputs]) -> None:
        self.studio, self.editor, self.read = studio, editor, read

    def build(self) -> None:
        """Lay it out in the current context."""
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button(
                "Make strip and video", variant="primary", elem_id="swapping-autoencoder-strip-start"
            )
            self.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="swapping-autoencoder-strip-stop")
        self.state = gr.Markdown("", elem_id="swapping-autoencoder-strip-state")
        self.strip = gr.Image(
            label="Amount of texture from 0 to 1", interactive=False, type="filepath",
            elem_id="swapping-autoencoder-strip", buttons=["download", "fullscreen"],
        )  # fmt: skip
        self.video = gr.Video(
            label="There and back", interactive=False, loop=True, autoplay=True, height=300,
            elem_id="swapping-autoencoder-video",
        )  # fmt: skip

    def wire(self, inputs: set[Any]) -> None:
        """Connect the buttons."""
        long_job(self.studio.sessions, _JOB, self.start, self.stop).then(
            queued(self.on_start, idle=idle(self.start, self.stop), stopped=has_stopped(self.studio.sessions, _JOB)),
            inputs,
            [self.strip, self.video, self.state, self.start, self.stop],
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        ).then(lambda: start_and_stop(busy=False), None, [self.start, self.stop], **QUIET)

    def on_start(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Draw all frames, showing the progress, then show strip and video."""
        session, first, textures, choice, wanted = self.read(data, request)
        job = session.job(_JOB)
        yield {self.state: "Stopped." if job.stopped else "Drawing"}
        if job.stopped:
            return
        frames: list[Image.Image] = []
        steps = self.editor.steps(session, first, textures, choice, wanted)
        with contextlib.closing(steps):
            for step in steps:
                if job.stopped:
                    yield {self.state: "Stopped."}
                    return
                if isinstance(step, Done):
                    frames = step.value
                else:
                    yield {self.state: f"{step.text} ({step.fraction:.0%})"}
        from gan_core.video.loops import there_and_back, write_loop

        target = session.new_file("loop", ".mp4")
        write_loop(there_and_back(frames), target, rate=RATE, note=note_of(choice, wanted))
        sign_result(target, note_of(choice, wanted))
        strip = side_by_side(frames[:: (LOOP_FRAMES - 1) // (SHOWN - 1)], HEIGHT)
        yield {self.strip: shown(session, "strip", strip), self.video: str(target), self.state: "Done."}


def side_by_side(pictures: list[Image.Image], height: int) -> Image.Image:
    """Pictures of one size in a row, each at most `height` pixels high."""
    width, full = pictures[0].size
    height = min(height, full)
    width = max(1, round(width * height / full))
    row = Image.new("RGB", (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        row.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (i * width, 0))
    return row
