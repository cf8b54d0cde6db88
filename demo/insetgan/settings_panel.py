"""The settings of "Compose a body": weights, what moves, which region, how many steps, a second inset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from demo.insetgan.editor import MOST_RESULTS, MOST_STEPS
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import weights_dropdown
from gan_core.insetgan.labels import MODE_LABELS, REGION_LABELS, SECOND_LABELS
from gan_core.insetgan.models import InsetGANModel


class SettingsPanel:
    """The column at the right; its components are what `inputs` names."""

    def build(self, models: Mapping[str, InsetGANModel], batch: BatchPanel) -> None:
        """Lay it out in the current context, for the first of the models."""
        first = next(iter(models.values()))
        self.model = weights_dropdown(models, "insetgan-model")
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button("Compose", variant="primary", min_width=110, size="md", elem_id="insetgan-start")
            self.stop = gr.Button(
                "Stop, keep it", variant="stop", interactive=False, min_width=120, size="md", elem_id="insetgan-stop"
            )
        self.mode = gr.Radio(
            [(label, name) for name, label in MODE_LABELS.items()], value="joint", label="Which generator moves",
            elem_id="insetgan-mode",
        )  # fmt: skip
        self.region = gr.Dropdown(
            region_choices(first), value=first.region, label="What the face generator draws", elem_id="insetgan-region"
        )
        with gr.Column(elem_classes="sliders"):
            self.steps = gr.Slider(20, MOST_STEPS, value=first.steps, step=10, label="Steps", elem_id="insetgan-steps")
            self.count = gr.Slider(
                1,
                MOST_RESULTS,
                value=1,
                step=1,
                label="Results",
                info="each with the next body",
                elem_id="insetgan-count",
            )
        with gr.Accordion("A second inset: more of a face, or feet", open=False):
            self.second = gr.Dropdown(
                second_choices(first), value=None, label="What else is drawn",
                info="Feet and shoes have a generator of their own: other ones, not always better ones.",
                elem_id="insetgan-second",
            )  # fmt: skip
            self.second_seed = gr.Number(9, label="Its seed", precision=0, minimum=0, elem_id="insetgan-second-seed")
        batch.build()
        with gr.Accordion("Optimisation", open=False), gr.Column(elem_classes="sliders"):
            self.keep_weight = gr.Slider(
                0, 4, value=1, step=0.1, label="Keep face and body", info="0: only the seam counts",
                elem_id="insetgan-keep",
            )  # fmt: skip
            self.alternate = gr.Slider(
                0, 40, value=0, step=5, label="Take turns", info="steps before the other side moves; 0: both at once",
                elem_id="insetgan-alternate",
            )  # fmt: skip

    @property
    def inputs(self) -> set[Any]:
        """The components that a request reads."""
        several = {self.mode, self.region, self.steps, self.count, self.second, self.second_seed, self.keep_weight}
        return several | {self.model, self.alternate}

    @property
    def of_model(self) -> list[Any]:
        """The components that `follow` sets."""
        return [self.region, self.second, self.steps]

    def follow(self, choice: InsetGANModel) -> list[Any]:
        """Other weights: their regions and number of steps."""
        return [
            gr.Dropdown(region_choices(choice), value=choice.region),
            gr.Dropdown(second_choices(choice), value=None),
            gr.Slider(value=choice.steps),
        ]


def region_choices(choice: InsetGANModel) -> list[tuple[str, str]]:
    """Labels and names of the regions that weights offer."""
    return [(REGION_LABELS[name], name) for name in choice.regions]


def second_choices(choice: InsetGANModel) -> list[tuple[str, str | None]]:
    """The same of a second inset, and of none."""
    others = [(SECOND_LABELS[name], name) for name in choice.seconds]
    return [("none", None), *region_choices(choice), *others]
