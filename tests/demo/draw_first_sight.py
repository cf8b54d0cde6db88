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
    call = [(handle_file(before), {name: 2.5}, "portraits", False) for name in ("smile", "age")]
    save("face", before, *(client.predict(*one, api_name="/hfgi_edit_many") for one in call))

    photo = Image.open(EXAMPLES / "person_1045.jpg").convert("RGB")
    hole = Image.new("L", photo.size)
    width, height = photo.size
    hole.paste(255, (round(0.28 * width), round(0.5 * height), round(0.72 * width), round(0.9 * height)))
    with tempfile.TemporaryDirectory() as folder:
        mask, painted = Path(folder) / "mask.png", Path(folder) / "painted.png"
        hole.save(mask)
        Image.composite(Image.new("RGB", photo.size, "#6366f1"), photo, hole).save(painted)
        call = handle_file(EXAMPLES / "person_1045.jpg"), handle_file(mask), 4, 2, "auto"
        filled = client.predict(*call, api_name="/comodgan_inpaint")
        save("hole", painted, *(one if isinstance(one, str) else one["image"] for one in filled))

    composite, body, face = client.predict(None, 101, 1, 40, "bodies", api_name="/insetgan_compose")
    save("compose", body, face, composite)

    pictures = [EXAMPLES / "portrait_119.jpg", EXAMPLES / "portrait_126.jpg"]
    swapped = client.predict(*map(handle_file, pictures), 1.0, "portraits", api_name="/autoencoder_swap")
    save("swap", *pictures, swapped)


def save(name: str, *paths: str | Path) -> None:
    """Pictures beside each other as a small JPEG without metadata; of a whole body its upper half."""
    strip = Image.new("RGB", (SIDE * len(paths), SIDE))
    for place, path in enumerate(paths):
        picture = Image.open(path).convert("RGB")
        square = picture.crop((0, 0, picture.width, min(picture.size)))
        small = square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        strip.paste(small, (SIDE * place, 0))
    strip.save(FOLDER / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main(sys.argv[1])
