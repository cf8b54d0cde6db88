"""Malformed PNG, GIF, BMP and PPM pictures, from the formats' own structure."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator

from tests.hostile.cases import Case, Field, collect, cut_short, packed, with_wrong_fields, wrong_values

SIDE = 40
Named = Iterator[tuple[str, bytes]]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ROWS = b"".join(b"\0" + bytes((x * 6, y * 6, 90)[i] for x in range(SIDE) for i in range(3)) for y in range(SIDE))
_HEADER = {"width_4": SIDE, "height_4": SIDE, "depth_1": 8, "colour_1": 2, "compression_1": 0, "filter_1": 0,
           "interlace_1": 0}  # fmt: skip


def chunk(kind: bytes, body: bytes, *, length: int | None = None, check: int | None = None) -> bytes:
    """A chunk of a PNG; its length and checksum are right unless they are given."""
    right = zlib.crc32(kind + body)
    size = len(body) if length is None else length
    return struct.pack(">I", size) + kind + body + struct.pack(">I", right if check is None else check)


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks."""
    return _SIGNATURE + b"".join(chunks)


def header(**changes: int) -> bytes:
    """The IHDR chunk of a small colour picture, with changes."""
    return chunk(b"IHDR", packed(">", **{**_HEADER, **changes})[0])


def good_png() -> bytes:
    """A small colour picture."""
    return png(header(), chunk(b"IDAT", zlib.compress(_ROWS)), chunk(b"IEND", b""))


def _png_headers() -> Named:
    body = chunk(b"IDAT", zlib.compress(_ROWS)), chunk(b"IEND", b"")
    for name, value in _HEADER.items():
        word, _, size = name.rpartition("_")
        for how, number in wrong_values(value, int(size)).items():
            yield f"{word} is {how}", png(header(**{name: number}), *body)
    for depth, colour in itertools.product((1, 2, 4, 16), (0, 3, 4, 6)):
        yield f"depth {depth} with colour type {colour}", png(header(depth_1=depth, colour_1=colour), *body)


def _png_chunks() -> Named:
    pixels, end = zlib.compress(_ROWS), chunk(b"IEND", b"")
    data = chunk(b"IDAT", pixels)
    for how, number in wrong_values(len(pixels), 4).items():
        yield f"length of IDAT is {how}", png(header(), chunk(b"IDAT", pixels, length=number), end)
        yield f"length of IHDR is {how}", png(chunk(b"IHDR", header()[8:-4], length=number), data, end)
    yield "checksum of IHDR is wrong", png(chunk(b"IHDR", header()[8:-4], check=1), data, end)
    yield "checksum of IDAT is wrong", png(header(), chunk(b"IDAT", pixels, check=1), end)
    yield "zlib checksum is wrong", png(header(), chunk(b"IDAT", pixels[:-4] + b"abcd"), end)
    yield "no IHDR", png(data, end)
    yield "two IHDR of different sizes", png(header(), header(width_4=30_000, height_4=30_000), data, end)
    yield "IHDR after IDAT", png(data, header(), end)
    yield "no IDAT", png(header(), end)
    yield "no IEND", png(header(), data)
    yield "IEND first", png(end, header(), data)
    yield "unknown chunk that must be understood", png(header(), chunk(b"ABCD", b"x" * 9), data, end)
    yield "a thousand empty IDAT", png(header(), *[chunk(b"IDAT", b"")] * 1000, data, end)
    yield "too few rows", png(header(), chunk(b"IDAT", zlib.compress(_ROWS[:200])), end)
    yield "too many rows", png(header(), chunk(b"IDAT", zlib.compress(_ROWS * 50)), end)
    yield "filter type 200", png(header(), chunk(b"IDAT", zlib.compress(_ROWS.replace(b"\0", b"\xc8"))), end)
    yield "not zlib at all", png(header(), chunk(b"IDAT", bytes(range(256))), end)
    yield "palette missing", png(header(colour_1=3), data, end)
    yield "palette of one byte", png(header(colour_1=3), chunk(b"PLTE", b"x"), data, end)
    yield "palette of 300 colours", png(header(colour_1=3), chunk(b"PLTE", bytes(900)), data, end)
    yield (
        "transparency longer than the palette",
        png(header(colour_1=3), chunk(b"PLTE", bytes(3)), chunk(b"tRNS", bytes(256)), data, end),
    )
    yield "transparency of one byte", png(header(), chunk(b"tRNS", b"x"), data, end)
    for name in (b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"bKGD", b"tIME", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT"):
        yield f"{name.decode()} of three bytes", png(header(), chunk(name, b"\xff\0\0"), data, end)
    frames = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "two milliard frames", png(header(), frames, data, end)
    control = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1, 0, 0, 9, 9)
    yield "a frame outside of the picture", png(header(), frames, chunk(b"fcTL", control), data, end)


def _png_bombs() -> Named:
    """Small files that claim or hold much."""
    end = chunk(b"IEND", b"")
    bomb = zlib.compress(bytes(60_000_000), 9)
    yield "bomb of 14000 x 14000", png(header(width_4=14_000, height_4=14_000), chunk(b"IDAT", bomb), end)
    yield "bomb of 65000 x 65000", png(header(width_4=65_000, height_4=65_000), chunk(b"IDAT", bomb), end)
    yield "bomb of 2 x 2000000000", png(header(width_4=2, height_4=2_000_000_000), chunk(b"IDAT", bomb), end)
    yield "60 MB in IDAT of a small picture", png(header(), chunk(b"IDAT", bomb), end)
    data = chunk(b"IDAT", zlib.compress(_ROWS))
    for kind, lead in ((b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")):
        yield f"60 MB in {kind.decode()}", png(header(), chunk(kind, lead + bomb), data, end)
        yield f"60 MB in {kind.decode()} after the pixels", png(header(), data, chunk(kind, lead + bomb), end)
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900_000)))
    yield "a hundred texts of 1 MB", png(header(), *[text] * 100, data, end)


