"""What is refused before any handler is called: files that were not uploaded, addresses to fetch, routes that no page
uses, and requests that are too large.

Gradio fetches public addresses that a client names, behind /file= and in the place of an upload's path; and it accepts
any path on this machine for a picture whose "meta" is left out. Here pictures are uploaded, and nothing else is read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_file_obj, traverse
from starlette.responses import PlainTextResponse

from demo.parts.errors import FULL, is_disk_full

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NO_ADDRESSES = "Addresses are not fetched here. Please upload the file itself."
NOT_UPLOADED = "This file was not uploaded here, or is not there any more. Please upload it again."
_UNUSED = re.compile(
    r"/(proxy=|deep_link|vibe-|undo-vibe-|process_recording|custom_component/|run-history|profiling/|dev/reload|runs$|runs/|mcp)"
)
_MCP = re.compile(r"/gradio_api/mcp/?")
_ADDRESS = re.compile(r"/file[=/]\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # one letter would be a drive of Windows
_LARGEST_CALL = 8_000_000  # bytes of a request that is no upload: its pictures were uploaded before
_HEARD_OUT = 32_000_000  # bytes of a request that is refused: who is still sending does not hear an answer
_FILES_AT_ONCE = 2  # times the largest file may be sent in one request


class Refusals:
    """An ASGI layer around the app.

    max_upload: bytes of the largest file. mcp: whether assistants may call the endpoints (Model Context Protocol).
    """

    def __init__(self, app: Any, max_upload: int, mcp: bool = False) -> None:
        self.app, self.max_upload, self.mcp = app, max_upload, mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is to be refused, and pass on any other."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if _ADDRESS.search(path):
            await PlainTextResponse(NO_ADDRESSES, 403)(scope, receive, send)
        elif _UNUSED.search(path) and not (self.mcp and _MCP.fullmatch(path)):
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        else:
            await self._measured(scope, receive, send)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        uploads = scope["path"].rstrip("/").endswith(("/upload", "/component_server"))
        limit = _FILES_AT_ONCE * self.max_upload if uploads else _LARGEST_CALL
        too_large = PlainTextResponse(f"This request is too large: at most {limit / 1e6:g} MB are taken at once.", 413)
        stated = dict(scope["headers"]).get(b"content-length", b"")
        if stated.isdigit() and int(stated) > limit:
            await _hear_out(receive)
            await too_large(scope, receive, send)
            return
        left, begun = limit, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLargeError
            return message

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, sent)
        except OSError as error:
            if begun or not is_disk_full(error):
                raise
            logger.error("disk full in an upload: %s", error)
            await _hear_out(receive)
            await PlainTextResponse(FULL, 507)(scope, receive, send)
        except _TooLargeError:
            if not begun:
                await _hear_out(receive)
                await too_large(scope, receive, send)


async def _hear_out(receive: Receive) -> None:
    left = _HEARD_OUT
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body"):
            return


class _TooLargeError(Exception):
    """More came than was stated, or nothing was stated."""


class UploadsOnly(gr.Blocks):
    """A page whose events take no files but uploads (and what was made for the page: it lies in the same folder)."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *arguments: Any, **named: Any) -> list[Any]:
        """Gradio's own, after every path in an event's values was looked at. Raises gr.Error."""
        traverse(inputs, _check_file, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *arguments, **named)


def _check_file(value: dict[str, Any]) -> dict[str, Any]:
    path = value["path"]
    if "://" in path:
        raise gr.Error(NO_ADDRESSES, print_exception=False)
    try:
        inside = is_in_or_equal(path, get_upload_folder())
    except (OSError, ValueError, RuntimeError):  # too long, with a zero byte, a loop of links
        inside = False
    if not inside:
        logger.warning("a file that was not uploaded was asked for")
        raise gr.Error(NOT_UPLOADED, print_exception=False)
    return value
