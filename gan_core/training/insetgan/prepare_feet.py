"""Cut the feet out of rendered bodies, to train a generator of feet on.

    python -m gan_core.training.insetgan.prepare_feet --bodies FOLDER --people FILE --out FOLDER

The squares are those that a generator of feet is composed into bodies by (gan_core/insetgan/feet.py), at the bodies'
own pixels, so that nothing is resized.
"""

from __future__ import annotations

import argparse
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from gan_core.insetgan.feet import FEET_SIZE, feet_box


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--bodies", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--people", type=Path, required=True, help="people.jsonl.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with gzip.open(args.people, "rt") as file:
        rows = [json.loads(line) for line in file]

    def cut(row: dict) -> None:
        path = args.bodies / row["file"]
        if not path.is_file():
            return
        with Image.open(path) as image:
            picture = image.convert("RGB")
        ankles = np.array([row["joints"]["ankle_r"], row["joints"]["ankle_l"]])
        x0, y0, x1, y1 = feet_box(ankles, picture.size)
        assert x1 - x0 == y1 - y0 == FEET_SIZE
        picture.crop((x0, y0, x1, y1)).save(args.out / row["file"], quality=95)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cut, rows))


if __name__ == "__main__":
    main()
