"""The sliders of "Edit a face": named attributes, and principal directions in a folded part."""

from __future__ import annotations

from collections.abc import Iterable

import gradio as gr

from demo.parts.events import Data
from demo.parts.settings_bar import Setting
from demo.parts.sliders import SliderGroup
from gan_core.hfgi.models import MOST_NAMED, MOST_PRINCIPAL, HFGIModel, Slider


class AttributeSliders:
    """Both groups. The components themselves: `sliders`."""

    def __init__(self, models: Iterable[HFGIModel]) -> None:
        models = list(models)
        self._named = SliderGroup(models, _named, "hfgi-named", step=0.1, at_least=MOST_NAMED)
        self._principal = SliderGroup(models, _principal, "hfgi-principal", step=0.1, at_least=MOST_PRINCIPAL)

    @property
    def sliders(self) -> list[gr.Slider]:
        """All of them, as `updates` fills them."""
        return [*self._named.sliders, *self._principal.sliders]

    def build(self, choice: HFGIModel) -> None:
        """Lay the sliders out in the current context, labelled for `choice`."""
        if not choice.sliders:
            gr.Markdown("The editor's weights are not installed, so there is nothing to set here.")
        with gr.Column(elem_classes="sliders"):
            self._named.build(choice)
        with (
            gr.Accordion("More directions", open=False, visible=bool(_principal(choice))) as self.more,
            gr.Column(elem_classes="sliders"),
        ):
            self._principal.build(choice)

    def read(self, choice: HFGIModel, data: Data) -> dict[str, float]:
        """Strengths by attribute name, out of a handler's data."""
        return self._named.read(choice, data) | self._principal.read(choice, data)

    def settings(self, choice: HFGIModel) -> list[Setting]:
        """What they are to a `SettingsBar`, in the order of `sliders`."""
        return [*self._named.settings(choice), *self._principal.settings(choice)]

    def updates(self, choice: HFGIModel) -> list[gr.Slider]:
        """The sliders for another model, all at 0."""
        return [*self._named.updates(choice), *self._principal.updates(choice)]

    def folded(self, choice: HFGIModel) -> gr.Accordion:
        """The folded part (`more`) for another model: hidden where that has no principal directions, open where it has
        no others."""
        principal = bool(_principal(choice))
        return gr.Accordion(visible=principal, open=principal and not _named(choice))


def _named(choice: HFGIModel) -> list[Slider]:
    return [slider for slider in choice.sliders if slider.kind != "principal"]


def _principal(choice: HFGIModel) -> list[Slider]:
    return [slider for slider in choice.sliders if slider.kind == "principal"]
