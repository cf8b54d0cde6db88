"""Published models: what a file is by its tensors, installing it, loading it. `places.py` says what is installed.

Installing reads a published file once and writes it again under this project's names (`converted.py`); what is loaded
from then on is that file, which is opened without unpickling anything.
"""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.checkpoints import converted, hfgi_parts, swapping_autoencoder
from gan_core.checkpoints.download import sha256_of
from gan_core.checkpoints.formats import MODULES, build, format_of
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.checkpoints.places import Place, describe, originals, places
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, UnknownName, WeightsMissing
from weights.published import files_here, published

logger = logging.getLogger(__name__)

Report = Callable[[float, str], None]  # fraction done, what is being done
Stop = Callable[[], bool]


_HIGHEST_RATIO = 50  # of what a member of an archive holds to what it takes there; weights hardly shrink
_TRAINING = ("g_optim", "d_optim", "optimizer", "discriminator_optimizer_state_dict")


@dataclass(frozen=True)
class Recognised:
    """What a file is."""

    format: str
    what: str
    """A sentence for a person."""
    places: tuple[Place, ...]
    """Catalogue entries that it can be, the likeliest first. Networks of one shape cannot be told apart."""
    sure: bool
    """Whether the first is certain: its hash or its name says so, or there is one only."""
    part: str = ""
    """The name of the published file that it is, where it is only one of several that make a model."""


# ---------------------------------------------------------------- recognising


def recognise(path: Path, name: str = "") -> Recognised:
    """What the file at `path` is, told by its tensors; `name` is what it was called, a hint and no more.

    Reads the whole file. Raises BadCheckpoint or UnsafeFile if it is no checkpoint of a kind known here.
    """
    return recognise_tensors(read_tensors(path), path, name or path.name)


def recognise_tensors(tree: Mapping[str, Any], path: Path, name: str) -> Recognised:
    """See `recognise`."""
    part = hfgi_parts.part_of(tree, name)
    if part:
        return Recognised("hfgi", f"This is {part}, one of the three files of HFGI.", (Place("hfgi_ffhq"),), True, part)
    kind = format_of(tree)
    size, channels = picture_size(tree)
    shape = f"{size[0]} x {size[1]} pixels"
    fitting = [place for place in places() if _fits(place, kind, size, channels, tree)]
    sure = [place for place in fitting if _same_bytes(place, path)]
    named = [place for place in fitting if _same_name(place, name)]
    first = (sure or named)[:1]
    ordered = (*first, *(place for place in fitting if place not in first))
    what = f"This is a checkpoint of the format {kind} for pictures of {shape}."
    if not ordered:
        what += " The catalogue has no model of that shape, so no tab can use it."
    return Recognised(kind, what, ordered, bool(first) or len(ordered) == 1)


