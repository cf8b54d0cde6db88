"""The filmstrip: pictures over the whole range of an attribute, by both methods, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from demo.context import Studio
from demo.parts.download import download_button
from demo.parts.events import Data
from demo.parts.pictures import captioned_picture, shown
from demo.parts.queued import QUEUE, queued
from demo.self_conditioned.editor import STRIP_FRAMES, Editor, Subject
from demo.self_conditioned.image_grid import captioned, cell_at, image_grid
from demo.session import Session
from gan_core.errors import BadValue
from gan_core.images import held_bytes
from gan_core.self_conditioned.models import SelfConditionedModel

Request = tuple[Session, SelfConditionedModel, Subject, dict[str, float]]
OWN, PLAIN = "Self-conditioned", "Plain direction in the plain generator"
VIEW = "strip"
_SIDE = 160  # pixels of a frame on the page
_KEPT = "self-conditioned-strip"


@dataclass(frozen=True)
class Strip:
    """The last filmstrip that was drawn."""

    choice: SelfConditionedModel
    subject: Subject
    attribute: str
    values: dict[str, float]
    own: list[Image.Image]
    plain: list[Image.Image]


class FilmstripPanel:
    """Controls and pictures of the filmstrip. read: reads the page's inputs from a handler's data."""

    def __init__(self, studio: Studio, editor: Editor, read: Callable[..., Request]) -> None:
        self.studio, self.editor, self.read = studio, editor, read

    def build(self, first: SelfConditionedModel) -> None:
        """Lay it out in the current context."""
        choices = names_of(first)
        with gr.Row(elem_classes="actions"):
            self.attribute = gr.Radio(
                choices, value=choices[0][1] if choices else None, show_label=False, container=False, min_width=200,
                scale=3, elem_id="self-conditioned-strip-attribute",
            )  # fmt: skip
            self.start = gr.Button(
                "Draw again", size="md", min_width=100, scale=1, elem_id="self-conditioned-strip-start"
            )
        with gr.Column(elem_classes="self-conditioned-wide"):
            self.axis = gr.HTML("", padding=False, elem_id="self-conditioned-strip-axis")
            self.own = captioned_picture(OWN, "self-conditioned-strip-own")
            self.plain = captioned_picture(PLAIN, "self-conditioned-strip-plain")
        gr.Markdown("Click a picture to continue with it. The other attributes stay as the sliders say.",
                    elem_classes="hint")  # fmt: skip
        self.download_place = gr.Row()

    def wire(self, inputs: set[Any], view: gr.State, refresh: list[Any], pick: Callable[..., None]) -> None:
        """Connect the events. view: name of the open view; refresh: events after which the strip is drawn again if it
        is open; pick(event, handler): connects a click on a picture; the handler returns values by attribute."""
        self.view = view
        inputs = inputs | {self.attribute}
        outputs = [self.axis, self.own, self.plain]
        drawing: dict[str, Any] = {
            "api_visibility": "private", "show_progress_on": [self.own, self.plain], "trigger_mode": "always_last",
            **QUEUE,
        }  # fmt: skip
        for event in (self.start.click, self.attribute.change):
            event(queued(self.on_draw), inputs, outputs, **drawing)
        for event in refresh:
            event(queued(self.on_refresh), inputs | {view}, outputs, **drawing)
        for place in (self.own, self.plain):
            pick(place.select, self.on_pick)
        with self.download_place:
            download_button(
                "Download both as PNG", self.make_download, inputs, elem_id="self-conditioned-strip-download"
            )

    def on_draw(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Draw both strips, this method's first."""
        session, choice, subject, values = self.read(data, request)
        attribute = data[self.attribute]
        if not attribute:
            raise BadValue("Please choose an attribute.")
        own = self.editor.strip(choice, subject, attribute, values)
        yield {
            self.axis: _axis(choice, attribute, subject.face.values[attribute]),
            self.own: shown(session, "strip", image_grid([own], _SIDE)),
            self.plain: None,
        }
        plain = self.editor.strip(choice, subject, attribute, values, plain=True)
        strip = Strip(choice, subject, attribute, values, own, plain)
        session.keep(_KEPT, strip, held_bytes(*own, *plain))
        yield {self.plain: shown(session, "strip", image_grid([plain], _SIDE))}

    def on_refresh(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Draw the strips if they are visible and show something else."""
        if data[self.view] != VIEW:
            return
        session, choice, subject, values = self.read(data, request)
        strip: Strip | None = session.recall(_KEPT)
        asked = (choice, subject.key, subject.refined, data[self.attribute], values)
        known = strip and (strip.choice, strip.subject.key, strip.subject.refined, strip.attribute, strip.values)
        if asked != known:
            yield from self.on_draw(data, request)

    def on_pick(self, data: Data, request: gr.Request, event: gr.SelectData) -> dict[str, float]:
        """The value of the picture that was clicked."""
        strip = self._kept(request)
        _, column = cell_at(event.index, _SIDE)
        return {strip.attribute: round(min(column, STRIP_FRAMES - 1) / (STRIP_FRAMES - 1), 2)}

    def make_download(self, data: Data, request: gr.Request) -> str:
        """Both strips as one marked PNG."""
        session, strip = self.studio.sessions.get(request.session_hash), self._kept(request)
        side = strip.own[0].width
        slider = next(slider for slider in strip.choice.sliders if slider.name == strip.attribute)
        ends = f"{slider.label}: {slider.low} to {slider.high}"
        parts = [(f"{name}. {ends}", image_grid([row], side)) for name, row in ((OWN, strip.own), (PLAIN, strip.plain))]
        what = f"both methods, {strip.attribute} from 0 to 1"
        return str(self.editor.save(session, captioned(parts), strip.choice, strip.subject, strip.values, method=what))

    def _kept(self, request: gr.Request) -> Strip:
        strip = self.studio.sessions.get(request.session_hash).recall(_KEPT)
        if strip is None:
            raise BadValue("There is no strip here any more. Please draw it again.")
        return strip


def names_of(choice: SelfConditionedModel) -> list[tuple[str, str]]:
    """The attributes for a list to choose from."""
    return [(slider.label, slider.name) for slider in choice.sliders]


def _axis(choice: SelfConditionedModel, attribute: str, now: float) -> str:
    """Labels of the strip's ends, and a mark at the face's own value on the axis through the pictures' centres."""
    slider = next(slider for slider in choice.sliders if slider.name == attribute)
    at = (now * (STRIP_FRAMES - 1) + 0.5) / STRIP_FRAMES
    return (
        f'<div class="ends strip"><span>{escape(slider.low)}</span>'
        f'<i style="--at:{at:.3f}" title="this face by itself: {now:.2f}"></i><span>{escape(slider.high)}</span></div>'
    )