def good_gif() -> bytes:
    """A small grey picture of one frame."""
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.linear_gradient("L").resize((SIDE, SIDE)).save(stream, "GIF")
    return stream.getvalue()


def _gif() -> Named:
    data = good_gif()
    table = 13 + 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 13
    image = data.index(b",", table)
    local = 3 * 2 ** ((data[image + 9] & 7) + 1) if data[image + 9] & 0x80 else 0
    code = image + 10 + local
    fields = [
        Field("screen width", 6, 2, "<"), Field("screen height", 8, 2, "<"), Field("screen flags", 10, 1),
        Field("background", 11, 1), Field("left", image + 1, 2, "<"), Field("top", image + 3, 2, "<"),
        Field("width", image + 5, 2, "<"), Field("height", image + 7, 2, "<"), Field("flags", image + 9, 1),
        Field("code size", code, 1), Field("first block's length", code + 1, 1),
    ]  # fmt: skip
    yield from with_wrong_fields(data, fields)
    yield from cut_short(data, (0, 3, 6, 13, table, image, image + 10, code, code + 1, len(data) - 2, len(data) - 1))
    frame = data[image:-1]
    yield "four thousand frames", data[:-1] + frame[: code - image + 1] * 4000 + b";"
    yield "an extension without end", data[:table] + b"!\xfe" + b"\xff" + b"x" * 255 + b"\xff"
    yield "an endless chain of comments", data[:table] + b"!\xfe\x01x\0" * 20_000 + data[table:]
    yield "control block of no length", data[:table] + b"!\xf9\x00\x00" + data[table:]
    yield "control block too long", data[:table] + b"!\xf9\xff" + bytes(255) + b"\0" + data[table:]


def _bmp() -> Named:
    fields = {"size_4": 0, "reserved_4": 0, "offset_4": 54, "header_4": 40, "width_4": SIDE, "height_4": SIDE,
              "planes_2": 1, "bits_2": 24, "compression_4": 0, "bytes_4": 0, "across_4": 2835, "down_4": 2835,
              "colours_4": 0, "important_4": 0}  # fmt: skip
    rows = (bytes(range(120)) + b"") * SIDE
    head, places = packed("<", **fields)
    data = b"BM" + head + rows
    yield from with_wrong_fields(data, [Field(name, 2 + at, size, "<") for name, at, size in places])
    yield from cut_short(data, (2, 14, 18, 54, len(data)))
    for bits, compression in itertools.product((1, 4, 8, 16, 32), (0, 1, 2, 3, 4, 6)):
        changed = {**fields, "bits_2": bits, "compression_4": compression}
        yield f"{bits} bits with compression {compression}", b"BM" + packed("<", **changed)[0] + rows
    runs = {**fields, "bits_2": 8, "compression_4": 1, "width_4": 9000, "height_4": 9000}
    yield "runs of a bomb", b"BM" + packed("<", **runs)[0] + bytes(1024) + b"\xff\1" * 9000
    yield (
        "jumps out of the picture",
        b"BM" + packed("<", **{**runs, "width_4": 40, "height_4": 40})[0] + bytes(1024) + b"\0\2\xff\xff" * 500,
    )


def _ppm() -> Named:
    rows = bytes(3 * SIDE * SIDE)
    for name, head in {
        "no numbers": b"P6\n", "words for numbers": b"P6\nforty forty\n255\n", "negative": b"P6\n-40 -40\n255\n",
        "huge": b"P6\n99999999999999999999 99999999999999999999\n255\n", "bomb": b"P6\n60000 60000\n255\n",
        "greatest value 0": b"P6\n40 40\n0\n", "greatest value huge": b"P6\n40 40\n99999999\n",
        "a comment without end": b"P6\n#" + b"x" * 100_000, "digits without end": b"P6\n" + b"1" * 100_000,
        "plain text with no pixels": b"P3\n40 40\n255\n", "plain text with letters": b"P3\n40 40\n255\nabc ",
        "bits": b"P4\n40 40\n", "float of zero scale": b"Pf\n40 40\n0\n", "float": b"PF\n40 40\n-1.0\n",
        "PAM": b"P7\nWIDTH 40\nHEIGHT 40\nDEPTH 99\nMAXVAL 255\nTUPLTYPE X\nENDHDR\n",
    }.items():  # fmt: skip
        yield name, head + rows
    yield "cut short", b"P6\n40 40\n255\n" + rows[:-1]


def cases() -> list[Case]:
    """All of these."""
    data = good_png()
    places = (0, 4, 8, 12, 16, 29, 33, 37, 41, len(data) - 12, len(data) - 4)
    return [
        Case("image", "PNG as it should be", data, ".png", True),
        *collect("image", "PNG", ".png", itertools.chain(_png_headers(), _png_chunks())),
        *collect("image", "PNG", ".png", cut_short(data, places[:8]), False),
        *collect("image", "PNG bomb", ".png", _png_bombs()),
        Case("image", "GIF as it should be", good_gif(), ".gif", True),
        *collect("image", "GIF", ".gif", _gif()),
        *collect("image", "BMP", ".bmp", _bmp()),
        *collect("image", "PPM", ".ppm", _ppm()),
    ]
