"""Streams: a camera's frames share the line with everybody else."""

import threading
from types import SimpleNamespace

import pytest

from demo import turns
from demo.parts.streamed import FULL, Streams
from demo.turn_admission import Limits
from gan_core.errors import BadImage


def request(visitor, host="10.0.0.1"):
    return SimpleNamespace(session_hash=visitor, client=SimpleNamespace(host=host))


@pytest.fixture
def line(monkeypatch):
    line = turns.Line(limits=Limits(a_minute=3))
    monkeypatch.setattr(turns, "line", line)
    return line


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def echo(data, _request):
    return data


def sentence(_data, error):
    return str(error)


def test_so_many_streams_at_once_and_a_place_is_free_again(line):
    clock = Clock()
    streams = Streams(clock)
    handler = streams.streamed(echo, sentence)
    for number in range(4):
        assert handler(number, request(f"v{number}", f"10.0.0.{number}")) == number
    assert handler(9, request("late", "10.0.0.9")) == FULL
    assert handler(0, request("v0", "10.0.0.0")) == 0, "those who are in go on"
    streams.forget("v1")
    assert handler(9, request("late", "10.0.0.9")) == 9
    assert handler(9, request("v1", "10.0.0.1")) == FULL
    clock.now += 11  # nobody sends any more
    assert handler(9, request("v1", "10.0.0.1")) == 9


def test_frames_are_not_counted_one_by_one(line):
    """Three requests a minute are allowed here; a stream counts once in ten seconds."""
    clock = Clock()
    handler = Streams(clock).streamed(echo, sentence)
    for frame in range(20):
        assert handler(frame, request("a")) == frame
        clock.now += 0.1
    answers = []
    for _ in range(40):
        clock.now += 1
        answers.append(handler(0, request("a")))
    assert any("requests came from you" in str(answer) for answer in answers)


def test_what_goes_wrong_is_an_answer_and_anything_else_is_not(line):
    streams = Streams()

    def bad(_data, _request):
        raise BadImage("no picture")

    def broken(_data, _request):
        raise RuntimeError("a fault")

    assert streams.streamed(bad, sentence)(1, request("a")) == "no picture"
    with pytest.raises(Exception, match="our side"):
        streams.streamed(broken, sentence)(1, request("b"))


def test_a_stream_holds_up_nobody_for_longer_than_a_frame(line):
    """Two cameras that never rest, and somebody with a photo: they are next after the frame that is being edited."""
    done, over, joined = [], threading.Event(), threading.Event()

    def frame(data, _request):
        over.wait(0.02)
        done.append(data)
        return data

    handler = Streams().streamed(frame, sentence)

    def camera(name):
        while not over.is_set():
            handler(name, request(name, name))

    cameras = [threading.Thread(target=camera, args=(name,)) for name in ("a", "b")]
    for one in cameras:
        one.start()
    try:
        while len(done) < 10:
            over.wait(0.01)
        with line.join("photo", "hfgi_edit", None) as turn:
            before = len(done)
            joined.set()
            with turn.turn():
                assert len(done) - before <= 1
    finally:
        over.set()
        for one in cameras:
            one.join()


def test_a_visitor_who_left_waits_no_more(line):
    handler = Streams().streamed(echo, sentence)
    with line.join("other", "long", None) as turn, turn.turn():
        waiting = threading.Thread(target=lambda: answers.append(handler(1, request("a"))))
        answers = []
        waiting.start()
        while not line.state().waiting:
            assert waiting.is_alive()
        line.forget("a")
        waiting.join(10)
    assert answers == ["The page was closed."]
