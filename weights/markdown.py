"""docs/weights.md and the table in docs/provenance.md, made from the catalogue: `python -m weights.markdown`.

Run it after the catalogue or a weights file has changed; with --check it writes nothing and says what is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weights.catalogue import EMBEDDED, OTHER_NETWORKS, EmbeddedFile
from weights.published import ALIGNMENTS, PUBLISHED, PublishedModel

DOCS = Path(__file__).resolve().parents[1] / "docs"
TRIED = Path(__file__).resolve().parent / "tried.json"
BEGIN, END = "<!-- made by python -m weights.markdown: begin -->", "<!-- made by python -m weights.markdown: end -->"


def weights_page() -> str:
    """docs/weights.md: every file that ships and every checkpoint that can be fetched."""
    shipped = sum(entry.measured.bytes for entry in EMBEDDED if entry.measured)
    lines = [
        "# Weights",
        "",
        "This page is made by `python -m weights.markdown` from `weights/catalogue.py`, `weights/measured.json`,",
        "`weights/published_models.py` and `weights/published_others.py`; change those and run it again.",
        "",
        "## Embedded",
        "",
        f"Trained by this project and shipped with it: {len(EMBEDDED)} files, {_size(shipped)} in all, half precision. "
        "Each folder of",
        "`weights/` has a model card with its numbers and weaknesses. [provenance.md](provenance.md) says what each",
        "was trained on, and with which networks.",
        "",
        *_table(
            ("file", "what it is", "paper", "pixels", "parameters", "size", "licence"),
            ((f"`{e.file}`", e.what, e.paper, e.resolution, _count(e), _size_of(e), e.licence) for e in EMBEDDED),
        ),
        "",
        "`python -m weights.catalogue` checks the files against `weights/measured.json`.",
        "",
        "## Published",
        "",
        "The authors' checkpoints. None is shipped, none is fetched unless you ask for it; each is resumed when",
        "interrupted, checked where a hash is known, read as tensors only, and under its own licence.",
        "`gan-studio fetch NAME` or the app's Models page fetches one. Where it says by hand, the link is for a",
        "browser, and the Models page takes the file. Memory is that of the networks in single precision. Whether each",
        "address still answers was not tried.",
        "",
        *_table(
            ("name", "what it is", "tab", "pixels", "fits", "installs from", "size", "memory", "licence"),
            (
                (
                    f"`{m.name}`",
                    m.title,
                    m.tab or "scripts",
                    "x".join(map(str, m.size)),
                    ALIGNMENTS[m.alignment],
                    _from(m),
                    _size_of_published(m),
                    _size(m.memory),
                    m.licence,
                )
                for m in PUBLISHED
            ),
        ),
        "",
        "They go into a folder of their name below the user's data folder, or below `--weights` or the environment",
        "variable STUDIO_WEIGHTS. A file that a host does not give to programs can be put there by hand, under the",
        "name that `weights/published_models.py` has for it, or be given to the Models page under any name.",
        "",
        "Not in the catalogue, because this code has no network or no tab for them: files of StyleGAN 1 and 3 and of",
        "TensorFlow's StyleGAN2 (NVIDIA's, StyleGAN-Human's); CoModGAN for COCO-Stuff, which starts from a map of",
        "classes; e4e for StyleGAN-Human; unofficial training runs; networks that only the papers' evaluations use.",
        *_tried(),
    ]
    return "\n".join(lines) + "\n"


def provenance_table() -> str:
    """The table of docs/provenance.md, and what the networks are that are not embedded."""
    rows = ((f"`{e.name}`", e.source, ", ".join(map(_network, e.trained_with)), e.licence) for e in EMBEDDED)
    others = [f"- *{name}*: {what}." for name, what in OTHER_NETWORKS.items()]
    return "\n".join([*_table(("weights", "data", "networks that took part", "licence"), rows), "", *others])


def with_table(page: str) -> str:
    """A page with what lies between the two marks replaced by `provenance_table`. Raises ValueError without marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the page lacks the marks between which the table belongs")
    return f"{before}{BEGIN}\n\n{provenance_table()}\n\n{END}{after}"


