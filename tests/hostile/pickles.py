"""Hostile pickles: opcodes that would run code, damaged streams, and claims of huge sizes.

Written opcode by opcode, as no honest pickler writes most of them.
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tests.hostile.cases import MARKER, Case, collect, cut_short, wrong_values
from tests.hostile.rasters import Named

COMMAND = f"touch {MARKER}"
_CODE = f"open({MARKER!r}, 'w').close()"


def text(value: str) -> bytes:
    """A text that is put on the stack."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """A call of module.name with arguments that are on the stack."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def _globals() -> Iterator[tuple[str, bytes]]:
    """Calls of things that run code, read or write files, or reach the network."""
    yield "os.system", called("os", "system", text(COMMAND))
    yield "posix.system", called("posix", "system", text(COMMAND))
    yield "subprocess", called("subprocess", "check_output", b"(", text("touch"), text(MARKER), b"l")
    yield "eval", called("builtins", "eval", text(_CODE))
    yield "exec of Python 2", called("__builtin__", "exec", text(_CODE))
    yield "runpy", called("runpy", "_run_code", text(_CODE), b"}")
    yield "timeit", called("timeit", "timeit", text(_CODE), b"N", b"N", b"K\1")
    yield "pdb", called("pdb", "run", text(_CODE))
    yield "cProfile", called("cProfile", "run", text(_CODE))
    yield "import", called("builtins", "__import__", text("antigravity"))
    yield "importlib", called("importlib", "import_module", text("antigravity"))
    yield "open", called("builtins", "open", text(MARKER), text("w"))
    yield "io.open", called("io", "open", text(MARKER), text("w"))
    yield "numpy.memmap", called("numpy", "memmap", text(MARKER), text("u1"), text("w+"), b"K\0", b"K\1\x85")
    yield "numpy.load", called("numpy", "load", text("x.npy"), b"N", b"\x88")
    yield "torch.load", called("torch", "load", text("x.pt"))
    yield "torch.hub", called("torch.hub", "load_state_dict_from_url", text("http://127.0.0.1:9/x"))
    yield "shutil", called("shutil", "rmtree", text("."))
    yield "urllib", called("urllib.request", "urlopen", text("http://127.0.0.1:9/x"))
    yield "socket", called("socket", "create_connection", b"(", text("127.0.0.1"), b"K\x09", b"t")
    yield "getattr", called("builtins", "getattr", text("x"), text("join"))
    yield "operator", called("operator", "attrgetter", text("__class__"))
    yield "functools", called("functools", "partial", b"cos\nsystem\n", text(COMMAND))
    yield "codecs", called("_codecs", "decode", text("x"), text("bz2"))
    yield "codecs.encode with rot13", called("_codecs", "encode", text("x"), text("rot13"))
    yield "types.FunctionType", called("types", "FunctionType", b"N", b"}")
    yield "ctypes", called("ctypes", "CDLL", text("libc.so.6"))
    yield "weakref", called("weakref", "proxy", text("x"))
    yield "a listed module's other function", called("torch._utils", "_import_dotted_name", text("os.system"))
    yield "torch.nn's private function", called("torch.nn.modules.module", "_addindent", text("x"), b"K\1")
    yield (
        "persistence of NVIDIA",
        called("torch_utils.persistence", "import_hook", called("os", "system", text(COMMAND))),
    )
    yield "dotted by the name", b"\x80\x04" + b"\x8c\x05torch" + b"\x8c\x13serialization.os.fn" + b"\x93(tR"
    yield "a name with a newline", b"\x80\x04" + text("os\nsystem") + text("x") + b"\x93" + text(COMMAND) + b"\x85R"
    yield (
        "a name of other letters",
        b"\x80\x04" + text("\uff4f\uff53") + text("system") + b"\x93" + text(COMMAND) + b"\x85R",
    )
    yield "an alias of a listed module", called("numpy.core.multiarray._reconstruct", "x", text("x"))


