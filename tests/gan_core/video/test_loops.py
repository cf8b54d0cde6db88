"""Looping videos: frames, size, mark."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gan_core.errors import BadValue
from gan_core.video.loops import there_and_back, write_loop


def test_there_and_back_has_no_frame_twice_in_a_row() -> None:
    assert there_and_back([1, 2, 3, 4]) == [1, 2, 3, 4, 3, 2]
    assert there_and_back([1, 2]) == [1, 2]
    assert there_and_back([1]) == [1]


def test_write_loop(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (65, 48), (level, 60, 60)) for level in (20, 120, 220)]
    path = write_loop(frames, tmp_path / "loop.mp4", rate=12.5, note="edited with care")
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert video.metadata["comment"] == "edited with care" and stream.average_rate == 12.5
        found = [frame.to_ndarray(format="rgb24", threads=1) for frame in video.decode(stream)]
    assert [frame.shape for frame in found] == [(48, 64, 3)] * 3
    reds = [frame[..., 0].mean() for frame in found]
    assert np.allclose(reds, [20, 120, 220], atol=12)
    with pytest.raises(BadValue):
        write_loop([], tmp_path / "none.mp4", rate=10, note="")
