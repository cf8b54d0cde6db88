"""The page: header, one tab for each paper, footer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo import turns
from demo.comodgan import tab as comodgan
from demo.context import Studio
from demo.hfgi import tab as hfgi
from demo.insetgan import tab as insetgan
from demo.models_page import tab as models_page
from demo.parts.choices import Menu, follow
from demo.parts.events import QUIET
from demo.parts.send_to import TabHandle, wire
from demo.refusals import UploadsOnly
from demo.self_conditioned import tab as self_conditioned
from demo.status import build_footer
from demo.streams import WholeUpdates
from demo.swapping_autoencoder import tab as swapping_autoencoder

ASSETS = Path(__file__).resolve().parent / "assets"
TITLE = "GAN Studio"
TABS = (hfgi.TAB, self_conditioned.TAB, comodgan.TAB, insetgan.TAB, swapping_autoencoder.TAB, models_page.TAB)
"""The tabs in their order. A new paper's tab (`demo/<paper>/tab.py`, TAB) is added here."""
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_MONO = ["ui-monospace", "Consolas", "monospace"]


class StudioPage(UploadsOnly, WholeUpdates):
    """Gradio's page with what this app does differently."""


def build_page(studio: Studio) -> gr.Blocks:
    """The whole interface. Building it loads no model and downloads nothing."""
    with StudioPage(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            f"<h1>{TITLE}</h1><p>Image editing with GANs. Your pictures stay in this server's memory and "
            "are deleted when you close the page.</p>",
            elem_id="header",
        )
        handles: list[TabHandle] = []
        menus: list[Menu] = []
        with gr.Tabs(elem_id="papers", overflow_behavior="wrap") as tabs:
            for tab in TABS:
                with gr.Tab(tab.label, id=tab.id) as place:
                    handles.append(tab.build(studio))
                # Models may have been installed or removed since the page was opened.
                own = handles[-1].menus
                lists = [menu.component for menu in own]
                if lists:
                    place.select(follow(own), lists, lists, **QUIET)
                menus += own
        wire(handles, tabs)
        # The page itself is made once, when the app starts.
        lists = [menu.component for menu in menus]
        page.load(follow(menus), lists, lists, **QUIET)
        build_footer(studio, page)

        def left(request: gr.Request) -> None:
            studio.sessions.delete(request.session_hash)
            turns.line.forget(request.session_hash or "")

        page.unload(left)
    return page


def launch_options() -> dict[str, Any]:
    """Theme, style sheet and script of the page, for `launch`."""
    theme = gr.themes.Default(primary_hue="indigo", neutral_hue="slate", radius_size="md", font=_FONTS, font_mono=_MONO)
    theme.set(  # as dark as WCAG AA asks for, on white
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_cancel_background_fill="#dc2626",
        button_cancel_background_fill_dark="#dc2626",
        button_cancel_background_fill_hover="#b91c1c",
        color_accent="*primary_600",
    )
    return {
        "theme": theme,
        "css_paths": [ASSETS / "style.css"],
        "js": (ASSETS / "page.js").read_text(),
        "head": f"<script>{(ASSETS / 'settings.js').read_text()}</script>",
        "favicon_path": ASSETS / "favicon.svg",
    }
