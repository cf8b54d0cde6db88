"""The live page (/live/): "Edit a face" computed in the visitor's browser; the server only hands out files.

The page, its graphs and onnxruntime-web lie in demo/assets/live/, the weights in weights/. The same files make a static
site without Python: `gan-studio static FOLDER`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from weights.catalogue import FOLDER as WEIGHTS

PAGE = Path(__file__).resolve().parent / "assets" / "live"
STATIC_SPACE = Path(__file__).resolve().parents[1] / "deploy" / "static"
# Keys of gan_core.live_networks.FILES; that module imports torch, which the server's start must not wait for.
WEIGHTS_FILES = (
    "finder/finder.safetensors",
    "people_hfgi/encoder.safetensors",
    "people_hfgi/alignment.safetensors",
    "people_hfgi/consultation.safetensors",
    "people_hfgi/directions.safetensors",
    "portraits_hfgi/head.safetensors",
    "people_face/generator.safetensors",
)
HEADERS = {
    # Isolation from other origins, without which browsers give WebAssembly one thread. The last one isolates the page
    # where it is embedded in one that is not isolated.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Document-Isolation-Policy": "isolate-and-require-corp",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KEPT = "public, max-age=86400"  # weights and onnxruntime: large, and rarely new
_ASKED = "no-cache"  # everything else: the browser asks whether it has changed


def files() -> Iterator[tuple[str, Path]]:
    """All files of the page, by their path below it."""
    for path in sorted(PAGE.rglob("*")):
        if path.is_file():
            yield path.relative_to(PAGE).as_posix(), path
    for name in WEIGHTS_FILES:
        yield f"weights/{name}", WEIGHTS / name
    for folder in sorted({Path(name).parent for name in WEIGHTS_FILES}):
        yield f"weights/{folder}/README.md", WEIGHTS / folder / "README.md"  # the card, which names authors


class LiveFiles(StaticFiles):
    """The page's files and the weights that it uses, and no others."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE, html=True)
        self._weights = {f"weights/{name}": WEIGHTS / name for name in WEIGHTS_FILES}

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """See StaticFiles."""
        weights = self._weights.get(Path(path).as_posix())
        if weights is not None and weights.is_file():
            return str(weights), weights.stat()
        return super().lookup_path(path)

    def file_response(self, full_path: Any, *arguments: Any, **named: Any) -> Response:
        """See StaticFiles."""
        response = super().file_response(full_path, *arguments, **named)
        large = str(full_path).endswith((".safetensors", ".wasm"))
        response.headers.update({**HEADERS, "Cache-Control": _KEPT if large else _ASKED})
        if str(full_path).endswith(".mjs"):
            response.headers["Content-Type"] = "text/javascript"  # not every system knows the ending
        return response


def routes() -> list[BaseRoute]:
    """For Gradio's `launch(app_kwargs={"routes": ...})`."""

    def with_slash(_request: Any) -> Response:
        return RedirectResponse("live/")  # relative, so that it holds below any root path

    return [Route("/live", with_slash), Mount("/live", LiveFiles(), name="live")]


def copy_static(folder: Path) -> None:
    """Write the page as a static site, with the front matter of a Hugging Face Space, into `folder`."""
    for name, path in files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(STATIC_SPACE / "README.md", folder / "README.md")
    shutil.copyfile(STATIC_SPACE.parents[1] / "LICENSE", folder / "LICENSE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gan-studio static", description=copy_static.__doc__)
    parser.add_argument("folder", type=Path)
    copy_static(parser.parse_args(arguments).folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
