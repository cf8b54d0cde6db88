"""Malformed JPEG, WebP, AVIF and TIFF pictures, pictures of two formats at once, and hostile metadata."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, features

from tests.hostile.cases import Case, Field, collect, cut_short, with_wrong_fields
from tests.hostile.rasters import SIDE, Named, good_png


def _encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    stream = BytesIO()
    grey = Image.linear_gradient("L").resize((SIDE, SIDE))
    Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180))).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


# ---------------------------------------------------------------- JPEG


def segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(place of the marker's code, length) of each segment before the scan."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield at + 1, length
        at += 2 + length
    yield at + 1, struct.unpack(">H", data[at + 2 : at + 4])[0]


def _jpeg_fields(data: bytes) -> list[Field]:
    fields = []
    for at, length in segments(data):
        name = f"{data[at]:02X} at {at}"
        fields.append(Field(f"length of {name}", at + 1, 2))
        if data[at] in (0xC0, 0xC2):
            fields += [Field("precision", at + 3, 1), Field("height", at + 4, 2), Field("width", at + 6, 2)]
            fields += [Field("components", at + 8, 1), Field("sampling", at + 10, 1), Field("table", at + 11, 1)]
        elif data[at] in (0xC4, 0xDB):
            fields += [Field(f"table of {name}", at + 3, 1), Field(f"first entry of {name}", at + 4, 1)]
        elif data[at] == 0xDA:
            fields += [Field("components of the scan", at + 3, 1), Field("first selector", at + 4, 1)]
            fields += [Field("spectral start", at + length - 2, 1), Field("spectral end", at + length - 1, 1)]
    return fields


def _jpeg() -> Named:
    data = _encoded("JPEG", quality=70)
    parts = list(segments(data))
    yield from with_wrong_fields(data, _jpeg_fields(data))
    yield from cut_short(data, [2, *(at + 1 for at, _ in parts), parts[-1][0] + 20, len(data) - 2])
    for at, length in parts:
        segment = data[at - 1 : at + 1 + length]
        name = f"{data[at]:02X} at {at}"
        yield f"without {name}", data[: at - 1] + data[at + 1 + length :]
        yield f"{name} twice", data[: at - 1] + segment + data[at - 1 :]
        yield f"{name} a thousand times", data[: at - 1] + segment * 1000 + data[at - 1 :]
    scan = parts[-1][0] - 1
    yield "a scan without bits", data[:scan] + data[scan : scan + 2 + parts[-1][1]] + b"\xff\xd9"
    yield "restart markers all over", data[: scan + 20] + b"\xff\xd0\xff\xd7" * 500 + data[scan + 20 :]
    yield "nothing but markers", b"\xff\xd8" + b"\xff" * 50_000
    yield "nothing after the start", b"\xff\xd8\xff"
    progressive = _encoded("JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    yield "progressive of a thousand scans", progressive[:last] + progressive[last:-2] * 1000 + b"\xff\xd9"
    frame = next(at for at, _ in segments(progressive) if progressive[at] == 0xC2)
    wide = struct.pack(">HH", 12_000, 12_000)
    yield "progressive bomb of 144 megapixels", progressive[: frame + 4] + wide + progressive[frame + 8 :]
    plain = next(at for at, _ in parts if data[at] == 0xC0)
    yield "bomb of 144 megapixels", data[: plain + 4] + wide + data[plain + 8 :]
    yield "bomb of 4000 megapixels", data[: plain + 4] + b"\xff\xdc\xff\xdc" + data[plain + 8 :]
    for kind in (0xC1, 0xC3, 0xC5, 0xC9, 0xCA, 0xCF):
        yield f"frame of kind {kind:02X}", data[:plain] + bytes([kind]) + data[plain + 1 :]


def _with_segment(marker: int, body: bytes) -> bytes:
    data = _encoded("JPEG", quality=70)
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]


def _metadata() -> Named:
    """Exif and colour profiles; none of them may cost the person the picture."""
    head = b"Exif\0\0II*\0"
    entry = struct.pack("<HHII", 0x0112, 3, 1, 6)
    loop = head + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    pointer = struct.pack("<HHII", 0x8769, 4, 1, 8)
    bodies = {
        "Exif with a loop": loop,
        "Exif that points to itself": head + struct.pack("<IH", 8, 1) + pointer + struct.pack("<I", 8),
        "Exif with an offset beyond the file": head + struct.pack("<I", 0xFFFFFFF0),
        "Exif with 65535 entries": head + struct.pack("<IH", 8, 65535) + entry * 100,
        "Exif, count of 4 milliard": head + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x10F, 2, 2**32 - 1, 0),
        "Exif cut short": loop[:12],
        "Exif of letters": b"Exif\0\0" + b"A" * 500,
        "turned 99": head + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x0112, 3, 1, 99) + bytes(4),
        "turned by text": head + struct.pack("<IH", 8, 1) + struct.pack("<HHI4s", 0x0112, 2, 4, b"abc\0") + bytes(4),
        "turned by nothing": head + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x0112, 3, 0, 0) + bytes(4),
        "turned by a fraction of zero": head + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x0112, 5, 1, 26)
        + bytes(12),
    }  # fmt: skip
    for name, body in bodies.items():
        yield name, _with_segment(0xE1, body)
    for name, body in {
        "colour profile of noise": b"ICC_PROFILE\0\1\1" + bytes(range(256)) * 20,
        "colour profile, part 9 of 2": b"ICC_PROFILE\0\x09\2" + bytes(400),
        "colour profile, part 0 of 0": b"ICC_PROFILE\0\0\0" + bytes(400),
        "colour profile of nothing": b"ICC_PROFILE\0\1\1",
        "colour profile with a huge size": b"ICC_PROFILE\0\1\1\xff\xff\xff\xff" + bytes(200),
    }.items():
        yield name, _with_segment(0xE2, body)


def _markers() -> Named:
    """What Pillow reads beside the picture, too short or wrong."""
    for name, body in {
        "several pictures that are not there": b"MPF\0II*\0\x08\0\0\0\xff\xff",
        "several pictures, 4 milliard": b"MPF\0II*\0\x08\0\0\0\1\0"
        + struct.pack("<HHII", 0xB001, 4, 1, 2**32 - 1)
        + bytes(4),
    }.items():
        yield name, _with_segment(0xE2, body)
    yield "Photoshop's resources cut short", _with_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\xff\xff\xff\xff\xff")
    yield "JFIF of one byte", _with_segment(0xE0, b"JFIF\0\1")
    yield "Adobe's of one byte", _with_segment(0xEE, b"Adobe\0")


# ---------------------------------------------------------------- WebP, AVIF


def _riff(kind: str, data: bytes) -> Named:
    fields, at = [Field("size of the file", 4, 4, "<")], 12
    ends = [0, 4, 8, 12]
    while at + 8 <= len(data):
        name = data[at : at + 4].decode("latin1").strip()
        fields.append(Field(f"size of {name}", at + 4, 4, "<"))
        fields += [Field(f"{name} byte {i}", at + 8 + i, 1) for i in range(min(10, len(data) - at - 8))]
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        ends += [at + 4, at + 8, at + 8 + size // 2]
        yield f"{kind}: without {name}", data[:at] + data[at + 8 + size + size % 2 :]
        yield f"{kind}: {name} twice", data[: at + 8 + size + size % 2] + data[at:]
        at += 8 + size + size % 2
    for name, changed in with_wrong_fields(data, fields):
        yield f"{kind}: {name}", changed
    for name, changed in cut_short(data, ends):
        yield f"{kind}: {name}", changed


def _webp() -> Named:
    yield from _riff("lossy", _encoded("WEBP", quality=60))
    yield from _riff("lossless", _encoded("WEBP", "RGBA", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"))
    huge = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff\xff\xff" * 2
    yield "a canvas of 16 million squared", b"RIFF" + struct.pack("<I", 4 + len(huge)) + b"WEBP" + huge
    frames = [Image.new("RGB", (SIDE, SIDE), (value, 0, 0)) for value in (0, 90, 180)]
    stream = BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    yield from _riff("moving", stream.getvalue())


def _avif() -> Named:
    if not features.check("avif"):
        return
    data = _encoded("AVIF", quality=50)
    at, fields = 0, []
    while at + 8 <= len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        fields.append(Field(f"size of {data[at + 4 : at + 8].decode('latin1')}", at, 4))
        at += max(8, size)
    for name in (b"ispe", b"iloc", b"ipma", b"iprp", b"pixi", b"av1C", b"iinf", b"pitm"):
        place = data.find(name)
        if place > 0:
            fields += [Field(f"size of {name.decode()}", place - 4, 4), Field(f"in {name.decode()}", place + 8, 4)]
    yield from with_wrong_fields(data, fields)
    yield from cut_short(data, (4, 8, 16, 40, len(data) // 2, len(data) - 1))


# ---------------------------------------------------------------- TIFF


def tiff(entries: dict[int, tuple[int, int, int]], rows: bytes, *, following: int = 0, order: str = "<") -> bytes:
    """A TIFF of one directory at 8: tag -> (type, count, value); the rows follow it."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    body = struct.pack(order + "H", len(entries))
    for tag in sorted(entries):
        body += struct.pack(order + "HHII", tag, *entries[tag])
    return head + body + struct.pack(order + "I", following) + rows


