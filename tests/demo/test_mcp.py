"""The endpoints as tools of an assistant: a client of the Model Context Protocol lists and calls all of them."""

from __future__ import annotations

import asyncio
import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.refusals import Refusals
from demo.settings import read
from tests.demo import fakes
from tests.gan_core.faces.clips import write_clip

mcp = pytest.importorskip("mcp", reason="the package mcp is in requirements-dev.txt")
MISSING = "not on this machine"  # the server of these tests has no weights of CoModGAN
EDGES = {"seed": 3}


def picture() -> str:
    content = io.BytesIO()
    fakes.draw_photo().save(content, "JPEG", quality=95)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def film() -> str:
    content = io.BytesIO()
    write_clip(content, [fakes.draw_photo()] * 4, rate=10, container="mp4")
    return "data:video/mp4;base64," + base64.b64encode(content.getvalue()).decode()


def calls() -> dict[str, tuple[dict[str, Any], str]]:
    """Arguments for each tool, and what is in its answer: a kind of content, or the sentence of an error."""
    photo = picture()
    return {
        "hfgi_edit": (
            {"image": photo, "attribute": "smile", "strength": 2, "align": True, "model": "portraits", "refine": False},
            "image",
        ),
        "hfgi_edit_many": (
            {"image": photo, "strengths": {"smile": 2, "age": -1}, "model": "portraits", "refine": False}, "image",
        ),
        "hfgi_sweep": (
            {"image": photo, "attribute": "smile", "strengths": {}, "model": "portraits", "format": "webp"}, "image",
        ),
        "hfgi_video": (
            {"video": film(), "strengths": {"smile": 2}, "model": "portraits", "side_by_side": False}, "text",
        ),
        "self_conditioned_edit": ({**EDGES, "attribute": "age", "value": 0.9, "more_values": {"smile": 0.1}}, "image"),
        "self_conditioned_values": (EDGES, "text"),
        "comodgan_inpaint": ({"image": photo, "mask": photo, "seed": 0, "samples": 1, "model": "auto"}, MISSING),
        "comodgan_draw": ({"drawing": photo, "seed": 0, "samples": 1, "model": "drawing"}, MISSING),
        "insetgan_compose": ({"face_seed": 5, "body_seed": 1, "steps": 2}, "image"),
        "autoencoder_swap": ({"structure_image": photo, "texture_image": photo, "amount": 0.5}, "image"),
        "models": ({}, "text"),
    }  # fmt: skip


def run(coroutine: Any) -> Any:
    """In a loop of its own thread: Playwright's may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


async def talk(url: str, what: Any) -> Any:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(f"{url}/gradio_api/mcp/") as (receive, send, _),
        ClientSession(receive, send) as client,
    ):
        await client.initialize()
        return await what(client)


def test_all_tools_are_described_and_can_be_called(papers_server) -> None:
    wanted = calls()

    async def listed_and_called(client: Any) -> dict[str, Any]:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == wanted.keys()
        for tool in tools:
            assert len(tool.description) > 20, tool.name
            undescribed = [n for n, one in tool.inputSchema["properties"].items() if not one.get("description")]
            assert not undescribed, (tool.name, undescribed)
        return {name: await client.call_tool(name, arguments) for name, (arguments, _) in wanted.items()}

    answers = run(talk(papers_server.url, listed_and_called))
    for name, answer in answers.items():
        expected = wanted[name][1]
        if expected == MISSING:
            assert answer.isError and MISSING in answer.content[0].text, name
            continue
        assert not answer.isError, (name, answer.content)
        assert expected in {one.type for one in answer.content}, (name, answer.content)
        assert "meta" not in answer.content[-1].text, "no file is described as a Python object"
        for one in answer.content:
            if one.type == "image":
                content = base64.b64decode(one.data)
                Image.open(io.BytesIO(content)).verify()
                assert b"rainedAlgorithmicMedia" in content, f"{name}: the mark of edited pictures"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image": "http://127.0.0.1:1/photo.jpg"}, "Addresses are not fetched here"),
        ({"image": "/etc/passwd"}, "Invalid file data format"),
        ({"image": "data:image/png;base64,aGVsbG8="}, "not a picture that can be read"),
        ({"strengths": {"smile": 99}}, "must be from -3 to 3"),
        ({"strengths": {"nose": 1}}, "There is no attribute 'nose'"),
        ({"model": "none"}, "There is no model 'none'"),
    ],
)
def test_bad_values_are_a_sentence(papers_server, arguments, sentence) -> None:
    good = {"image": picture(), "strengths": {"smile": 1}, "model": "portraits", "refine": False}

    async def called(client: Any) -> Any:
        return await client.call_tool("hfgi_edit_many", {**good, **arguments})

    answer = run(talk(papers_server.url, called))
    assert answer.isError and sentence in answer.content[0].text, answer.content


def test_it_is_off_by_a_flag_and_behind_a_password() -> None:
    assert read([], {}).mcp
    assert not read(["--no-mcp"], {}).mcp and not read([], {"STUDIO_MCP": "no"}).mcp
    assert not read(["--auth", "me:secret"], {}).mcp


@pytest.mark.parametrize("allowed", [True, False])
def test_the_tools_are_closed_where_they_are_not_allowed(allowed) -> None:
    app = Starlette(routes=[Route("/gradio_api/mcp/", lambda _request: PlainTextResponse("tools"))])
    client = TestClient(Refusals(app, max_upload=1 << 20, mcp=allowed))
    assert client.get("/gradio_api/mcp/").status_code == (200 if allowed else 404)
