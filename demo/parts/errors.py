"""Turns exceptions of handlers into messages on the page; the only place that does."""

from __future__ import annotations

import errno
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from gan_core.errors import Busy, Cancelled, StudioError

logger = logging.getLogger(__name__)

_TITLES: dict[type[StudioError], str] = {Cancelled: "Stopped", Busy: "Busy"}
FULL = "The disk of this server is full, so nothing could be saved. Please try again later."
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
GENERIC = "Something went wrong on our side. It was logged; please try again, or try another picture."


def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler (function or generator): a StudioError is shown with its own message, any other exception is
    logged and shown as a general sentence."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*arguments: Any, **named: Any) -> Iterator[Any]:
            try:
                yield from handler(*arguments, **named)
            except Exception as error:
                raise _shown(error, handler) from error

        return generator

    @functools.wraps(handler)
    def function(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except Exception as error:
            raise _shown(error, handler) from error

    return function


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of room."""
    return isinstance(error, OSError) and error.errno in _FULL


def _shown(error: Exception, handler: Callable[..., Any]) -> gr.Error:
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, StudioError):
        return gr.Error(
            str(error), title=_TITLES.get(type(error), "That did not work"), duration=12, print_exception=False
        )
    if is_disk_full(error):
        logger.error("disk full in %s: %s", handler.__name__, error)
        return gr.Error(FULL, title="Sorry", duration=12, print_exception=False)
    logger.error("error in %s", handler.__name__, exc_info=error)
    return gr.Error(GENERIC, title="Sorry", duration=12, print_exception=False)
