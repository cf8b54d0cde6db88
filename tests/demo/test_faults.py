"""What a visitor reads when something fails, and that the next request is answered: docs/hosting.md lists these."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from demo import executors, turns
from demo.parts.errors import FULL
from demo.session import Sessions
from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, WeightsMissing
from gan_core.faces.video import edit_video
from tests.demo import fakes
from tests.demo.conftest import files_below, started
from tests.demo.hostile_client import API, HostileClient, file_data
from tests.demo.test_hostile_requests import png
from tests.hostile.readers import Middle
from tests.hostile.videos import clip


@pytest.fixture
def photo():
    return png(fakes.draw_photo())


@pytest.fixture
def visitor(fake_server):
    return HostileClient(fake_server.url)


# ------------------------------------------------------------ model files


def write_model(path, size: int = 200_000) -> None:
    store.save(path, {"scale": torch.full((size,), 0.1)}, config={"size": size}, half=False)


@contextmanager
def served_from(path, monkeypatch, tmp_path):
    """A server whose model is read from `path` when it is first needed."""
    monkeypatch.setenv("STUDIO_TEST_MODEL", str(path))
    folder = tmp_path / "server"
    folder.mkdir()
    with started(["-m", "tests.demo.faults_app", "--no-preload"], folder) as server:
        yield HostileClient(server.url)


def test_a_model_file_that_is_gone_damaged_or_swapped(monkeypatch, tmp_path, photo) -> None:
    path, good, kept = tmp_path / "model.safetensors", tmp_path / "good", tmp_path / "kept"
    write_model(good)
    with served_from(path, monkeypatch, tmp_path) as visitor:
        upload = file_data(visitor.upload(photo))
        done, answer = visitor.edit(upload)
        assert not done and "The weights file model.safetensors is not on this machine." in answer
        path.write_bytes(good.read_bytes()[:-1000])
        done, answer = visitor.edit(upload)
        assert not done and "The weights file model.safetensors is damaged" in answer
        store.save(path, {"other": torch.ones(3)}, config={"size": 3})
        done, answer = visitor.edit(upload)
        assert not done and "does not fit" in answer
        store.save(path, {"scale": torch.ones(3)}, config={"size": "three"})
        done, answer = visitor.edit(upload)
        assert not done and "is damaged: its tensors are not what their names promise" in answer
        shutil.copyfile(good, path)
        assert visitor.edit(upload)[0], "once it is repaired, the next request is answered"

        # From here on the model is loaded: what happens to its file is of no matter.
        os.truncate(path, 100)
        assert visitor.edit(upload)[0], "a mapped file that is cut short would have ended the process"
        path.write_bytes(os.urandom(good.stat().st_size))
        assert visitor.edit(upload)[0]
        path.rename(kept)
        assert visitor.edit(upload)[0]

        path.with_suffix(".hungry").touch()
        done, answer = visitor.edit(upload)
        assert not done and "There is not enough memory to run the fake editor" in answer
        assert visitor.http.get("/healthz").json() == {"status": "ok"}
        path.with_suffix(".hungry").unlink()
        shutil.copyfile(good, path)  # it was put away meanwhile
        assert visitor.edit(upload)[0]


def test_reading_a_model_keeps_nothing_of_its_file(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    write_model(path)
    tensors, _ = store.read(path)
    os.truncate(path, 0)
    assert float(tensors["scale"].sum()) == pytest.approx(20_000, rel=1e-3)
    with pytest.raises(BadCheckpoint, match="damaged"):
        store.read(path)
    path.unlink()
    with pytest.raises(WeightsMissing, match="not on this machine"):
        store.read(path)


# ------------------------------------------------------------ a full disk


@contextmanager
def full_disk(server, size: int):
    """Files that the server writes cannot grow beyond `size` bytes: it gets an error as on a full disk."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_saving_and_uploading(fake_server, visitor, photo) -> None:
    room = fake_server.log.stat().st_size + 1500  # its log goes on
    speckled = np.array(fakes.draw_photo((1600, 1200)))
    speckled[:200] = np.random.randint(0, 99, (200, 1600, 3))
    large = png(Image.fromarray(speckled))
    upload, before = visitor.upload(large), set(files_below(fake_server.temporary))
    assert len(large) > 2 * room, "so that a result like it does not fit either"
    large += bytes(1000)
    with full_disk(fake_server, room):
        done, answer = visitor.edit(file_data(upload))
        assert not done and FULL in answer
        answer = visitor.http.post(f"{API}/upload", files={"files": ("large.png", large)})
        assert answer.status_code == 507 and answer.text == FULL
        assert visitor.http.get("/healthz").status_code == 200
    assert visitor.edit(file_data(upload))[0], "once there is room, the next request is answered"
    assert visitor.edit(file_data(visitor.upload(photo)))[0]
    new = set(files_below(fake_server.temporary)) - before
    assert not [path for path in new if path.suffix == ".part"], "nothing half-written has a name that is served"


