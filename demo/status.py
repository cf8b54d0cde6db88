"""The page's footer: the device, the models with their memory and licences, and the `models` endpoint."""

from __future__ import annotations

import sys
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr

from demo import gpu
from demo.context import Studio
from demo.executors import describe
from demo.parts.events import QUIET

_COLUMNS = ["model", "loaded", "device", "memory (MB)", "resolution", "licence"]


def build_footer(studio: Studio, blocks: gr.Blocks) -> None:
    """The status line, the table of models, and the `models` endpoint."""

    def models() -> list[dict[str, Any]]:
        """All models: whether loaded, on which device, memory in bytes, licence, resolution."""
        return [asdict(info) for info in gpu.executor().models()]

    def refresh() -> tuple[str, list[list[Any]]]:
        return status_line(studio), model_rows(studio)

    line = gr.HTML(status_line(studio), elem_id="status")
    with gr.Accordion("Models and licences", open=False):
        table = gr.Dataframe(model_rows(studio), headers=_COLUMNS, interactive=False, wrap=True)
    timer = gr.Timer(10)
    timer.tick(refresh, None, [line, table], **QUIET)
    blocks.load(refresh, None, [line, table], **QUIET)
    gr.api(models, api_name="models", queue=False)


def status_line(studio: Studio) -> str:
    """Device, ops back end and loaded models as a line of HTML; never imports torch by itself."""
    if "torch" not in sys.modules or "ops_cuda" not in sys.modules:
        return "<span>Starting: the models are loaded when they are first needed.</span>"
    from ops_cuda import status

    infos = [info for info in gpu.executor().models() if info.loaded]
    size = sum(info.memory_bytes for info in infos) / 1e6
    loaded = f"{len(infos)} loaded, {size:.0f} MB" if infos else "none loaded yet"
    backend = status()
    parts = [
        f"Runs on <b>{escape(describe(gpu.executor().devices()))}</b>",
        f"operations: <b>{escape(backend.name)}</b> ({escape(backend.reason)})",
        f"models: <b>{escape(loaded)}</b>",
    ]
    return "<span>" + "</span><span>".join(parts) + "</span>"


def model_rows(studio: Studio) -> list[list[Any]]:
    """Rows of the table of models."""
    return [
        [
            info.name,
            "yes" if info.loaded else "no",
            info.device or "",
            round(info.memory_bytes / 1e6, 1),
            info.resolution,
            info.licence,
        ]
        for info in gpu.executor().models()
    ]