def pages() -> dict[Path, str]:
    """Every page that is made here, as it should be."""
    provenance = DOCS / "provenance.md"
    return {DOCS / "weights.md": weights_page(), provenance: with_table(provenance.read_text(encoding="utf-8"))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: write the pages, or with --check say which are out of date (exit status 1)."""
    parser = argparse.ArgumentParser(prog="python -m weights.markdown", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say which pages are out of date")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages()[path], encoding="utf-8")
        sys.stdout.write(f"{path.name} {'is out of date' if check else 'written'}\n")
    return 1 if check and stale else 0


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def _network(name: str) -> str:
    return f"*{name}*" if name in OTHER_NETWORKS else f"`{name}`"


def _count(entry: EmbeddedFile) -> str:
    return f"{entry.measured.parameters / 1e6:.1f} million" if entry.measured else "?"


def _size_of(entry: EmbeddedFile) -> str:
    return _size(entry.measured.bytes) if entry.measured else "?"


_TESTED = {
    "hfgi": "hfgi",
    "sc_gan": "sc_gan",
    "comodgan": "comodgan",
    "stylegan_human": "stylegan_human",
    "swapping_autoencoder": "swapping_autoencoder",
    "nvidia_stylegan2": "nvidia_stylegan2",
    "rosinality_stylegan2": "rosinality_stylegan2",
}
"""By format, the folder of tests/parity with what the authors' code computes."""


def _tried() -> list[str]:
    """Every model, where it comes from, how it is tested and what `python -m tests.published_sizes` measured."""
    found = json.loads(TRIED.read_text(encoding="utf-8")) if TRIED.is_file() else {}
    machines = dict.fromkeys(
        facts["machine"] for kinds in found.values() for facts in kinds.values() if "machine" in facts
    )
    rows = []
    for model in PUBLISHED:
        for part in [part.folder for part in model.parts] or [""]:
            name = f"{model.name}/{part}" if part else model.name
            cells = [f"`{name}`", _from(model), _tested(model)]
            for kind in ("cpu", "cuda"):
                cells += _measured(found.get(name, {}).get(kind))
            rows.append(cells)
    head = ("model", "installs from", "tested how", "CPU: load, s", "one use, s", "memory")
    return [
        "",
        "## Tried",
        "",
        "No real checkpoint was at hand. *Tested how* names the folder of `tests/parity` whose recorded outputs of the",
        "authors' code the reader and the networks reproduce (to a relative error of 0.001), with random weights. Then",
        "each model was written at full size with random weights in the published layout, installed as the Models page",
        "does, and used once as its tab does: an inversion and its edit, a completion, a body and a face, a swap; of",
        "those that only scripts use, a picture of random numbers. `python -m tests.published_sizes` does it. Memory:",
        "on a CPU the most that the process held, on a GPU the most that was allocated. Machines:",
        f"{'; '.join(machines)}. What is not there yet was not run.",
        "",
        *_table((*head, "GPU: load, s", "one use, s", "memory"), rows),
    ]


def _tested(model: PublishedModel) -> str:
    if model.format not in _TESTED:
        return "with what uses it"
    names = "; tensor names as in MI-GAN's code" if "MI-GAN" in model.paper else ""
    return f"`{_TESTED[model.format]}`{names}"


def _measured(facts: Mapping[str, Any] | None) -> list[str]:
    """Cells of one kind of device."""
    if facts is None:
        return ["not run"] * 3
    if "failed" in facts:
        return [f"failed: {facts['failed']}", "", ""]
    seconds = facts["seconds"]
    return [f"{facts['load']:.1f}", f"{seconds:.2f}" if seconds >= 0.1 else f"{seconds:.3f}", _size(facts["memory"])]


def _from(model: PublishedModel) -> str:
    """The hosts in the order in which they are tried."""
    if not model.fetchable:
        return f"[by hand]({model.page})"
    hosts = [urlsplit(url).hostname or "" for files in model.sets for file in files for url in file.sources]
    return ", ".join(dict.fromkeys(hosts))


def _size_of_published(model: PublishedModel) -> str:
    sizes = [file.bytes for file in model.files]
    known = sum(size for size in sizes if size is not None)
    if None in sizes:
        return "not known" if not known or known < 1 << 20 else f"more than {_size(known)}"
    return _size(known)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 100e6 else f"{count / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
