"""Coverage-guided fuzzing of the readers with Atheris, begun from the corpus.

    pip install atheris
    python -m tests.hostile.fuzz image OUT --minutes 10

Coverage is of Python code (this project's, Pillow's, zipfile, pickletools), as Pillow's and FFmpeg's C code is not
built for it. What a reader does wrong is written to OUT once for each place in the code, the file beside its traceback,
and fuzzing goes on; a file that ends the process is written by libFuzzer (OUT/crash-...). Checksums are not checked
meanwhile, so that changes reach what lies behind them. To keep a finding, put what is wrong in it into `found.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sys
import time
import traceback
import zipfile
import zlib
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

MEASURED = ["gan_core", "demo", "weights", "PIL", "pickletools", "safetensors"]
with atheris.instrument_imports(include=MEASURED) if atheris else contextlib.nullcontext():
    from PIL import PngImagePlugin

    from gan_core.errors import StudioError
    from tests.hostile.cases import MARKER
    from tests.hostile.corpus import of_kind
    from tests.hostile.readers import READERS

KINDS = {"image": ("image",), "mask": ("mask", "layer"), "video": ("video to edit", "video"),
         "checkpoint": ("checkpoint", "archive")}  # fmt: skip
LONGEST = 60_000  # bytes of a file


class Fuzzer:
    """Reads what it is given with the readers of a kind, and keeps what goes wrong."""

    def __init__(self, kind: str, out: Path, minutes: float) -> None:
        self.readers = [READERS[name] for name in KINDS[kind]]
        self.out, self.end = out, 60 * minutes
        self.work = out / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.runs = self.read = self.refused = 0
        self.failures: dict[str, int] = {}

    def once(self, data: bytes) -> None:
        """One file."""
        self.runs += 1
        reader = self.readers[zlib.crc32(data) % len(self.readers)]
        path = self.work / "file"
        path.write_bytes(data)
        try:
            reader(path)
            self.read += 1
        except StudioError as error:
            self.refused += 1
            if not str(error).endswith("."):
                self.keep(data, error)
        except Exception as error:
            self.keep(data, error)
        left = [one for one in self.work.iterdir() if one.name != "file"]
        if left or Path(MARKER).exists():
            self.keep(data, AssertionError(f"left behind: {left}, or executed"))
        if self.runs % 200 == 0 or time.process_time() > self.end:
            self.report()
        if time.process_time() > self.end:
            os._exit(0)

    def keep(self, data: bytes, error: BaseException) -> None:
        """Write a finding, once for each place."""
        last = traceback.extract_tb(error.__traceback__)[-3:]
        place = "|".join([type(error).__name__, *(f"{one.filename}:{one.lineno}" for one in last)])
        name = hashlib.sha256(place.encode()).hexdigest()[:10]
        self.failures[name] = self.failures.get(name, 0) + 1
        if self.failures[name] == 1:
            (self.out / f"found-{name}").write_bytes(data)
            (self.out / f"found-{name}.txt").write_text("".join(traceback.format_exception(error)))

    def report(self) -> None:
        """How far it is, in OUT/report.json."""
        seconds = round(time.process_time())
        numbers = {"cpu_seconds": seconds, "files": self.runs, "read": self.read, "refused": self.refused}
        (self.out / "report.json").write_text(json.dumps({**numbers, "failures": self.failures}))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="of processor time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if atheris is None:
        parser.error("install Atheris first: pip install atheris")
    out = options.out.resolve()
    fuzzer = Fuzzer(options.kind, out, options.minutes)
    seeds = out / "seeds"
    seeds.mkdir(exist_ok=True)
    for case in of_kind(*KINDS[options.kind]):
        if len(case.data) <= LONGEST:
            (seeds / hashlib.sha256(case.data).hexdigest()[:16]).write_bytes(case.data)
    os.chdir(fuzzer.work.parent)
    PngImagePlugin.ChunkStream.crc = lambda self, cid, data: self.fp.read(4)
    zipfile.ZipExtFile._update_crc = lambda self, data: None
    found = out / "found"
    found.mkdir(exist_ok=True)
    flags = [
        f"-max_len={LONGEST}",
        "-timeout=900",
        "-rss_limit_mb=3000",
        f"-seed={options.seed}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={out}/", str(found), str(seeds)], fuzzer.once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