def _opcodes() -> Named:
    """Streams that only a hostile writer makes."""
    extra = {
        "INST": b"(" + text(COMMAND) + b"ios\nsystem\n.", "OBJ": b"(cos\nsystem\n" + text(COMMAND) + b"o.",
        "NEWOBJ": b"cos\nsystem\n" + text(COMMAND) + b"\x85\x81.",
        "NEWOBJ_EX": b"cos\nsystem\n" + text(COMMAND) + b"\x85}\x92.",
        "BUILD that sets a class's attribute": b"cargparse\nNamespace\n}X\1\0\0\0aK\1sb.",
        "BUILD of an array with three states": b"cnumpy.core.multiarray\n_reconstruct\n(tR(K\1K\2K\3tb.",
        "BUILD of a number": b"K\1}b.", "EXT1": b"\x82\1.", "EXT4": b"\x84\1\0\0\0.", "PERSID": b"P12\n.",
        "BINPERSID outside of a torch file": b"K\1Q.", "NEXT_BUFFER": b"\x97.", "READONLY_BUFFER": b"\x97\x98.",
        "REDUCE of a number": b"K\1)R.", "REDUCE with a list": b"ccollections\nOrderedDict\n]R.",
        "a mark instead of a value": b"(.", "a mark in a tuple": b"((\x85.", "POP of nothing": b"0.",
        "POP_MARK without a mark": b"K\x011.", "DUP of nothing": b"2.", "GET of nothing": b"g7\n.",
        "PUT of nothing": b"p7\n.", "PUT at -1": b"Np-1\n0g-1\n.", "MEMOIZE of nothing": b"\x94.",
        "APPEND to a number": b"K\1K\1a.", "APPENDS without a mark": b"]e.", "SETITEM on a list": b"]K\1K\1s.",
        "SETITEMS of an odd number": b"}(K\1u.", "ADDITEMS to a list": b"](K\1\x90.", "TUPLE3 of two": b"K\1K\1\x87.",
        "FRAME of nothing": b"\x95" + bytes(8) + b"N.", "PROTO 200": b"\x80\xc8N.", "PROTO without number": b"\x80",
        "an opcode that is none": b"\xff\xfe\xfd.", "nothing behind STOP": b".", "two STOPs": b"N..",
        "INT of letters": b"Iabc\n.", "INT of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
        "LONG of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.", "FLOAT of letters": b"Fabc\n.",
        "STRING without end": b"S'abc", "STRING with an escape": b"S'\\x'\n.", 
        "UNICODE with half an escape": b"V\\u12\n.",
        "LONG4 of negative size": b"\x8b\xff\xff\xff\xff.", "BINSTRING of negative size": b"T\xff\xff\xff\xff.",
        "a line without end": b"c" + b"x" * 200_000, "a list in itself": b"]2a.",
        "a dictionary in itself": b"}2X\1\0\0\0a2s.", "a dictionary with itself as key": b"}2K\1s.",
        "a tuple as key": b"}K\1\x85K\1s.", "a set of lists": b"\x8f(]\x90.", "frozenset of a list": b"(]\x91.",
        "text that is no UTF-8": b"X\2\0\0\0\xff\xfe.", "text of half a surrogate": b"X\3\0\0\0\xed\xa0\x80.",
        "OrderedDict of a number": called("collections", "OrderedDict", b"K\1") + b".",
        "OrderedDict of triples": called("collections", "OrderedDict", b"(K\1K\2K\3tl") + b".",
        "dtype of text": called("numpy", "dtype", text("U99999999")) + b".",
        "dtype of objects": called("numpy", "dtype", text("O8")) + b".",
        "dtype that does not exist": called("numpy", "dtype", text("f77")) + b".",
        "dtype of nothing": called("numpy", "dtype") + b".", "Size of a number": called("torch", "Size", b"K\1") + b".",
        "complex of text": called("builtins", "complex", text("x")) + b".",
        "a tensor without a storage": called("torch._utils", "_rebuild_tensor_v2", b"N", b"K\0", b")", b")") + b".",
        "bytearray of 4 milliard": called("builtins", "bytearray", b"\x8a\4\xff\xff\xff\x7f") + b".",
        "NVIDIA's object of a number": called("torch_utils.persistence", "_reconstruct_persistent_obj", b"K\1") + b".",
        "NVIDIA's object in itself": b"}2" + text("state") + b"\x86" + b".",
    }  # fmt: skip
    for name, body in extra.items():
        yield name, b"\x80\x02" + body


