"""Files of a call travel with it to another machine and back."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from demo import call_files, gpu
from demo.gpu import Done, Steps, Worker


@gpu.task(reads=("source",), writes=("target",))
def shout(worker: Worker, model: str, source: str, target: str, times: int = 1) -> Steps[str]:
    Path(target).write_text(Path(source).read_text().upper() * times)
    yield Done(target)


@gpu.task()
def plain(worker: Worker, number: int) -> Steps[int]:
    yield Done(number + 1)


def elsewhere(call, contents, folder):
    """What a replica does: (result, contents of the files written there)."""
    call, contents = pickle.loads(pickle.dumps((call, contents)))
    folder.mkdir()
    here, written = call_files.unpacked(call, contents, folder)
    done = list(here.steps(None))[-1]
    return pickle.loads(pickle.dumps((done, {name: path.read_bytes() for name, path in written.items()})))


@pytest.mark.parametrize("named", [False, True])
def test_files_go_there_and_come_back(tmp_path, named) -> None:
    source, target = tmp_path / "visitor" / "clip.txt", tmp_path / "visitor" / "result.txt"
    source.parent.mkdir()
    source.write_text("one, two")
    call = shout("m", str(source), str(target), 2) if not named else shout("m", target=target, times=2, source=source)
    packed, contents = call_files.packed(call)
    assert contents == {"source": b"one, two"}
    assert str(tmp_path).encode() not in pickle.dumps(packed)  # where it lies is nobody else's business
    done, written = elsewhere(packed, contents, tmp_path / "there")
    assert not target.exists()
    assert call_files.collected(call, done, written) == Done(str(target))
    assert target.read_text() == "ONE, TWOONE, TWO"
    assert sorted(path.name for path in source.parent.iterdir()) == ["clip.txt", "result.txt"]


def test_a_call_without_files_stays_as_it_is(tmp_path) -> None:
    call = plain(3)
    packed, contents = call_files.packed(call)
    assert packed is call and contents == {}
    done, written = elsewhere(packed, contents, tmp_path / "there")
    assert call_files.collected(call, done, written) == Done(4)
