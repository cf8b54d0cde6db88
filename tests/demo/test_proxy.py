"""The page below a path of a reverse proxy, as deploy/nginx.conf shows it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.demo import fakes
from tests.demo.tabs import choose_file, click_tab

PATH, A_MINUTE = "/studio", 20
HOP = {"connection", "transfer-encoding", "content-encoding", "content-length", "keep-alive", "host"}


@contextlib.contextmanager
def proxy(target: str) -> Iterator[str]:
    """The address of a proxy that shows `target` below PATH and nothing else; it hands streams on as they come."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = httpx.AsyncClient(base_url=target, timeout=None)

    async def handle(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in HOP}
        headers |= {"host": f"127.0.0.1:{port}", "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "http"}
        path = request.url.path.removeprefix(PATH) + (f"?{request.url.query}" if request.url.query else "")
        asked = client.build_request(request.method, path, headers=headers, content=await request.body())
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for chunk in answer.aiter_bytes():
                    yield chunk
            finally:
                await answer.aclose()

        kept = {name: value for name, value in answer.headers.items() if name not in HOP}
        return StreamingResponse(body(), answer.status_code, kept)

    methods = ["GET", "POST", "HEAD"]
    # Gradio's page asks for its icon at the root of the address, where another site may have one.
    icon = Route("/favicon.ico", lambda _request: Response(status_code=204))
    app = Starlette(routes=[Route(f"{PATH}/{{path:path}}", handle, methods=methods), icon])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}{PATH}/"
    server.should_exit = server.force_exit = True
    thread.join(20)


@pytest.fixture
def server(servers):
    command = ("-m", "tests.demo.fake_app", "--root-path", PATH, "--requests-a-minute", str(A_MINUTE))
    with servers.awake("below-a-path", *command) as server:
        yield server


@pytest.mark.browser
def test_a_photo_is_edited_below_a_path(server, open_page, tmp_path) -> None:
    photo = fakes.save(fakes.draw_photo(), tmp_path / "photo.jpg")
    with proxy(server.url) as url:
        page = open_page(url)
        choose_file(page, "#hfgi-photo", photo)
        page.wait_for_selector("#hfgi-compare img")
        source = page.get_attribute("#hfgi-compare img", "src")
        assert f"{PATH}/" in source
        click_tab(page, "Models")
        page.get_by_text("Installed").first.wait_for()
        page.close()


def test_a_visitors_address_is_what_the_proxy_says(server, tmp_path) -> None:
    """By the limit of requests a minute, which is counted by address."""

    def refusals(address: str, count: int) -> int:
        client = Client(server.url, download_files=str(tmp_path), verbose=False, headers={"x-forwarded-for": address})
        texts = []
        for _ in range(count):
            with pytest.raises(AppError) as caught:
                client.predict(None, "smile", 1, api_name="/hfgi_edit")
            texts.append(str(caught.value))
        assert all("choose a picture" in text or "within a minute" in text for text in texts)
        return sum("within a minute" in text for text in texts)

    assert refusals("203.0.113.8", A_MINUTE + 2) == 2
    assert refusals("203.0.113.9", 2) == 0
