"""Videos in and out: sound, times, rotation, metadata, refusals, nothing left behind."""

import struct

import numpy as np
import pytest
from PIL import Image

from gan_core.errors import BadValue, BadVideo, Cancelled, NoFaceFound
from gan_core.faces.geometry import face_from_five
from gan_core.faces.tracking import Track, Tracker, bridge, presence, smooth
from gan_core.faces.video import edit_video
from tests.gan_core.faces.clips import cartoon_face, read_clip, write_clip

SKIN = np.array([224, 180, 150])


class CartoonFinder:
    """Finds the drawn face by its colour; `blind` frames have none."""

    def __init__(self, blind=()):
        self.blind, self.calls = blind, 0

    def find(self, image):
        self.calls += 1
        near = np.abs(np.asarray(image, int) - SKIN).sum(-1) < 60
        if near.sum() < 400 or self.calls in self.blind:
            return []
        _, x = np.nonzero(near)
        y, _ = np.nonzero(near)
        _, points = cartoon_face(centre=((x.min() + x.max()) / 2, y.min() + 43))
        return [face_from_five(points, 0.9)]

    def follow(self, image, points):
        found = self.find(image)
        return found[0] if found else None


def redden(crop, _frame):
    pixels = np.asarray(crop, int) + [-60, 0, 0]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def walking(count, step=2, start=110):
    return [cartoon_face(centre=(start + step * i, 120))[0] for i in range(count)]


@pytest.mark.parametrize(("sound", "suffix"), [("aac", "mp4"), ("pcm_s16le", "mov"), ("libopus", "mkv"), (None, "mp4")])
def test_edits_the_face_keeps_times_and_sound(tmp_path, sound, suffix):
    times = [i / 25 + (0.011 if i % 3 == 0 else 0) for i in range(20)]
    source = write_clip(
        tmp_path / f"in.{suffix}",
        walking(20),
        times=times,
        sound=sound,
        metadata={"title": "private", "location": "+52.5+013.4/"},
    )
    shares = []
    result = edit_video(
        source,
        tmp_path / "out.mp4",
        redden,
        finder=CartoonFinder(),
        progress=lambda share, what: shares.append(share),
    )
    before, times_before, _, sound_before = read_clip(source)
    after, times_after, metadata, sound_after = read_clip(tmp_path / "out.mp4")
    assert result.frames == result.edited == len(after) == 20
    assert np.allclose(times_before, times_after, atol=0.002)
    for i in (0, 10, 19):
        change = after[i].astype(int) - before[i]
        x = 110 + 2 * i
        assert change[128:134, x - 20 : x - 8, 0].mean() < -40  # a cheek
        assert np.abs(change[:, 290:]).mean() < 3  # the far side of the picture
    assert (sound_after is None) == (sound is None)
    if sound is not None:
        assert abs(len(sound_after) - len(sound_before)) < 2048
    assert "private" not in str(metadata)
    assert "location" not in metadata
    assert "dited" in metadata["comment"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {p.name for p in tmp_path.iterdir()} == {source.name, "out.mp4"}


def test_frames_without_a_face_pass_unchanged(tmp_path):
    empty = Image.new("RGB", (320, 240), (70, 90, 120))
    source = write_clip(tmp_path / "in.mp4", walking(12) + [empty] * 15)
    result = edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
    before, after = read_clip(source)[0], read_clip(tmp_path / "out.mp4")[0]
    assert result.edited == 12
    assert np.abs(after[25].astype(int) - before[25]).max() < 6


def test_rotation_of_a_phone_is_applied(tmp_path):
    """The same film, stored lying and marked as turned: comes out upright."""
    lying = [picture.rotate(90, expand=True) for picture in walking(6)]
    source = write_clip(tmp_path / "in.mp4", lying)
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 320 << 16, 0, 1 << 30)  # clockwise
    source.write_bytes(data)
    result = edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
    assert result.size == (320, 240)
    frame = read_clip(tmp_path / "out.mp4")[0][0].astype(int)
    assert (frame[130, 95] - SKIN)[0] < -40


