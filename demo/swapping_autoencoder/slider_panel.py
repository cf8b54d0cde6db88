"""The sliders of "Swap structure and texture": amount, detail, the model's directions, weights of several textures."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import gradio as gr

from demo.parts.choices import weights_dropdown
from demo.parts.events import Data
from demo.parts.files import pictures_input
from demo.parts.settings_bar import ApiCall, Preset, Setting, SettingsBar
from demo.parts.sliders import SliderGroup
from demo.swapping_autoencoder.editor import MOST_TEXTURES
from gan_core.swapping_autoencoder.models import DirectionSlider, SwappingAutoencoderModel

_PREFIX = "swapping-autoencoder"
_PRESETS = [
    Preset("A hint of it", {"amount": 0.4}),
    Preset("Warm and bright", {"warm": 0.6, "bright": 0.4, "golden": 1.5}),
    Preset("Black and white", {"grey": 1.0}),
    Preset("Night", {"night": 2.0}),
    Preset("Snow", {"snow": 1.0}),
]
_STRUCTURE = "Principal directions of the structure code. Shapes change, so the first picture's detail is not used."


class SliderPanel:
    """The menu of weights and all sliders. `moving`, `detail` and `more` are inputs of every drawing."""

    def __init__(self, models: Mapping[str, SwappingAutoencoderModel]) -> None:
        self.models = models
        self.bar = SettingsBar("swapping_autoencoder", _PREFIX, _PRESETS)
        self.banks = [
            SliderGroup(models.values(), functools.partial(_directions, kind=kind), f"{_PREFIX}-{kind}", step=0.05)
            for kind in ("texture", "structure")
        ]

    def build(self, first: SwappingAutoencoderModel) -> None:
        """Lay it out in the current context, for the weights chosen first."""
        self.model = weights_dropdown(self.models, f"{_PREFIX}-model")
        with gr.Column(elem_classes="sliders"):
            self.amount = gr.Slider(
                0, 1, value=first.amount, step=0.02, label="Amount of texture", elem_id=f"{_PREFIX}-amount"
            )
            self.detail = gr.Slider(
                0, 1, value=first.detail, step=0.05, label="Detail of the first picture", elem_id=f"{_PREFIX}-detail",
                info="0: as the model draws it. 1: the photo's own detail in the model's colours.",
            )  # fmt: skip
        self.bar.build({name: (self._settings(one), _call(name)) for name, one in self.models.items()})
        self.reset = gr.Button("Reset sliders", size="sm", elem_id=f"{_PREFIX}-reset")
        domain = gr.Accordion("Domain vectors", open=True, visible=bool(self.banks[0].most))
        with domain, gr.Column(elem_classes="sliders"):
            self.banks[0].build(first)
        with gr.Accordion("Structure", open=False, visible=bool(self.banks[1].most)):
            gr.Markdown(_STRUCTURE, elem_classes="hint")
            with gr.Column(elem_classes="sliders"):
                self.banks[1].build(first)
        with gr.Accordion("Several textures", open=False):
            self.more = pictures_input(
                label=f"Up to {MOST_TEXTURES - 1} more pictures", height=110, elem_id=f"{_PREFIX}-more"
            )
            with gr.Column(elem_classes="sliders"):
                self.weights = [
                    gr.Slider(
                        0, 1, value=1, step=0.05, label=f"Weight of texture {i + 1}", visible=i < 1,
                        elem_id=f"{_PREFIX}-weight-{i}",
                    )
                    for i in range(MOST_TEXTURES)
                ]  # fmt: skip

    @property
    def state(self) -> list[Any]:
        """The menu of weights and the sliders that the settings bar sets."""
        return [self.model, self.amount, self.detail, *self.bank_sliders]

    def _settings(self, choice: SwappingAutoencoderModel) -> list[Setting]:
        mixing = [Setting("amount", 0.0, 1.0, choice.amount), Setting("detail", 0.0, 1.0, choice.detail)]
        return [*mixing, *(one for bank in self.banks for one in bank.settings(choice))]

    @property
    def bank_sliders(self) -> list[gr.Slider]:
        """The directions' sliders."""
        return [slider for bank in self.banks for slider in bank.sliders]

    @property
    def moving(self) -> list[gr.Slider]:
        """All sliders that "Reset sliders" puts back."""
        return [self.amount, *self.weights, *self.bank_sliders]

    def neutral(self, name: str) -> list[float]:
        """The values of `moving` that it puts back. name: of the weights."""
        return [self.models[name].amount, *[1] * MOST_TEXTURES, *[0] * len(self.bank_sliders)]

    def strengths(self, choice: SwappingAutoencoderModel, data: Data) -> dict[str, float]:
        """Direction -> strength, of those that are not at 0."""
        found: dict[str, float] = {}
        for bank in self.banks:
            found |= {name: strength for name, strength in bank.read(choice, data).items() if strength}
        return found

    def updates(self, choice: SwappingAutoencoderModel) -> list[Any]:
        """For `bank_sliders`: those of other weights, all at 0."""
        return [update for bank in self.banks for update in bank.updates(choice)]


def _call(name: str) -> ApiCall:
    pictures = ['handle_file("structure.jpg")', 'handle_file("texture.jpg")']
    return ApiCall("autoencoder_swap", [*pictures, "{amount}", f'"{name}"', "{changed}"])


def _directions(choice: SwappingAutoencoderModel, kind: str) -> list[DirectionSlider]:
    return [slider for slider in choice.sliders if slider.kind == kind]
