"""Small video files made for the tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw


def cartoon_face(size=(320, 240), centre=(160.0, 120.0), eye=36.0):
    """A drawn face whose eyes lie `eye` pixels apart, and its five points."""
    x, y = centre
    image = Image.new("RGB", size, (70, 90, 120))
    draw = ImageDraw.Draw(image)
    for k in range(0, size[0], 16):
        draw.line([(k, 0), (size[0] - k, size[1])], fill=(60 + k % 90, 100, 90))
    draw.ellipse([x - 1.1 * eye, y - 1.2 * eye, x + 1.1 * eye, y + 1.7 * eye], fill=(224, 180, 150))
    for side in (-0.5, 0.5):
        draw.ellipse([x + side * eye - 5, y - 4, x + side * eye + 5, y + 4], fill=(250, 250, 250))
        draw.ellipse([x + side * eye - 2, y - 2, x + side * eye + 2, y + 2], fill=(30, 20, 20))
    draw.line([(x, y), (x - 3, y + 0.6 * eye), (x + 3, y + 0.6 * eye)], fill=(150, 100, 90), width=2)
    draw.ellipse([x - 0.45 * eye, y + 0.9 * eye, x + 0.45 * eye, y + 1.15 * eye], fill=(170, 60, 60))
    points = np.array(
        [
            [x - eye / 2, y],
            [x + eye / 2, y],
            [x, y + 0.6 * eye],
            [x - 0.45 * eye, y + 1.02 * eye],
            [x + 0.45 * eye, y + 1.02 * eye],
        ]
    )
    return image, points


def write_clip(
    path: Path,
    frames: list[Image.Image],
    *,
    times=None,
    rate=25,
    sound=None,
    metadata=None,
    codec="libx264",
    rotation=None,
    container=None,
):
    """frames at `times` (seconds; even by default), with a tone coded as `sound` ("aac", ...). path: or a stream."""
    base = Fraction(1, 1000)
    with av.open(str(path) if isinstance(path, Path) else path, "w", format=container) as output:
        for key, value in (metadata or {}).items():
            output.metadata[key] = value
        video = None
        if frames:
            video = output.add_stream(codec, rate=rate)
            video.width, video.height = frames[0].size
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = base
            if codec == "libx264":
                video.options = {"crf": "12", "preset": "ultrafast"}
        audio = output.add_stream(sound, rate=48000, layout="mono") if sound else None
        seconds = len(frames) / rate or 1.0
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture).reformat(format=video.pix_fmt, threads=1)  # as `upright`
            frame.pts = round((times[i] if times else i / rate) * 1000)
            frame.time_base = base
            output.mux(video.encode(frame))
        if video is not None:
            output.mux(video.encode(None))
        if audio is not None:
            tone = (np.sin(np.arange(int(48000 * seconds)) * 0.05) * 9000).astype(np.int16)
            for start in range(0, len(tone), 1024):
                part = tone[None, start : start + 1024]
                piece = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                piece.sample_rate, piece.pts = 48000, start
                output.mux(audio.encode(piece))
            output.mux(audio.encode(None))
    return path


def read_clip(path: Path):
    """(frames as arrays, times in seconds, container metadata, decoded sound (n,) or None)."""
    with av.open(str(path)) as container:
        metadata = dict(container.metadata)
        frames, times = [], []
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24", threads=1))
            times.append(frame.time)
    sound = None
    with av.open(str(path)) as container:
        if container.streams.audio:
            sound = np.concatenate([f.to_ndarray().mean(0) for f in container.decode(audio=0)])
    return frames, times, metadata, sound