def test_odd_sizes_and_no_constant_rate(tmp_path):
    frames = [f.crop((0, 0, 318, 238)) for f in walking(5)]
    source = write_clip(tmp_path / "in.mp4", frames, times=[0, 0.5, 0.6, 1.4, 1.45])
    edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
    assert np.allclose(read_clip(tmp_path / "out.mp4")[1], [0, 0.5, 0.6, 1.4, 1.45], atol=0.002)


def test_no_face_at_all(tmp_path):
    source = write_clip(tmp_path / "in.mp4", [Image.new("RGB", (320, 240), (9, 90, 20))] * 5)
    with pytest.raises(NoFaceFound):
        edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
    assert {p.name for p in tmp_path.iterdir()} == {"in.mp4"}


def test_too_long_by_its_header_and_by_its_frames(tmp_path):
    source = write_clip(tmp_path / "in.mp4", walking(4), times=[0, 1, 2, 3])
    with pytest.raises(BadVideo, match="longer than 1 seconds"):
        edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder(), max_seconds=1)
    with pytest.raises(BadVideo, match="longer"):
        write_clip(tmp_path / "raw.h264", walking(60, step=1), container="h264")
        edit_video(tmp_path / "raw.h264", tmp_path / "out.mp4", redden, finder=CartoonFinder(), max_seconds=1)


def hostile(tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    good = write_clip(tmp_path / "good.mp4", walking(4), sound="aac").read_bytes()
    if kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif kind == "scrambled":
        data = bytearray(good)
        at = data.index(b"mdat") + 4
        data[at : at + 400] = np.random.default_rng(1).bytes(400)
        path.write_bytes(data)
    elif kind == "sound only":
        write_clip(path, [], sound="aac")
    elif kind == "play list":
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{tmp_path}/good.mp4\n#EXT-X-ENDLIST\n")
    elif kind == "concat":
        path.write_text(f"ffconcat version 1.0\nfile {tmp_path}/good.mp4\n")
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "missing":
        pass
    return path


@pytest.mark.parametrize(
    "kind", ["noise", "empty", "truncated", "sound only", "play list", "concat", "text", "missing"]
)
def test_what_is_no_video_is_refused(tmp_path, kind):
    source = hostile(tmp_path, kind)
    with pytest.raises(BadVideo) as caught:
        edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
    assert str(caught.value).endswith((".", "."))
    assert str(tmp_path) not in str(caught.value)
    assert not [p for p in tmp_path.iterdir() if "part" in p.name or p.name == "out.mp4"]


def test_scrambled_pictures_do_not_crash(tmp_path):
    source = hostile(tmp_path, "scrambled")
    with pytest.raises((BadVideo, NoFaceFound)):
        edit_video(source, tmp_path / "out.mp4", lambda c, i: c, finder=CartoonFinder())


def test_stop_in_the_middle_leaves_nothing(tmp_path):
    source = write_clip(tmp_path / "in.mp4", walking(12))
    (tmp_path / "out.mp4").write_bytes(b"the result from before")
    seen = []
    with pytest.raises(Cancelled):
        edit_video(
            source,
            tmp_path / "out.mp4",
            redden,
            finder=CartoonFinder(),
            cancelled=lambda: seen.append(0) or len(seen) > 18,
        )
    assert (tmp_path / "out.mp4").read_bytes() == b"the result from before"
    assert {p.name for p in tmp_path.iterdir()} == {"in.mp4", "out.mp4"}


def test_an_error_in_the_edit_leaves_nothing(tmp_path):
    source = write_clip(tmp_path / "in.mp4", walking(6))

    for kind in (RuntimeError, ValueError, BadValue, OSError):  # none is taken for a fault of the video

        def broken(crop, frame, kind=kind):
            raise kind("out of ideas")

        with pytest.raises(kind, match="out of ideas"):
            edit_video(source, tmp_path / "out.mp4", broken, finder=CartoonFinder())
    assert {p.name for p in tmp_path.iterdir()} == {"in.mp4"}


def test_side_by_side_shows_each_frame_left_of_its_edit(tmp_path):
    source = write_clip(tmp_path / "in.mp4", [frame.crop((0, 0, 318, 238)) for frame in walking(5)], sound="aac")
    edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder(), side_by_side=True)
    before, (after, _, _, sound) = read_clip(source)[0], read_clip(tmp_path / "out.mp4")
    assert after[0].shape == (238, 636, 3) and sound is not None
    left, right = after[3][:, :318].astype(int), after[3][:, 318:].astype(int)
    assert np.abs(left - before[3]).mean() < 3
    assert (right - left)[128:134, 96:108, 0].mean() < -40  # a cheek


