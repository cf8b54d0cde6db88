"""Choices of weights that follow what is installed, and the menus that follow them."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
import pytest

from demo import gpu, settings
from demo.context import Studio
from demo.parts.choices import Choices, Menu, follow
from demo.parts.sliders import SliderGroup
from demo.session import Sessions
from gan_core.errors import Busy


@dataclass(frozen=True)
class Weights:
    name: str
    label: str
    resolution: int = 256
    licence: str = "CC0-1.0"
    sliders: tuple = ()


@pytest.fixture
def here():
    return {"portraits": Weights("portraits", "portraits (embedded)")}


def menu(choices, always=False):
    return Menu(gr.Dropdown(render=False), choices, always)


def is_skipped(update) -> bool:
    return isinstance(update, dict) and "choices" not in update


def test_choices_are_as_they_were_when_last_read(here) -> None:
    choices = Choices(lambda: here)
    here["more"] = Weights("more", "more (published)")
    assert list(choices) == ["portraits"] and "more" not in choices
    choices.refresh()
    assert list(choices) == ["portraits", "more"] and len(choices) == 2
    del here["portraits"]
    assert choices["portraits"].label == "portraits (embedded)"


def test_menus_are_left_alone_until_something_changed(here) -> None:
    both = [menu(Choices(lambda: here)), menu(Choices(lambda: here), always=True)]
    assert all(is_skipped(update) for update in follow(both)("portraits", "portraits"))
    assert is_skipped(follow(both[:1])("portraits"))


def test_menus_show_what_came_and_keep_what_is_chosen(here) -> None:
    choices = Choices(lambda: here)
    here["more"] = Weights("more", "more (published)")
    choices.refresh()
    for chosen in ("portraits", "more"):
        update = follow([menu(choices)])(chosen)  # one output, so no list
        assert update.choices == [("portraits (embedded)", "portraits"), ("more (published)", "more")]
        assert update.value == chosen and update.visible


def test_what_is_gone_gives_way_to_the_first_and_a_single_choice_is_hidden(here) -> None:
    here["more"] = Weights("more", "more (published)")
    choices = Choices(lambda: here)
    del here["more"]
    choices.refresh()
    hidden, shown = follow([menu(choices), menu(choices, always=True)])("more", "more")
    assert hidden.value == shown.value == "portraits" and not hidden.visible and shown.visible


def test_sliders_have_room_for_models_that_come_later(here) -> None:
    group = SliderGroup(here.values(), lambda choice: choice.sliders, "group", step=0.1, at_least=2)
    assert len(group.updates(here["portraits"])) == 2
    assert not any(slider.visible for slider in group.updates(here["portraits"]))


class Executor:
    """Knows changed models at once, or not, or has them in use."""

    def __init__(self, answer) -> None:
        self.answer, self.told = answer, []

    def refresh(self, weights: str) -> bool:
        self.told.append(weights)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [True, False, Busy("in use")])
def test_tabs_offer_what_the_executor_knows(here, answer, monkeypatch, tmp_path) -> None:
    executor = Executor(answer)
    monkeypatch.setattr(gpu, "_executor", executor)
    studio = Studio(settings.read([], {}), Sessions(tmp_path / "sessions"))
    choices = studio.offer(lambda: here)
    of_them = studio.offer(lambda: {name: choice for name, choice in choices.items() if name != "portraits"})
    here["more"] = Weights("more", "more (published)")
    known = answer is True
    assert studio.models_changed("an_entry") is known and executor.told == ["an_entry"]
    assert ("more" in choices) is known and (list(of_them) == ["more"]) is known