@contextmanager
def small_files(size: int):
    """Files that this process writes cannot grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_a_video_is_written(tmp_path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out" / "video.mp4"
    source.write_bytes(clip("mp4", "libx264", "aac"))
    target.parent.mkdir()
    with small_files(1000), pytest.raises(OSError) as caught:
        edit_video(source, target, lambda crop, number: crop, size=32, finder=Middle())
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert list(target.parent.iterdir()) == []
    assert edit_video(source, target, lambda crop, number: crop, size=32, finder=Middle()).frames == 3


def test_a_full_disk_while_a_checkpoint_is_converted(tmp_path) -> None:
    from gan_core.checkpoints import converted, library
    from gan_core.checkpoints.places import Place
    from tests.hostile.checkpoints import network

    built, target = library.build_for_use(network("nvidia")), tmp_path / "out" / "model.safetensors"
    with small_files(1000), pytest.raises(WeightsMissing, match="cannot be written: File too large"):
        converted.write(built, target)
    assert list(target.parent.iterdir()) == []
    converted.write(built, target)
    assert [path.name for path in target.parent.iterdir()] == ["model.safetensors"]

    part = tmp_path / "hfgi.pth"
    torch.save({"aligner": {"x": torch.ones(2000)}, "encoder": {}}, part)
    with small_files(1000), pytest.raises(WeightsMissing, match="cannot be written: File too large"):
        library.install(part, Place("hfgi_ffhq"), tmp_path / "weights")
    assert [path for path in (tmp_path / "weights").rglob("*") if path.is_file()] == []


# ------------------------------------------------------------ clients that are gone


def test_clients_that_are_gone_in_the_middle(fake_server, visitor, photo) -> None:
    upload = file_data(visitor.upload(photo))
    call = f"{API}/call/hfgi_edit"
    for i in range(12):  # more than one visitor may have waiting, if those who left stayed in the line
        gone = HostileClient(fake_server.url)
        body = {"data": [upload, "smile", 1 + i / 10, True, "portraits", False], "session_hash": gone.session}
        event = gone.http.post(call, json=body).json()["event_id"]
        with gone.http.stream("GET", f"{call}/{event}"):
            pass  # the answer is not waited for
        gone.http.close()
    assert visitor.edit(upload)[0]


def test_uploads_that_break_off_leave_nothing_for_long(tmp_path) -> None:
    sessions = Sessions(tmp_path / "uploads")
    (sessions.root / "tmp1234").write_bytes(b"half a picture")
    sessions.delete_orphans()
    assert (sessions.root / "tmp1234").exists()
    sessions.delete_orphans(older_than=-1)
    assert list(sessions.root.iterdir()) == []


# ------------------------------------------------------------ clocks


@pytest.mark.parametrize("jump", [-(10**8), -3600.0, 3600.0, 10**8])
def test_a_jump_of_the_clock_deletes_nothing_and_holds_up_nobody(tmp_path, monkeypatch, jump) -> None:
    sessions = Sessions(tmp_path / "uploads")
    session = sessions.get("a")
    upload, stray = sessions.root / "x" / "photo.png", sessions.root / "y" / "photo.png"
    for path in (upload, stray):
        path.parent.mkdir()
        path.write_bytes(b"x")
    session.own_upload(upload)
    made = session.new_file("edited", ".png")
    made.write_bytes(b"x")
    line = turns.Line()
    with line.join("a", "kind", None) as request, request.turn(lambda text: None):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + jump)
        sessions.sweep()
        sessions.delete_orphans()
    with line.join("b", "kind", None) as request, request.turn(lambda text: None):
        pass
    assert sessions.get("a") is session and upload.exists() and stray.exists() and made.exists()


def test_another_visitors_file_is_refused(tmp_path) -> None:
    sessions = Sessions(tmp_path / "uploads")
    mine, theirs = (sessions.get(name).new_file("edited", ".png") for name in "ab")
    sessions.get("a").own_upload(mine)
    with pytest.raises(BadValue, match="not there any more"):
        sessions.get("a").own_upload(theirs)
    sessions.delete("b")
    with pytest.raises(BadValue, match="not there any more"):
        sessions.get("a").own_upload(theirs)


def test_the_executor_is_free_after_a_task_failed(monkeypatch) -> None:
    registry = fakes.make_registry()
    executor = executors.LocalExecutor(registry)
    from demo.hfgi import tasks

    monkeypatch.setattr(fakes.FakePipeline, "invert", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    call = tasks.invert(fakes.MODEL, fakes.draw_photo().resize((256, 256)))
    for _ in range(3):
        with pytest.raises(OSError, match="full"):
            list(executor.stream(call, None))
    assert executor._computing == [0] and not executor.models()[0].busy
