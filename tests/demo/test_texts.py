"""The page's texts in several languages."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

import pytest

from demo import gpu, settings, texts
from demo.context import assemble
from demo.layout import build_page

LANGUAGES = {"en", "de", "fr", "es", "zh-CN", "ja"}
KEPT = re.compile(r"\d+|\{\w*\}|\*\*|ZIP|PNG|API|Python|GAN|Poly Haven")
"""What a translation has, too."""


def test_every_language_has_every_text_with_the_same_numbers_and_names() -> None:
    found = texts.languages()
    assert found.keys() == LANGUAGES
    for language, own in found.items():
        assert own.keys() == found["en"].keys(), language
        for key, text in own.items():
            assert text.strip(), (language, key)
            lost = [word for word in KEPT.findall(found["en"][key]) if word not in text]
            assert not lost, (language, key, lost)


def test_every_text_is_on_the_page_and_has_a_key_there(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(gpu, "_executor", gpu._executor)  # as before, at the end
    page = build_page(assemble(replace(settings.read([], {}), temporary=tmp_path)))
    translations = texts.translated(page).translations
    shown = [
        value
        for block in page.blocks.values()
        for value in (getattr(block, name, None) for name in ("label", "info", "placeholder", "value"))
        if isinstance(value, str)
    ]
    keyed = {key for value in shown for key in re.findall(r'"key": "(studio_\w+)"', value)}
    by_key = translations["en"]
    whole = [by_key[key] for key in keyed if key.startswith("studio_html_")]
    for key, text in texts.languages()["en"].items():
        used = f"studio_{key}" in keyed or any(text in html or escape(text) in html for html in whole)
        assert used, f"{text!r} is not on the page any more: take it out of demo/texts, or mend it there"


@pytest.mark.browser
@pytest.mark.parametrize(("language", "wanted"), [("de-DE", "Gesicht bearbeiten"), ("it-IT", "Edit a face")])
def test_a_browser_shows_its_language_or_english(fake_server, browser, language, wanted) -> None:
    context = browser.new_context(locale=language, reduced_motion="reduce")
    page = context.new_page()
    page.goto(fake_server.url)
    page.wait_for_selector("body[data-listening]")
    page.get_by_role("tab", name=wanted).wait_for()
    assert "__i18n__" not in page.inner_text("body")
    assert page.get_by_text({"de-DE": "Was ist das?", "it-IT": "What is this?"}[language]).first.is_visible()
    context.close()
