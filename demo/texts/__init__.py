"""The page's fixed texts in several languages; a browser shows those of its own, or English.

The code has the English ones where they are used. `translated` finds them on the finished page and puts keys in their
place, which Gradio's script replaces; what the server says later (messages, results) is English. A language is one file
here: <language>.json, with the keys of en.json.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent
_ATTRIBUTES = ("label", "info", "placeholder")
_SHOWN = (gr.Button, gr.Markdown)  # whose value is a text of ours


def languages() -> dict[str, dict[str, str]]:
    """Text by key, by language (BCP 47)."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def translated(page: gr.Blocks) -> gr.I18n:
    """Put keys in the place of the page's texts. Returns the translations, for `launch`."""
    found = languages()
    # With a prefix: Gradio's own keys are beside them.
    tables = {language: {f"studio_{key}": text for key, text in texts.items()} for language, texts in found.items()}
    keys = {text: _mark(key) for key, text in tables["en"].items()}
    for number, block in enumerate(page.blocks.values()):
        for name in (*_ATTRIBUTES, *(["value"] if isinstance(block, _SHOWN) else [])):
            text = getattr(block, name, None)
            if isinstance(text, str) and text in keys:
                setattr(block, name, keys[text])
        if isinstance(block, gr.HTML) and isinstance(block.value, str):
            # As a whole: of several keys in one value Gradio replaces the first.
            written = {language: _in_html(block.value, found["en"], texts) for language, texts in found.items()}
            if any(html != block.value for html in written.values()):
                key = f"studio_html_{number}"
                for language, html in written.items():
                    tables[language][key] = html
                block.value = _mark(key)
    return gr.I18n(**tables)


def _mark(key: str) -> str:
    return str(gr.I18n()(key))


def _in_html(html: str, english: dict[str, str], texts: dict[str, str]) -> str:
    """HTML with its texts, each between two tags, in another language."""
    for key, text in english.items():
        for written in dict.fromkeys((text, escape(text))):
            if html == written:
                return escape(texts[key])
            for after in ("<", " <"):
                html = html.replace(f">{written}{after}", f">{escape(texts[key])}{after}")
    return html
