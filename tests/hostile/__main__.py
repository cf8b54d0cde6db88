"""The corpus for other uses: `python -m tests.hostile --list`, or `--write FOLDER`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.hostile.corpus import corpus


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name every case")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write every case as a file")
    parser.add_argument("--kind", help="only of this kind")
    options = parser.parse_args()
    cases = [case for case in corpus() if options.kind in (None, case.kind)]
    if options.list:
        for case in cases:
            sys.stdout.write(f"{case}\n")
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for i, case in enumerate(cases):
            (options.write / f"{i:04}-{case.file_name[:120]}").write_bytes(case.data)
    counts = Counter(case.kind for case in cases)
    sys.stdout.write(f"{len(cases)} cases: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()) + "\n")


if __name__ == "__main__":
    main()