def test_crops_are_read_ahead_of_being_edited(tmp_path):
    read, gaps = [], []

    def edit(crop, shot):
        gaps.append(len(read) - len(gaps))
        assert read[len(gaps) - 1] == (shot.track, shot.frame)
        return redden(crop, shot)

    source = write_clip(tmp_path / "in.mp4", walking(20))
    edit_video(
        source,
        tmp_path / "out.mp4",
        edit,
        read=lambda crop, shot: read.append((shot.track, shot.frame)),
        ahead=0.2,
        finder=CartoonFinder(),
    )
    assert read == [(0, i) for i in range(20)]
    assert set(gaps[:14]) <= {6, 7} and gaps[-1] == 1  # five frames are a fifth of a second


def test_several_threads_make_the_same_video(tmp_path, monkeypatch):
    source, results = write_clip(tmp_path / "in.mp4", walking(12)), []
    for cores in (1, 8):
        monkeypatch.setattr("gan_core.faces.video.available_cores", lambda cores=cores: cores)
        edit_video(source, tmp_path / "out.mp4", redden, finder=CartoonFinder())
        results.append(np.stack(read_clip(tmp_path / "out.mp4")[0]))
    assert np.abs(results[0].astype(int) - results[1]).mean() < 0.05  # swscale rounds by where a picture lies
    stop = []
    with pytest.raises(Cancelled):
        edit_video(
            source,
            tmp_path / "other.mp4",
            redden,
            finder=CartoonFinder(),
            cancelled=lambda: stop.append(0) or len(stop) > 18,
        )
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4"}


def test_only_mp4_is_written(tmp_path):
    with pytest.raises(BadValue):
        edit_video(tmp_path / "in.mp4", tmp_path / "out.avi", redden, finder=CartoonFinder())


def test_smoothing_steadies_a_still_face_and_follows_a_moving_one():
    random = np.random.default_rng(0)
    _, points = cartoon_face()
    still, moving = Track(), Track()
    for i in range(40):
        jitter = random.normal(0, 0.6, (5, 2))
        still.add(i, i / 25, points + jitter)
        moving.add(i, i / 25, points + [4.0 * i, 0] + jitter)
    steady = np.stack(list(smooth(still).points.values()))
    assert (steady - points).std() < 0.4 * 0.6
    followed = np.stack([p - [4.0 * i, 0] for i, p in smooth(moving).points.items()])
    assert np.abs((followed - points).mean((1, 2))).max() < 1.0


def test_a_lost_face_is_bridged_for_a_moment():
    _, points = cartoon_face()
    track = Track()
    for i in (0, 1, 4, 5):
        track.add(i, i / 25, points + [3.0 * i, 0])
    times = [i / 25 for i in range(6)]
    full = bridge(track, times)
    assert sorted(full.points) == list(range(6))
    assert np.allclose(full.points[2], points + [6.0, 0])


def test_tracker_keeps_to_one_face_and_takes_up_a_new_one_later():
    finder = CartoonFinder()
    tracker = Tracker(finder, most=1)
    empty = Image.new("RGB", (320, 240))
    pictures = walking(8) + [empty] * 20 + walking(8, start=60)
    for i, picture in enumerate(pictures):
        tracker.feed(picture, i / 25)
    tracks = tracker.steadied([i / 25 for i in range(len(pictures))])
    assert [sorted(t.points)[0] for t in tracks] == [0, 28]
    assert presence(tracks[0], 0, 0.0, 1.4) == 1.0
    assert presence(tracks[0], 7, 0.0, 1.4) <= 0.5
    assert presence(tracks[1], 28, 0.0, 1.4) <= 0.5
