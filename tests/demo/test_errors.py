import inspect
import logging

import gradio as gr
import pytest

from demo.parts.errors import GENERIC, guarded
from gan_core.errors import NoFaceFound


def fail(error):
    def handler(request: gr.Request, value: int = 3) -> int:
        raise error

    return handler


def fail_late(error):
    def handler(value):
        yield value
        raise error

    return handler


@pytest.mark.parametrize("make", [fail, fail_late])
def test_sentences_are_shown_and_nothing_else(make, caplog):
    with pytest.raises(gr.Error) as shown:
        list(guarded(make(NoFaceFound("No face was found.")))(1) or ())
    assert shown.value.message == "No face was found." and caplog.text == ""

    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as shown:
        list(guarded(make(ZeroDivisionError("secret path /home/x")))(1) or ())
    assert shown.value.message == GENERIC and "secret" in caplog.text


def test_gradio_still_sees_the_handler_it_was():
    wrapped = guarded(fail(ValueError()))
    assert list(inspect.signature(wrapped).parameters) == ["request", "value"]
    assert not inspect.isgeneratorfunction(wrapped)
    assert inspect.isgeneratorfunction(guarded(fail_late(ValueError())))


def test_stopping_a_generator_reaches_the_handler():
    seen = []

    def handler():
        try:
            yield 1
        finally:
            seen.append("closed")

    steps = guarded(handler)()
    next(steps)
    steps.close()
    assert seen == ["closed"]
