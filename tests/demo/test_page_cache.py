"""The page from memory: the same bytes, made once for each address, never for those who send something with it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo.page_cache import PageCache


class CountedApp:
    """Says how often and for which host it was asked; /config fails the first time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        names = ("/", "/config", "/other")
        self.cached = PageCache(Starlette(routes=[Route(name, self.answer, methods=["GET", "POST"]) for name in names]))

    async def answer(self, request: Request) -> PlainTextResponse:
        self.asked.append(request.url.path)
        number = len(self.asked)
        await asyncio.sleep(0.01)
        status = 500 if request.url.path == "/config" and self.asked.count("/config") == 1 else 200
        return PlainTextResponse(f"{number} for {request.headers['host']}{request.url.query}", status)

    async def get(self, path: str, host: str = "here", method: str = "GET") -> str:
        transport = httpx.ASGITransport(self.cached)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return (await client.request(method, path)).text


@pytest.fixture
def app() -> CountedApp:
    return CountedApp()


def run(*coroutines):
    """In a loop of its own thread: Playwright's may be running in this one."""

    async def together():
        return await asyncio.gather(*coroutines)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, together()).result()


def test_made_once_for_all_who_come_at_once(app) -> None:
    assert set(run(*(app.get("/") for _ in range(20)))) == {"1 for here"}
    assert app.asked == ["/"]


def test_each_address_has_its_own(app) -> None:
    assert run(app.get("/"))[0] != run(app.get("/", "elsewhere"))[0]
    assert run(app.get("/", "elsewhere")) == ["2 for elsewhere"]


def test_what_is_sent_with_a_request_is_never_kept(app) -> None:
    for path, method in (("/?x=1", "GET"), ("/", "POST"), ("/other", "GET")):
        assert run(app.get(path, method=method)) != run(app.get(path, method=method))


def test_a_failure_is_not_kept(app) -> None:
    assert run(app.get("/config")) == ["1 for here"]
    assert run(app.get("/config")) == run(app.get("/config")) == ["2 for here"]


def test_addresses_are_bounded(app) -> None:
    for number in range(40):
        run(app.get("/", f"host{number}"))
    assert len(app.cached._kept) == len(app.cached._making) == 32


def test_the_real_page_is_the_same_from_memory(fake_server) -> None:
    texts = {httpx.get(fake_server.url + "/", timeout=30).text for _ in range(3)}
    texts.add(httpx.get(fake_server.url + "/?", timeout=30).text)
    assert len(texts) == 1 and "gradio_config" in texts.pop()
    assert len({httpx.get(fake_server.url + "/config", timeout=30).text for _ in range(2)}) == 1


def test_compressed_where_that_is_taken(app) -> None:
    async def raw(encoding: str) -> httpx.Response:
        transport = httpx.ASGITransport(app.cached)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/", headers={"accept-encoding": encoding})

    plain, small = run(raw("identity"), raw("gzip, br"))
    assert plain.text == small.text == "1 for here" and app.asked == ["/"]
    assert "content-encoding" not in plain.headers and small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == "accept-encoding"
