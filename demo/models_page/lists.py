"""What the page shows: tables and sentences as HTML, made of the catalogue. Nothing here is a handler."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from demo.models_page.keeper import TABS, Status
from gan_core.checkpoints.places import Installed, not_writable
from weights.published import ALIGNMENTS, PUBLISHED, PublishedModel, is_complete


def size(count: int | None) -> str:
    """Bytes as a person reads them."""
    if count is None:
        return "size not known"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def disk_line(root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Where models are kept, and what is to be known about that disk."""
    sentences = [f"Models are kept in <code>{escape(str(root))}</code>."]
    reason = not_writable(root)
    if reason:
        sentences.append(f"<b>{escape(reason)}</b>")
    if "SPACE_ID" in environment and not str(root).startswith("/data"):
        sentences.append(
            "<b>This is a Space: what is installed is lost when it restarts.</b> With persistent storage, set "
            "STUDIO_WEIGHTS to a folder below /data."
        )
    return " ".join(sentences)


def installed_table(found: Sequence[Installed], models: Mapping[str, PublishedModel]) -> str:
    """The models that are here."""
    if not found:
        return "<p>No published model is installed. The embedded ones are always there.</p>"
    rows = []
    for here in found:
        model = models[here.place.entry]
        kept = f"converted from {here.source}" if here.converted and here.source else "as published"
        cells = (here.place.label, where(model), shape(model), size(here.bytes), kept, model.licence)
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("model", "tab", "pixels", "on disk", "kept", "licence"))
    return f"<div class='models-table'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def where(model: PublishedModel) -> str:
    """The tab that offers a model."""
    return TABS.get(model.tab, "scripts only")


def shape(model: PublishedModel) -> str:
    """Height and width."""
    return "x".join(map(str, model.size))


def fetch_choices(root: Path) -> list[tuple[str, str]]:
    """Label and name of each model that is not here yet, those of the tabs first."""
    missing = [model for model in PUBLISHED if not is_complete(model, root) and not _parts_here(model, root)]
    missing.sort(key=lambda model: (not model.fetchable, not model.tab))
    return [(f"{model.title} ({size(model.bytes) if model.fetchable else 'by hand'})", model.name) for model in missing]


def _parts_here(model: PublishedModel, root: Path) -> bool:
    return bool(model.parts) and all(
        (root / model.name / part.folder / "model.safetensors").is_file() for part in model.parts
    )


def facts(model: PublishedModel, root: Path) -> str:
    """What is to be known before a model is fetched."""
    partial = sum(path.stat().st_size for path in (root / model.name).glob("*.part") if path.is_file())
    lines = [
        ("Licence", model.licence),
        ("Made by", model.source),
        ("Size", f"{size(model.bytes)} to fetch, {size(model.memory)} of memory"),
        ("Pictures", f"{shape(model)} pixels; {ALIGNMENTS[model.alignment]}"),
        ("Used in", where(model)),
    ]
    if partial:
        lines.append(("Partly here", f"{size(partial)}; fetching goes on from there"))
    body = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in lines)
    if model.fetchable:
        hosts = dict.fromkeys(urlsplit(url).hostname or "" for file in model.files for url in file.sources)
        body += f"<dt>From</dt><dd>{escape(', '.join(hosts))}</dd>"
    if model.page:
        link = f"<a href='{escape(model.page)}' target='_blank' rel='noopener noreferrer'>{escape(model.page)}</a>"
        names = ", ".join(file.file for file in model.files)
        body += f"<dt>By hand</dt><dd>{link}: {escape(names)}</dd>"
    return f"<dl class='model-facts'>{body}</dl>"


def progress(status: Status | None) -> str:
    """How far the job is, as a bar and a line."""
    if status is None:
        return ""
    title, text = escape(status.title), escape(status.text)
    if not status.running:
        kind = "failed" if status.failed else "well"
        return f"<p class='model-job {kind}' role='status'><b>{title}</b>: {text}</p>"
    counted = "" if status.total in (None, 100) else f" {size(status.done)} of {size(status.total)}"
    value = f" value='{status.done}' max='{status.total}'" if status.total else ""
    label = f"{title}: {text}{counted}"
    return f"<p class='model-job' role='status'>{label}<br><progress{value} aria-label='{title}'></progress></p>"
