"""The page is answered from memory: Gradio makes it anew for every visitor, which takes a second of processor time, and
with thirty people arriving at once the last one looks at an empty window for half a minute.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATHS = {"/", "/config", "/config/", "/gradio_api/info", "/gradio_api/info/"}
_MOST = 32  # answers kept: one for each path and address that the app is reached under
# What Gradio's answer depends on, beside the path: the address that a browser has for the app.
_HEADERS = (
    b"host",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-port",
    b"x-forwarded-server",
    b"x-direct-url",
)


class PageCache:
    """An ASGI layer around an app without a password, whose page is the same for every visitor.

    Only requests without a query are answered from memory, and only good answers are kept: as they are, and compressed
    for browsers that take that, a twelfth of the bytes.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._kept: OrderedDict[tuple[Any, ...], _Answer] = OrderedDict()
        self._making: dict[tuple[Any, ...], asyncio.Lock] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory what is there, and pass on any other request."""
        plain = scope["type"] == "http" and scope["method"] == "GET" and not scope.get("query_string")
        if not plain or scope["path"] not in _PATHS:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        key = (scope["path"], scope.get("scheme"), scope.get("root_path"), *(headers.get(name) for name in _HEADERS))
        # Who comes while it is being made waits for that one instead of making another.
        async with self._making.setdefault(key, asyncio.Lock()):
            answer = self._kept.get(key)
            if answer is None:
                answer = _Answer(await self._made(scope, receive))
                if answer.is_good:
                    self._kept[key] = answer
                    while len(self._kept) > _MOST:
                        self._making.pop(self._kept.popitem(last=False)[0], None)
                else:
                    self._making.pop(key, None)
        for message in answer.messages(compressed=b"gzip" in headers.get(b"accept-encoding", b"")):
            await send(dict(message))

    async def _made(self, scope: Scope, receive: Receive) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        # As it is, also where the app would compress it: that is done here, once.
        headers = [one for one in scope["headers"] if one[0] != b"accept-encoding"]
        await self.app({**scope, "headers": headers}, receive, keep)
        return messages


class _Answer:
    """The messages of an answer, and the same compressed."""

    def __init__(self, messages: list[Message]) -> None:
        self._plain = messages
        self.is_good = bool(messages) and messages[0].get("status") == 200
        self._compressed = _compressed(messages) if self.is_good else messages

    def messages(self, *, compressed: bool) -> list[Message]:
        """Those to be sent."""
        return self._compressed if compressed else self._plain


def _compressed(messages: list[Message]) -> list[Message]:
    body = gzip.compress(b"".join(message.get("body", b"") for message in messages[1:]), mtime=0)
    kept = [one for one in messages[0]["headers"] if one[0].lower() not in (b"content-length", b"vary")]
    more = [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"), (b"content-length", b"%d" % len(body))]
    return [{**messages[0], "headers": [*kept, *more]}, {"type": "http.response.body", "body": body}]
