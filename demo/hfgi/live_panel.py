"""The live camera of "Edit a face", edited by this server's processor: the tab's sliders on each frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from demo import gpu
from demo.context import Studio
from demo.hfgi import film_tasks
from demo.hfgi.editor import Editor
from demo.parts.camera import answer_to, camera_view, number_of, picture_url, read_frame
from demo.parts.events import QUIET, Data
from demo.parts.queued import QUEUE
from demo.parts.streamed import Streams
from demo.session import Session
from gan_core.errors import BadValue, Busy, StudioError

if TYPE_CHECKING:
    from gan_core.hfgi.live import LiveFrame
    from gan_core.own_direction import OwnDirection

_LABEL = "Live camera, by this server"
_HINT = (
    "Frames of the camera are sent to this server one at a time, edited by the sliders' setting, and sent back. They "
    "stay in memory only, and nothing is kept."
)
_EDITOR = "hfgi-live"
_EDITOR_BYTES = 12 << 20  # an inversion and two changes, about
_PATIENCE = 2.0  # seconds that the page waits before it asks again, where the line is too long

Own = Callable[[Session, str, Data], "tuple[OwnDirection, float] | None"]


class LivePanel:
    """The switch, made in the current context; then, elsewhere, the camera."""

    def __init__(self, studio: Studio) -> None:
        self._studio, self._streams = studio, Streams()
        # On ZeroGPU each frame would have to be given a GPU of its own.
        offered = not studio.settings.zero_gpu
        self.switch = gr.Checkbox(
            False, label=_LABEL, show_label=False, container=False, visible=offered, elem_id="hfgi-live-switch",
            elem_classes="lead-switch",
        )  # fmt: skip

    def build(self) -> gr.Column:
        """Lay the camera out in the current context."""
        with gr.Column(visible=False, elem_classes="work-live", elem_id="hfgi-live") as self.place:
            gr.Markdown(_HINT, elem_classes="hint")
            with gr.Row(elem_classes="actions"):
                # The camera's script makes them usable.
                gr.Button("Start the camera", variant="primary", interactive=False, elem_id="hfgi-live-start")
                self.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="hfgi-live-stop")
            self.view = camera_view("hfgi-live-view", "hfgi-live")
        return self.place

    def wire(
        self,
        editor: Editor,
        *,
        inputs: set[Any],
        model: gr.Dropdown,
        strengths: Callable[[Data], dict[str, float]],
        own: Own,
        instead_of: list[Any],
    ) -> None:
        """Connect it. strengths, own: read the sliders out of a handler's data. instead_of: columns that are hidden
        while it is on."""
        sessions = self._studio.sessions

        def on_frame(data: Data, request: gr.Request) -> dict[str, Any]:
            from gan_core.hfgi.live import LiveFaceEditor, LiveSliders

            session, frame = sessions.get(request.session_hash), read_frame(data[self.view])
            choice = editor.model(data[model])
            if choice.alignment != "face":
                raise BadValue("A live camera is edited with models of faces. Please choose other weights.")
            values = {name: value for name, value in strengths(data).items() if value}
            mine = own(session, data[model], data)
            sliders = LiveSliders(values, None if mine is None else mine[0].offset(mine[1]))
            key = (_EDITOR, choice.model)
            known = session.recall(key) or LiveFaceEditor()
            session.keep(key, None, 0)  # so that no other call works on it meanwhile
            call = film_tasks.live_frame(choice.model, known, frame.picture, frame.time, sliders)
            known, done = gpu.run(call)
            session.keep(key, known, _EDITOR_BYTES)
            note = editor.note(choice, values, own=mine) if done.edited else None
            return frame.answer(
                _said(done, bool(values) or mine is not None),
                image=picture_url(done.picture, note),
                inversions=done.inversions,
                edited=done.edited,
            )

        def refused(data: Data, error: StudioError) -> dict[str, Any]:
            more = {"wait": _PATIENCE} if isinstance(error, Busy) else {"stop": True}
            return answer_to(number_of(data[self.view]), str(error), **more)

        def on_stop(request: gr.Request) -> None:
            self._streams.forget(request.session_hash or "")
            for choice in editor.models.values():
                sessions.get(request.session_hash).keep((_EDITOR, choice.model), None, 0)

        self.view.stream(
            self._streams.streamed(on_frame, refused),
            inputs | {self.view},
            self.view,
            trigger_mode="multiple",
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        )
        for event in (self.stop.click, self.switch.change):
            event(on_stop, None, None, **QUIET)
        self.switch.change(
            lambda on: [gr.Column(visible=on), *(gr.Column(visible=not on) for _ in instead_of)],
            self.switch,
            [self.place, *instead_of],
            **QUIET,
        )


def _said(done: LiveFrame, wanted: bool) -> str:
    """wanted: whether a slider is moved."""
    if done.trouble:
        return done.trouble
    if not done.faces:
        return "No face is in the picture: come into it, in good light."
    if wanted and not done.edited:
        return "A face is there: its first edit takes a moment ..."
    return "One face: move a slider." if done.faces == 1 else f"{done.faces} faces: the largest one is edited."