def picture_size(tree: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
    """Height and width of a checkpoint's pictures, and the channels of what it is conditioned on (0 for nothing).

    Builds the networks. Raises BadCheckpoint.
    """
    built = build_for_use(tree)
    config = built.config["generator"]
    if built.format == "swapping_autoencoder":
        side = built.config.get("discriminator", {}).get("resolution", 0)
        return (side, side), 0
    height = config["resolution"]
    start = config.get("start_shape", (4, 4))
    return (height, height * start[1] // start[0]), config.get("in_channels", 0)


def _fits(place: Place, kind: str, size: tuple[int, int], channels: int, tree: Mapping[str, Any]) -> bool:
    model = published(place.entry)
    if model.format != kind:
        return False
    if kind == "swapping_autoencoder":  # the networks take pictures of any size; the image discriminator tells
        side = next(part.resolution for part in model.parts if part.folder == place.part)
        return size[0] in (0, side)
    if kind == "hfgi" and model.name == "hfgi_ffhq" and not _has_consultation(tree):
        return False
    if kind == "hfgi" and model.name.startswith("e4e") and _has_consultation(tree):
        return False
    if kind == "comodgan" and (channels == 4) == (model.alignment == "drawing"):
        return False
    return model.size == size


def _has_consultation(tree: Mapping[str, Any]) -> bool:
    state = tree.get("state_dict", tree)
    return any(str(key).startswith("residue.") for key in state)


def _same_bytes(place: Place, path: Path) -> bool:
    files = [file for files in published(place.entry).sets for file in files if file.sha256]
    size = path.stat().st_size
    return any(file.bytes in (None, size) and sha256_of(path) == file.sha256 for file in files)


def _same_name(place: Place, name: str) -> bool:
    model = published(place.entry)
    names = {file.file.lower() for files in model.sets for file in files}
    return name.lower() in names or bool(place.part and place.part in name)


# ---------------------------------------------------------------- installing


def install(
    path: Path,
    place: Place,
    root: Path,
    *,
    name: str = "",
    report: Report = lambda fraction, text: None,
    stop: Stop = lambda: False,
) -> Path:
    """Convert the file at `path` into `place`, atomically, and return the converted file; `path` itself is left alone.

    Raises BadCheckpoint or UnsafeFile if the file is damaged or belongs elsewhere, WeightsMissing if the disk cannot be
    written, Cancelled if `stop` says so.
    """
    if place not in places():
        raise UnknownName("There is no such published model.")
    report(0.05, "Reading the file")
    tree = read_tensors(path)
    part = hfgi_parts.part_of(tree, name or path.name) if place == Place("hfgi_ffhq") else ""
    if part:
        return _keep_part(path, part, place, root, report, stop)
    size, channels = picture_size(tree)
    kind = format_of(tree)
    if not _fits(place, kind, size, channels, tree):
        raise BadCheckpoint(f"This file is not {place.label}: it is of the format {kind} and for {size[0]} pixels.")
    report(0.4, "Checking its tensors")
    built = build_for_use(tree)
    del tree
    report(0.6, "Writing it again under this app's names")
    source = {"file": name or path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    target = place.file(root)
    converted.write(built, target, source=source, stop=stop)
    report(1.0, "Installed")
    return target


def _keep_part(path: Path, part: str, place: Place, root: Path, report: Report, stop: Stop) -> Path:
    folder = place.folder(root)
    temporary = folder / f"{part}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, temporary)
        os.replace(temporary, folder / part)
    except OSError as error:
        raise WeightsMissing(f"The file cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    missing = [name for name in hfgi_parts.FILES if not (folder / name).is_file()]
    if missing:
        report(1.0, f"Kept; {', '.join(missing)} is still missing")
        return folder / part
    return convert_files(place, root, report=report, stop=stop)


def convert_files(
    place: Place, root: Path, *, report: Report = lambda fraction, text: None, stop: Stop = lambda: False
) -> Path:
    """Convert what lies in a place's folder as it was fetched, and remove the large originals.

    Raises as `install` does, and WeightsMissing if files are missing.
    """
    model, folder = published(place.entry), place.folder(root)
    report(0.05, "Reading the files")
    paths = [folder / name for name in hfgi_parts.FILES]
    if model.name == "hfgi_ffhq" and all(path.is_file() for path in paths):
        tree = hfgi_parts.join(folder)
    else:
        here = files_here(model, root)
        if here is None:
            raise WeightsMissing(f"Files of {model.title} are missing.")
        paths = [here[0]]
        tree = read_tensors(paths[0])
    built = build_for_use(tree)
    del tree
    report(0.6, "Writing it again under this app's names")
    source = {"file": ", ".join(path.name for path in paths), "sha256": [sha256_of(path) for path in paths]}
    converted.write(built, place.file(root), source=source, stop=stop)
    for path in paths:
        path.unlink()
    report(1.0, "Installed")
    return place.file(root)


def unpack(entry: str, root: Path, *, report: Report = lambda fraction, text: None, stop: Stop = lambda: False) -> None:
    """Convert every model of a fetched archive and remove the archive. Raises as `install` does."""
    model = published(entry)
    archive = root / entry / model.files[0].file
    extracted = root / entry / "one.pth.part"
    try:
        with zipfile.ZipFile(archive) as opened:
            for i, part in enumerate(model.parts):
                wanted = f"{part.folder}/latest_checkpoint.pth"
                member = next((name for name in opened.namelist() if f"/{name}".endswith(f"/{wanted}")), None)
                if member is None:
                    logger.info("%s holds no %s", archive.name, part.folder)
                    continue
                _check_packed(opened.getinfo(member), archive.name, root)
                with opened.open(member) as packed, open(extracted, "wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                share = i / len(model.parts)
                report(share, f"Unpacking {part.choice}")
                install(extracted, Place(entry, part.folder), root, name=member, stop=stop)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise BadCheckpoint(f"The archive {archive.name} is damaged; fetch it again.") from error
    except OSError as error:
        raise WeightsMissing(f"The archive cannot be unpacked: {error.strerror or error}.") from error
    finally:
        extracted.unlink(missing_ok=True)
    archive.unlink()
    report(1.0, "Installed")


def _check_packed(member: zipfile.ZipInfo, archive: str, root: Path) -> None:
    """Raise BadCheckpoint unless a member is packed as published ones are, WeightsMissing if the disk has no room."""
    known = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not known or member.file_size > _HIGHEST_RATIO * max(1, member.compress_size):
        raise BadCheckpoint(f"The archive {archive} is damaged; fetch it again.")
    if member.file_size > shutil.disk_usage(root).free:
        raise WeightsMissing(f"The disk has no room to unpack {archive}: {member.file_size / 1e9:.1f} GB are needed.")


def build_for_use(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """A checkpoint's modules. A discriminator that cannot be built is left out, and a sentence in the log says so.

    Raises BadCheckpoint.
    """
    tree = _prepared(tree)
    try:
        return build(tree)
    except BadCheckpoint as error:
        rest = swapping_autoencoder.for_editing(tree)
        if format_of(tree) != swapping_autoencoder.FORMAT or len(rest) == len(tree):
            raise
        logger.info("Its discriminators cannot be used here: %s", error)
        return build(rest)


def _prepared(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """A checkpoint without what only training resumes from, so that it need not be held while it is converted."""
    kept = {name: value for name, value in tree.items() if name not in _TRAINING}
    if any(isinstance(kept.get(name), Mapping) for name in ("G_ema", "Gs")):
        kept.pop("G", None)
    if "Gs" in kept:
        kept.pop("D", None)
    return kept


def load(place: Place, root: Path, *, only: Sequence[str] | None = None) -> BuiltCheckpoint:
    """A published model's networks, from its converted file or else from the published ones.

    Raises WeightsMissing, BadCheckpoint or UnsafeFile.
    """
    path = place.file(root)
    if path.is_file():
        kind = describe(path).get("format", "")
        if kind not in MODULES:
            raise BadCheckpoint(f"The weights file of {place.label} is damaged; install it again.")
        return converted.read(path, MODULES[kind], only=None if only is None else tuple(only))
    paths = originals(place, root)
    if not paths:
        raise WeightsMissing(f"{place.label} is not on this machine. Install it on the Models page.")
    if place.entry == "hfgi_ffhq" and paths[0].name in hfgi_parts.FILES:
        return build(hfgi_parts.join(place.folder(root)))
    return build_for_use(read_tensors(paths[0]))