def _tiff_entries() -> dict[int, tuple[int, int, int]]:
    start = 8 + 2 + 12 * 9 + 4
    values = {256: SIDE, 257: SIDE, 258: 8, 259: 1, 262: 1, 273: start, 277: 1, 278: SIDE, 279: SIDE * SIDE}
    return {tag: (4 if tag in (273, 279) else 3, 1, value) for tag, value in values.items()}


def _tiff() -> Named:
    entries, rows = _tiff_entries(), bytes(range(200)) * 8
    names = {256: "width", 257: "height", 258: "bits", 259: "compression", 262: "meaning", 273: "place of rows",
             277: "samples", 278: "rows of a strip", 279: "bytes of a strip"}  # fmt: skip
    data = tiff(entries, rows)
    fields = [Field("place of the directory", 4, 4, "<"), Field("number of entries", 8, 2, "<")]
    for i, tag in enumerate(sorted(entries)):
        at = 10 + 12 * i
        fields += [Field(f"type of {names[tag]}", at + 2, 2, "<"), Field(f"count of {names[tag]}", at + 4, 4, "<")]
        fields.append(Field(names[tag], at + 8, 4, "<"))
    yield from with_wrong_fields(data, fields)
    yield from cut_short(data, (2, 4, 8, 10, 50, 118, 122, len(data) - 1))
    for tag, name in names.items():
        yield f"without {name}", tiff({key: value for key, value in entries.items() if key != tag}, rows)
    yield "a directory that follows itself", tiff(entries, rows, following=8)
    yield "a directory that follows beyond the file", tiff(entries, rows, following=0xFFFFFF00)
    for scheme in (2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34676, 34712, 34925, 50000, 50001):
        changed = {**entries, 259: (3, 1, scheme)}
        yield f"compression {scheme} of noise", tiff(changed, rows)
        huge = {**changed, 256: (4, 1, 14_000), 257: (4, 1, 14_000), 278: (4, 1, 14_000)}
        yield f"compression {scheme}, bomb", tiff(huge, rows)
    for meaning, bits, samples in itertools.product((0, 2, 3, 5, 6, 8), (1, 16, 32, 64), (1, 3, 4)):
        changed = {**entries, 262: (3, 1, meaning), 258: (3, 1, bits), 277: (3, 1, samples)}
        yield f"meaning {meaning}, {bits} bits, {samples} samples", tiff(changed, rows)
    yield "a large one of another byte order", b"MM\0+\0\x08\0\0" + struct.pack(">Q", 2**63) + rows


