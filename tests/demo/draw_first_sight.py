"""Draw the examples that tabs show at first sight, `demo/assets/first_sight/`, through a running app's endpoints:

python -m tests.demo.draw_first_sight http://127.0.0.1:7860
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gradio_client import Client, handle_file
from PIL import Image

from demo.parts.examples import FOLDER as EXAMPLES
from demo.parts.first_sight import FOLDER

SIDE = 256


def main(address: str) -> None:
    """Write all of them."""
    client = Client(address, verbose=False)
    before = EXAMPLES / "person_1003.jpg"
    save(before, "face_before")
    for attribute in ("smile", "age"):
        edited, _ = client.predict(handle_file(before), attribute, 2.5, True, "portraits", False, api_name="/hfgi_edit")
        save(edited, f"face_{attribute}")

    photo = Image.open(EXAMPLES / "person_1045.jpg").convert("RGB")
    hole = Image.new("L", photo.size)
    width, height = photo.size
    hole.paste(255, (round(0.28 * width), round(0.5 * height), round(0.72 * width), round(0.9 * height)))
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.png"
        hole.save(mask)
        call = handle_file(EXAMPLES / "person_1045.jpg"), handle_file(mask), 4, 2, "auto"
        filled = client.predict(*call, api_name="/comodgan_inpaint")
    Image.composite(Image.new("RGB", photo.size, "#6366f1"), photo, hole).resize((SIDE, SIDE)).save(
        FOLDER / "hole_before.jpg", quality=85
    )
    for number, result in enumerate(filled, 1):
        save(result, f"hole_result_{number}")

    composite, body, face = client.predict(None, 101, 1, 100, "portraits", api_name="/insetgan_compose")
    for path, name in ((body, "body"), (face, "face"), (composite, "result")):
        save(path, f"compose_{name}")

    pictures = [EXAMPLES / "portrait_119.jpg", EXAMPLES / "portrait_126.jpg"]
    swapped = client.predict(*map(handle_file, pictures), 1.0, "portraits", api_name="/autoencoder_swap")
    for path, name in zip((*pictures, swapped), ("structure", "texture", "result"), strict=True):
        save(path, f"swap_{name}")


def save(path: str | Path, name: str) -> None:
    """A picture as a small JPEG without metadata."""
    small = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.info = {}
    small.save(FOLDER / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main(sys.argv[1])
