"""Malformed videos as PyAV writes them, and files that only point to others."""

from __future__ import annotations

import functools
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import av
import numpy as np

from tests.hostile.cases import SECRET, Case, Field, collect, cut_short, with_wrong_fields
from tests.hostile.rasters import Named

SIDE, FRAMES, RATE = 64, 3, 10
_LESS = ("1", "one less", "large")  # a video takes a hundred times as long as a picture
_INSIDE = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts", b"udta", b"mvex"}


@functools.cache
def clip(kind: str, codec: str, sound: str = "", side: int = SIDE) -> bytes:
    """A short video of moving grey, with a tone if `sound` names a codec."""
    stream = BytesIO()
    with av.open(stream, "w", format=kind, options={"fflags": "+bitexact"}) as output:
        video = output.add_stream(codec, rate=RATE)
        video.width, video.height, video.pix_fmt = side, side, "yuv420p"
        video.codec_context.thread_count = 1
        tone = output.add_stream(sound, rate=48000, layout="stereo") if sound else None
        for i in range(FRAMES):
            pixels = np.full((side, side, 3), 40 * i, np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(video.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(24_000) / 20).astype(np.float32) / 4
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            resampler = av.AudioResampler(format=tone.codec_context.format, layout="stereo", rate=48000)
            for piece in resampler.resample(frame):
                output.mux(tone.encode(piece))
            output.mux(tone.encode(None))
    return stream.getvalue()


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of each box of an MP4, outer ones first."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I", data[at : at + 4])[0], data[at + 4 : at + 8]
        if size < 8:
            return
        yield kind, at, size
        if kind in _INSIDE:
            yield from boxes(data, at + 8, at + size)
        at += size


def _mp4_fields(data: bytes) -> list[Field]:
    """Sizes of all boxes, and the numbers that count or place something."""
    inner = {
        b"mvhd": {"time scale": 20, "duration": 24}, b"tkhd": {"duration": 28, "width": 84, "height": 88},
        b"mdhd": {"time scale": 20, "duration": 24}, b"stts": {"count": 12, "of how many": 16, "step": 20},
        b"stsc": {"count": 12, "first": 16, "samples": 20, "description": 24}, b"stsz": {"size": 12, "count": 16,
        "first": 20}, b"stco": {"count": 12, "first": 16}, b"stss": {"count": 12, "first": 16},
        b"ctts": {"count": 12, "shift": 20}, b"elst": {"count": 12, "length": 16, "start": 20, "rate": 24},
        b"dref": {"count": 12, "size of entry": 16}, b"stsd": {"count": 12, "size of entry": 16},
    }  # fmt: skip
    fields, seen = [], set()
    for kind, at, _ in boxes(data):
        name = kind.decode("latin1")
        if name in seen and kind in _INSIDE:
            continue  # the second track's are like the first's
        seen.add(name)
        fields.append(Field(f"size of {name} at {at}", at, 4))
        fields += [Field(f"{name}'s {what} at {at}", at + shift, 4) for what, shift in inner.get(kind, {}).items()]
    return fields


