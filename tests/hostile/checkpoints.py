"""Malformed safetensors files and torch archives, and tensors that lie about their networks."""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
import zlib
from typing import Any

import torch
from safetensors.torch import save

from tests.gan_core.checkpoints.test_adapters import nvidia_names, random_generator, rosinality_names
from tests.hostile.cases import Case, Field, collect, cut_short, with_wrong_fields
from tests.hostile.pickles import COMMAND, called, text
from tests.hostile.rasters import Named, good_png

# ---------------------------------------------------------------- safetensors


def safetensors(header: Any, body: bytes = bytes(64), *, length: int | None = None) -> bytes:
    """A file with this header (JSON, or bytes as they are) and these numbers."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def _entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64], **changes}}


def _safetensors() -> Named:
    good = safetensors(_entry())
    yield from with_wrong_fields(good, [Field("length of the header", 0, 8, "<")])
    yield from cut_short(good, (0, 4, 8, 9, 20, len(good) - 64, len(good)))
    for shape in ([], [-1], [2**63], [2**32, 2**32], [0, 2**60], [4, 4, 0], [1.5], ["4"], None, {}, [1] * 200):
        yield f"shape {json.dumps(shape)[:40]}", safetensors(_entry(shape=shape))
    for offsets in ([64, 0], [0, 65], [0, 2**64], [-1, 63], [0], [0, 64, 64], None, [1, 65], [2**63, 2**63 + 64]):
        yield f"offsets {json.dumps(offsets)}", safetensors(_entry(data_offsets=offsets))
    for kind in ("F8_E4M3", "F4", "I64", "BOOL", "OBJECT", "", None, 7, "f32"):
        yield f"type {kind!r}", safetensors(_entry(dtype=kind))
    yield "tensors on the same bytes", safetensors({**_entry(), "b": _entry()["a"]})
    yield "a hole between tensors", safetensors({**_entry(), "b": _entry(data_offsets=[80, 144])["a"]}, bytes(144))
    yield "more bytes than tensors", safetensors(_entry(), bytes(100))
    yield "the same name twice", safetensors(b'{"a":%b,"a":%b}' % ((json.dumps(_entry()["a"]).encode(),) * 2))
    yield "no tensor", safetensors({}, b"")
    yield "a list for a header", safetensors(b"[1,2]")
    yield "a header of 100000 levels", safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    yield "a header of lists of 100000 levels", safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield "a header of no UTF-8", safetensors(b'{"\xff\xfe":1}')
    yield "NaN in the header", safetensors(b'{"a":NaN}')
    yield "a number of 100000 digits", safetensors(b'{"a":' + b"9" * 100_000 + b"}")
    yield (
        "3000 tensors of nothing",
        safetensors({str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(3000)}, b""),
    )
    for meta in ([], {"config": 1}, {"config": "{"}, {"config": "[]"}, {"config": "{}"}, {"config": None}, "x"):
        yield f"metadata {json.dumps(meta)}", safetensors({"__metadata__": meta, **_entry()})
    config = {"format": "nvidia_stylegan2", "modules": {"generator": {}}, "notes": [], "source": {}}
    changes = {
        "of a resolution of 2 to the 40": {"modules": {"generator": {"resolution": 2**40}}},
        "of a resolution of text": {"modules": {"generator": {"resolution": "256"}}},
        "of a milliard layers": {"modules": {"generator": {"resolution": 64, "mapping_layers": 10**9}}},
        "of negative layers": {"modules": {"generator": {"resolution": 64, "mapping_layers": -5}}},
        "of channels of 0": {"modules": {"generator": {"resolution": 64, "channel_base": 0}}},
        "of an unknown module": {"modules": {"os.system": {}}}, "of a list of modules": {"modules": ["generator"]},
        "of modules that are none": {"modules": 5}, "of an unknown format": {"format": "../../x"},
        "of a format that is a list": {"format": []}, "of unknown arguments": {"modules": {"generator": {"x": 1}}},
        "without modules": {"modules": {}},
    }  # fmt: skip
    for name, change in changes.items():
        meta = {"config": json.dumps({**config, **change})}
        yield f"a description {name}", safetensors({"__metadata__": meta, **_entry()})


# ---------------------------------------------------------------- torch.save's archives


def torch_zip(value: Any) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def archive(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members; a name may come twice."""
    import warnings

    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as file:
        warnings.simplefilter("ignore")
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def _records(data: bytes) -> list[Field]:
    """Every number in the end record, the first central entry and the first local header of a zip."""
    end, central = data.rindex(b"PK\5\6"), data.index(b"PK\1\2")
    layout = {
        ("end", end): {"disk": (4, 2), "entries": (10, 2), "directory's size": (12, 4), "directory's place": (16, 4),
                       "comment": (20, 2)},
        ("central", central): {"version": (6, 2), "flags": (8, 2), "method": (10, 2), "checksum": (16, 4),
                               "packed": (20, 4), "size": (24, 4), "name's length": (28, 2), "extra": (30, 2),
                               "comment": (32, 2), "place": (42, 4)},
        ("local", 0): {"version": (4, 2), "flags": (6, 2), "method": (8, 2), "checksum": (14, 4), "packed": (18, 4),
                       "size": (22, 4), "name's length": (26, 2), "extra": (28, 2)},
    }  # fmt: skip
    return [
        Field(f"{name} of the {record} record", at + shift, size, "<")
        for (record, at), numbers in layout.items()
        for name, (shift, size) in numbers.items()
    ]