def _bombs() -> Named:
    for letter, size in ((b"B", 4), (b"C", 1), (b"X", 4), (b"\x8d", 8), (b"\x8e", 8), (b"\x96", 8), (b"\x8b", 4)):
        for how, value in wrong_values(3, size).items():
            claimed = struct.pack({1: "<B", 4: "<I", 8: "<Q"}[size], value)
            yield f"{letter!r} whose length is {how}", b"\x80\x04" + letter + claimed + b"abc."
    yield "nested 100000 lists", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    yield "nested 100000 tuples", b"\x80\x02)" + b"\x85" * 100_000 + b"."
    yield "nested 100000 dictionaries", b"\x80\x02}" + (text("a") + b"}") * 100_000 + b"s" * 100_000 + b"."
    yield "nested 100000 marks", b"\x80\x02" + b"(" * 100_000 + b"."
    doubled = (
        b"\x80\x02]"
        + b"q\0"
        + b"(h\0h\0l"
        + b"".join(b"q" + bytes([i]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"l" for i in range(1, 120))
    )
    yield "a milliard laughs", doubled + b"."
    yield "a milliard laughs in a dictionary", b"\x80\x02}" + text("a") + doubled[2:] + b"s."
    longer = b"\x80\x02" + text("x" * 1000) + b"q\0" + b"0(" + b"h\0" * 50_000 + b"l."
    yield "one text 50000 times", longer
    yield "a memo index of 4 milliard", b"\x80\x02Nr\xff\xff\xff\xff."
    yield "a number of 200000 bytes", b"\x80\x02\x8b" + struct.pack("<I", 200_000) + b"\x7f" * 200_000 + b"."
    shape = b"(" + b"\x8a\6\xff\xff\xff\xff\xff\x7f" * 2 + b"t"
    array = called("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n", b"K\0\x85", b"C\1b")
    state = b"(K\1" + shape + called("numpy", "dtype", text("f4"), b"K\0", b"K\1") + b"\x89C\4abcdtb."
    yield "an array of 2 to the 94 numbers", b"\x80\x03" + array + state
    empty = b"(K\0" + b"\x8a\6\xff\xff\xff\xff\xff\x7f" * 3 + b"t"
    nothing = b"(K\1" + empty + called("numpy", "dtype", text("f4"), b"K\0", b"K\1") + b"\x89C\0tb."
    yield "an empty array of huge sides", b"\x80\x03" + array + nothing
    many = b"(K\1(" + b"K\1" * 100 + b"t" + called("numpy", "dtype", text("f4"), b"K\0", b"K\1") + b"\x89C\4abcdtb."
    yield "an array of a hundred axes", b"\x80\x03" + array + many


@functools.cache
def tree_pickle() -> bytes:
    """A plain pickle of a dictionary of arrays."""
    arrays = {"G_ema": {"a": np.ones((3, 4), np.float32), "b": np.arange(5)}, "name": "x"}
    return pickle.dumps(arrays, protocol=4)


class Numbered(pickle.Pickler):
    """Names storages by their number; torch.save's older stream names them by where they lie in memory."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=2)
        self.storages: list[torch.UntypedStorage] = []

    def persistent_id(self, value: Any) -> tuple | None:
        """Of a tensor's memory."""
        if not isinstance(value, torch.storage.TypedStorage):
            return None
        self.storages.append(value._untyped_storage)
        kind = getattr(torch, {torch.float32: "FloatStorage", torch.int64: "LongStorage"}[value.dtype])
        return ("storage", kind, str(len(self.storages) - 1), "cpu", value._size(), None)


@functools.cache
def old_torch(asks: bool = False) -> bytes:
    """torch.save's older stream, the same in every run."""
    stream = io.BytesIO()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(head, stream, protocol=2)
    pickler = Numbered(stream)
    pickler.dump({"a": torch.ones(2, 3), "b": torch.arange(4), "c": Asks() if asks else None})
    pickle.dump([str(i) for i in range(len(pickler.storages))], stream, protocol=2)
    for storage, size in zip(pickler.storages, (4, 8), strict=True):
        stream.write(struct.pack("<q", storage.nbytes() // size) + bytes(storage))
    return stream.getvalue()


class Asks:
    """Is pickled as a call of os.system."""

    def __reduce__(self) -> tuple:
        return os.system, (COMMAND,)


def _saved() -> Named:
    """What real picklers write, with a call in it, and each byte of the old stream's parts made wrong."""
    for where, value in {
        "alone": Asks(), "as a value": {"a": Asks()}, "as an optimiser": {"g_ema": {}, "g_optim": [Asks()]},
        "beside an array": [np.ones(2), Asks()], "in an argument": {"args": (1, (2, Asks()))},
    }.items():  # fmt: skip
        for protocol in (2, 4):
            yield f"a call {where}, protocol {protocol}", pickle.dumps(value, protocol=protocol)
    data = tree_pickle()
    for i in range(2, len(data), max(1, len(data) // 60)):
        yield f"byte {i} flipped", data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]
    yield from ((f"plain, {name}", cut) for name, cut in cut_short(data, range(0, len(data), len(data) // 12)))
    yield "a call in torch's older stream", old_torch(asks=True)
    old = old_torch()
    for i in range(0, len(old), max(1, len(old) // 80)):
        yield f"older stream, byte {i} flipped", old[:i] + bytes([old[i] ^ 0xFF]) + old[i + 1 :]
    yield from ((f"older stream, {name}", cut) for name, cut in cut_short(old, range(0, len(old), len(old) // 16)))


def cases() -> list[Case]:
    """All of these."""
    asking = (
        (f"a call of {name}", (b"" if body[:1] == b"\x80" else b"\x80\x02") + body + b".") for name, body in _globals()
    )
    return [
        Case("checkpoint", "plain pickle as it should be", tree_pickle(), ".pkl", None),
        Case("checkpoint", "torch's older stream as it should be", old_torch(), ".pt", None),
        *collect("checkpoint", "pickle", ".pkl", asking, False),
        *collect("checkpoint", "pickle with", ".pkl", _opcodes()),
        *collect("checkpoint", "pickle bomb", ".pkl", _bombs()),
        *collect("checkpoint", "pickle", ".pkl", _saved()),
    ]