def _mp4() -> Named:
    data = clip("mp4", "libx264", "aac")
    yield from with_wrong_fields(data, _mp4_fields(data), _LESS)
    ends = [place for _, at, size in boxes(data) for place in (at, at + 8, at + size)]
    yield from cut_short(data, ends[:: max(1, len(ends) // 24)])
    for kind, at, size in boxes(data):
        name = f"{kind.decode('latin1')} at {at}"
        yield f"without {name}", data[:at] + data[at + size :]
        yield f"{name} hidden", data[: at + 4] + b"free" + data[at + 8 :]
    top = [(kind, data[at : at + size]) for kind, at, size in boxes(data) if data[at : at + 4]][:1]
    movie = next(data[at : at + size] for kind, at, size in boxes(data) if kind == b"moov")
    yield "two movies", data + movie
    yield "a movie alone", top[0][1] + movie
    deep = b""
    for _ in range(4000):
        deep = struct.pack(">I", len(deep) + 8) + b"moov" + deep
    yield "four thousand boxes in each other", top[0][1] + deep
    place = data.index(b"avcC")
    for i in range(1, 24, 3):
        yield f"byte {i} of avcC", data[: place + 4 + i] + b"\xff" + data[place + 5 + i :]
    # Pictures that lie in another file: a data reference with a path instead of "in this file".
    reference = data.index(b"url \0\0\0\1")
    for target in (SECRET, "/etc/passwd", "http://127.0.0.1:9/x"):
        raw = target.encode() + b"\0"
        entry = struct.pack(">I", 12 + len(raw)) + b"url \0\0\0\0" + raw
        yield f"pictures in {target}", data[: reference - 4] + entry + data[reference + 8 :]
    yield "a compressed movie of nothing", top[0][1] + struct.pack(">I", 24) + b"moov" + bytes(16)


def _ebml_fields(data: bytes) -> list[Field]:
    """Sizes of the elements of a Matroska file that say how much follows."""
    names = {
        b"\x1a\x45\xdf\xa3": "header", b"\x18\x53\x80\x67": "segment", b"\x15\x49\xa9\x66": "info",
        b"\x16\x54\xae\x6b": "tracks", b"\xae": "track", b"\xe0": "video", b"\x1f\x43\xb6\x75": "cluster",
        b"\xa3": "block", b"\x1c\x53\xbb\x6b": "cues", b"\x63\xa2": "codec data", b"\xb0": "width",
        b"\xba": "height", b"\x2a\xd7\xb1": "time scale", b"\x44\x89": "duration",
    }  # fmt: skip
    fields = []
    for mark, name in names.items():
        at = data.find(mark)
        if at >= 0:
            fields.append(Field(f"size of {name}", at + len(mark), 1))
            fields.append(Field(f"size and start of {name}", at + len(mark), 4))
            fields.append(Field(f"start of {name}", at + len(mark) + 1, 2))
    return fields


def _matroska(kind: str, codec: str, sound: str) -> Named:
    data = clip(kind, codec, sound)
    yield from with_wrong_fields(data, _ebml_fields(data), _LESS)
    yield from cut_short(data, (0, 4, 20, 40, 60, 200, len(data) // 2, len(data) - 1))
    chance = random.Random(kind)
    for i in range(12):
        at = chance.randrange(len(data))
        yield f"noise at {at} ({i})", data[:at] + chance.randbytes(16) + data[at + 16 :]
    cluster = data.find(b"\x1f\x43\xb6\x75")
    yield "the cluster a hundred times", data[:cluster] + data[cluster:] * 100
    yield "no cluster", data[:cluster]
    yield "segments in each other", data[:40] + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 3000


def pointing(target: str) -> Named:
    """Files that name another file or an address instead of holding a video."""
    segment = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"
    yield "m3u8", segment.encode()
    yield "m3u8 with a key", segment.replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF').encode()
    yield "m3u8 of m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n".encode()
    yield "m3u8 with a map", segment.replace("#EXTINF", f'#EXT-X-MAP:URI="{target}"\n#EXTINF').encode()
    yield "m3u8 of concat", segment.replace(target, f"concat:{target}|file:{target}").encode()
    yield "concat list", f"ffconcat version 1.0\nfile '{target}'\n".encode()
    yield (
        "DASH",
        (
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation '
            f'id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>'
        ).encode(),
    )
    yield "SDP", f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na={target}\n".encode()
    yield (
        "RTSP's address in a QuickTime reference",
        (b"\0\0\0\x10moov\0\0\0\x08rmra" + struct.pack(">I", 20 + len(target)) + b"rdrf\0\0\0\0url " + target.encode()),
    )
    yield "ASX", f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode()
    yield "image sequence", f"{target}%03d.png\n".encode()
    yield "subtitle list", f"[Script Info]\nimage={target}\n".encode()
    playlist = segment.encode()
    yield "AVI that holds an m3u8", b"RIFF" + struct.pack("<I", len(playlist) + 4) + b"AVI " + playlist
    yield "MP4's head before an m3u8", b"\0\0\0\x14ftypisom\0\0\0\0isom" + playlist


def _others() -> Named:
    yield "nothing", b""
    yield "text", b"no video at all\n" * 500
    yield "zeros", bytes(20_000)
    yield "AVI", clip("avi", "mpeg4")
    yield from cut_short(clip("avi", "mpeg4"), (12, 60, 200, 3000))
    yield "MPEG-TS", clip("mpegts", "mpeg2video")
    yield from cut_short(clip("mpegts", "mpeg2video"), (188, 376, 1000))
    yield "raw H.264 of noise", b"\0\0\0\1\x67" + random.Random(1).randbytes(3000)
    yield "sound alone in an OGG", b"OggS" + bytes(200)
    yield "FLV of noise", b"FLV\1\5\0\0\0\x09" + random.Random(2).randbytes(3000)
    yield "pictures of 4200 pixels", clip("mp4", "mpeg4", side=4200)
    yield "pictures of 14 pixels", clip("mp4", "mpeg4", side=14)


def cases() -> list[Case]:
    """All of these. One in four is edited, too, which takes longest."""
    good = (clip("mp4", "libx264", "aac"), clip("mov", "libx264"), clip("webm", "libvpx", "libopus"))
    found = [Case("video to edit", f"as it should be, {i}", data, ".mp4", True) for i, data in enumerate(good)]
    found += collect("video", "MP4", ".mp4", _mp4())
    found += collect("video", "WebM", ".webm", _matroska("webm", "libvpx", "libopus"))
    found += collect("video", "MKV", ".mkv", _matroska("matroska", "libx264", ""))
    found += collect("video", "other", "", _others())
    for target in (SECRET, "/etc/passwd", "http://127.0.0.1:9/x"):
        found += collect("video", f"that points to {target}", ".mp4", pointing(target), False)
    return [replace(case, kind="video to edit") if zlib.crc32(case.data) % 4 == 0 else case for case in found]