def _archives() -> Named:
    good = torch_zip({"a": torch.ones(40), "b": torch.arange(4)})
    yield from with_wrong_fields(good, _records(good))
    yield from cut_short(good, range(0, len(good), len(good) // 12))
    with zipfile.ZipFile(io.BytesIO(good)) as opened:
        parts = [(info.filename, opened.read(info)) for info in opened.infolist()]
    root = parts[0][0].partition("/")[0]
    yield "deflated", archive(parts, zipfile.ZIP_DEFLATED)
    yield "a bomb of 200 MB", archive([*parts, (f"{root}/data/9", bytes(200_000_000))], zipfile.ZIP_DEFLATED)
    pickled = dict(parts)[f"{root}/data.pkl"]
    for name in ("../../outside", "/etc/cron.d/outside", "C:\\outside", f"{root}/../outside", "a\0b", "", "x" * 60_000):
        yield f"a member named {name[:20]!r}", archive([*parts, (name, b"x")])
        yield f"data.pkl below {name[:20]!r}", archive([(f"{name}/data.pkl", pickled), *parts[1:]])
    yield "data.pkl twice", archive([parts[0], *parts])
    yield "two folders", archive([*parts, ("other/data.pkl", b"\x80\x02N.")])
    yield "no data.pkl", archive(parts[1:])
    yield "no storages", archive([parts[0]])
    yield "no member", archive([])
    yield (
        "of a big-endian machine",
        archive([*[p for p in parts if "byteorder" not in p[0]], (f"{root}/byteorder", b"big")]),
    )
    yield "a program", archive([*parts, (f"{root}/constants.pkl", b"\x80\x02N.")])
    yield "a storage cut short", archive([(name, body[:3] if "/data/" in name else body) for name, body in parts])
    yield "65000 members", archive([*parts, *((f"{root}/{i}", b"") for i in range(30_000))])
    yield "a zip in a zip", archive([(f"{root}/data.pkl", good)])
    yield "a picture before it", good_png() + good
    yield "a picture behind it", good + good_png()
    call = b"\x80\x02" + called("os", "system", text(COMMAND)) + b"."
    yield "data.pkl that asks for a call", archive([(f"{root}/data.pkl", call), *parts[1:]])
    for how, number in {"negative": b"J\xff\xff\xff\xff", "2 to the 47": b"\x8a\6\xff\xff\xff\xff\xff\x7f"}.items():
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number + b"tQ"
        for size in (b"K\4\x85", number + b"\x85", b"K\0" + number + b"\x86", number + b"K\0" + number + b"\x87"):
            tensor = called("torch._utils", "_rebuild_tensor_v2", storage, b"K\0", size, size, b"\x89", b"N")
            body = b"\x80\x02}" + text("a") + tensor + b"s."
            yield f"a storage of {how} numbers, size {size.hex()}", archive([(f"{root}/data.pkl", body), *parts[1:]])
    for key in ("../../../etc/passwd", "0\0", "/etc/passwd"):
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + b"K\4tQ"
        tensor = called("torch._utils", "_rebuild_tensor_v2", storage, b"K\0", b"K\4\x85", b"K\1\x85", b"\x89", b"N")
        yield f"a storage in {key!r}", archive([(f"{root}/data.pkl", b"\x80\x02" + tensor + b"."), *parts[1:]])
    body = b"\x80\x02(" + text("storage") + text("cpu") + b"tQ."
    yield "a persistent id that is too short", archive([(f"{root}/data.pkl", body), *parts[1:]])


# ---------------------------------------------------------------- tensors that lie about their networks


@functools.cache
def network(layout: str) -> dict[str, Any]:
    """Tensors of a small network in a published layout that the catalogue has no model of."""
    net = random_generator(8, z_dim=8, w_dim=8, mapping_layers=1, channel_base=32, channel_max=4)
    return {"G_ema": nvidia_names(net)} if layout == "nvidia" else {"g_ema": rosinality_names(net)}


def _liars() -> Named:
    shapes = ((), (0,), (1,), (0, 2**40), (2**40, 0), (1, 1, 1, 1, 1, 1), (3, 5), (1, 0, 4, 4), (7, 1, 1, 1))
    for layout in ("nvidia", "rosinality"):
        tree = network(layout)
        ((part, tensors),) = tree.items()
        for i, name in enumerate(tensors):
            kept = {key: value for key, value in tensors.items() if key != name}
            yield f"{layout} without {name}", torch_zip({part: kept})
            for j, shape in enumerate(shapes):
                if (i + j) % 3 == 0 or name in ("synthesis.b4.const", "input.input", "style.1.weight"):
                    yield f"{layout}, {name} of shape {shape}", torch_zip({part: {**kept, name: torch.zeros(shape)}})
        yield f"{layout}, names that are numbers", torch_zip({part: {**tensors, 5: torch.ones(1), None: 1}})
        yield f"{layout}, a tensor that is a list", torch_zip({part: dict.fromkeys(tensors, [1, 2])})
        yield f"{layout}, everything of one number", torch_zip({part: {key: torch.ones(1) for key in tensors}})
        yield f"{layout}, whole numbers", torch_zip({part: {key: value.long() for key, value in tensors.items()}})
        yield f"{layout}, no numbers", torch_zip({part: {key: value * torch.nan for key, value in tensors.items()}})
        yield f"{layout}, mean latent of text", torch_zip({**tree, "latent_avg": "x", "D": "x", "d": {"x": 1}})
    marks = {
        "comodgan": ["G_synthesis.E.4x4.Dense0.0.weight", "G_synthesis.E.4x4.Dense0.weight"],
        "comodgan of TensorFlow": ["G_synthesis/E_4x4/Dense0/weight"], "sc-gan": ["input.multiinput"],
        "hfgi": ["encoder.styles.0.linear.weight"], "bodies": ["synthesis.b4.const"],
        "swapping": ["E.ToGlobalCode.0.weight", "G.SpatialCodeModulation.scale.weight"],
        "faces": ["conv1.conv.modulation.weight", "input.input"],
    }  # fmt: skip
    for name, keys in marks.items():
        for shape in ((), (3,), (4, 4), (0, 2**40), (1, 4, 4, 8, 4)):
            yield f"{name}: the mark alone, of shape {shape}", torch_zip({key: torch.zeros(shape) for key in keys})
        yield f"{name}: the mark is text", torch_zip(dict.fromkeys(keys, "x"))
    port = {"G_synthesis.E.4x4.Dense0.weight": (8, 8), "G_synthesis.G_4x4.Conv.conv.weight": (1, 4, 4, 3, 3),
            "G_synthesis.E.4x4_0.FromRGB.0.weight": (4, 4, 1, 1), "G_mapping.G_mapping.Dense0.weight": (8, 8),
            "G_synthesis.G_4x4.Conv.conv.modulation.weight": (4, 16), "G_synthesis.G_4x4.ToRGB.bias": (3,)}  # fmt: skip
    for digits in (10, 5000):
        names = {**port, f"G_mapping.G_mapping.Dense{'9' * digits}.weight": (1,)}
        yield f"comodgan of {digits} digits of layers", torch_zip({k: torch.ones(s) for k, s in names.items()})
    yield "hfgi's parts of nothing", torch_zip({"encoder": {}, "aligner": {}, "latent_avg": torch.ones(1)})
    yield "TensorFlow's network of nothing", torch_zip({"Gs": {"variables": {}, "components": {"x": 5}}})
    yield "TensorFlow's variables of text", torch_zip({"Gs": {"variables": "x", "components": []}})


def _packed_archives() -> Named:
    """Archives of several models, as one published model comes."""
    inner = torch_zip({"a": torch.ones(3)})
    name = "mountain_pretrained/latest_checkpoint.pth"
    yield "members out of the folder", archive([(f"../../../{name}", inner), ("/etc/cron.d/outside", b"x")])
    yield "of nothing", archive([])
    yield "a member that is no checkpoint", archive([(f"checkpoints/{name}", b"x" * 100)])
    yield (
        "a member that asks for a call",
        archive([(f"checkpoints/{name}", b"\x80\x02" + called("os", "system", text(COMMAND)) + b".")]),
    )
    yield "deflated with noise inside", archive([(name, inner)], zipfile.ZIP_DEFLATED).replace(inner[:1], b"\7", 3)
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        good = archive([(name, inner * 20)], method)
        start = 30 + len(name)
        yield f"method {method}, damaged", good[: start + 20] + bytes(60) + good[start + 80 :]
        yield from ((f"method {method}, {how}", data) for how, data in with_wrong_fields(good, _records(good)[5:15]))
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = bomb.compress(bytes(3_000_000)) + bomb.flush()
    yield "a bomb", archive([(name, bytes(300_000_000))], zipfile.ZIP_DEFLATED)
    yield "not a zip", raw


def cases() -> list[Case]:
    """All of these."""
    good = save({"a": torch.ones(4, 4), "b": torch.arange(5)})
    return [
        Case("checkpoint", "safetensors as it should be", good, ".safetensors"),
        Case("checkpoint", "NVIDIA's as it should be", torch_zip(network("nvidia")), ".pt", True),
        Case("checkpoint", "rosinality's as it should be", torch_zip(network("rosinality")), ".pt", True),
        *collect("checkpoint", "safetensors", ".safetensors", _safetensors()),
        *collect("checkpoint", "torch's zip", ".pt", _archives()),
        *collect("checkpoint", "tensors", ".pt", _liars()),
        *collect("archive", "several models", ".zip", _packed_archives()),
    ]
