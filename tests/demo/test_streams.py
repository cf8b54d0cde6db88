"""What a page gets of a running handler, seen by a client that keeps earlier values until it has time to show them."""

from __future__ import annotations

import gradio as gr

from demo.layout import StudioPage
from demo.streams import WholeUpdates


def blocks(kind: type[gr.Blocks]) -> gr.Blocks:
    with kind() as page:
        picture, text = gr.Image(type="filepath"), gr.Markdown()

        def handler():
            yield {picture: None, text: ""}

        gr.Button().click(handler, None, [picture, text])
    return page


def applied(value, edits):
    """A value after edits, made in place as Gradio's page makes them."""
    for action, path, new in edits:
        if not path:
            value = value + new if action == "append" else new
            continue
        inner = value
        for key in path[:-1]:
            inner = inner[key]
        if action == "delete":
            del inner[path[-1]]
        else:
            inner[path[-1]] = new
    return value


def received(page, *steps):
    """The values of a page's outputs after each step of a run; all are looked at after the last one only."""
    (function,) = page.fns.values()
    values, seen = None, []
    for step in steps:
        sent = page.handle_streaming_diffs(function, list(step), "session", "run", final=False)
        values = sent if values is None else [applied(*pair) for pair in zip(values, sent, strict=True)]
        seen.append(list(values))
    page.handle_streaming_diffs(function, list(steps[-1]), "session", "run", final=True)
    return seen


PICTURE = {"path": "a.jpg", "url": "/file=a.jpg"}
NOTHING_NEW = {"__type__": "update"}


def test_a_picture_survives_an_update_without_one() -> None:
    steps = ({**PICTURE}, "One"), ({**NOTHING_NEW}, "One and two"), ({**PICTURE, "path": "b.jpg"}, "One and two")
    assert received(blocks(StudioPage), *steps) == [list(step) for step in steps]


def test_gradio_still_edits_in_place() -> None:
    """Once it does not, `WholeUpdates` may go."""
    seen = received(blocks(gr.Blocks), ({**PICTURE}, "One"), ({**NOTHING_NEW}, "Two"))
    assert seen[0][0] == NOTHING_NEW != PICTURE


def test_a_longer_text_is_sent_as_what_was_added() -> None:
    page = blocks(WholeUpdates)
    (function,) = page.fns.values()
    page.handle_streaming_diffs(function, [None, "One"], "session", "run", final=False)
    sent = page.handle_streaming_diffs(function, [None, "One, two"], "session", "run", final=False)
    assert sent == [[], [["append", [], ", two"]]]