def _polyglots() -> Named:
    archive = b"PK\x03\x04" + bytes(26)
    yield "PNG and zip", good_png() + archive + b"PK\x05\x06" + bytes(18)
    yield "PNG in a JPEG's place", b"\xff\xd8\xff\xe0" + good_png()
    yield "JPEG behind a GIF's head", b"GIF89a" + _encoded("JPEG")
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n(x) (w) file closefile\n"
    yield "SVG", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "XML with an outer entity", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"
    yield "ImageMagick's script", b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/'\npop graphic-context"
    yield "nothing", b""
    yield "one byte", b"\x89"
    yield "zeros", bytes(5000)
    yield "PSD", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 40, 40, 8, 3) + bytes(5000)
    yield "FITS", b"SIMPLE  =                    T" + b" " * 5000
    yield "ICO that holds a bomb", b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0" + struct.pack("<II", 2**31, 22) + good_png()
    yield "HEIC", b"\0\0\0\x18ftypheic" + bytes(500)


def cases() -> list[Case]:
    """All of these."""
    return [
        Case("image", "JPEG as it should be", _encoded("JPEG"), ".jpg", True),
        Case("image", "WebP as it should be", _encoded("WEBP"), ".webp", True),
        Case("image", "TIFF as it should be", tiff(_tiff_entries(), bytes(range(200)) * 8), ".tif", True),
        *collect("image", "JPEG", ".jpg", _jpeg()),
        *collect("image", "JPEG with", ".jpg", _metadata(), True),
        *collect("image", "JPEG with", ".jpg", _markers()),
        *collect("image", "WebP", ".webp", _webp()),
        *collect("image", "AVIF", ".avif", _avif()),
        *collect("image", "TIFF", ".tif", _tiff()),
        *collect("image", "two formats", "", _polyglots()),
    ]
