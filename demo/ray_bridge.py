"""The process between the page and a Ray cluster, started by `demo.ray_executor`.

Ray ends a process that is part of a cluster whose head goes away, at once or after a minute, or lets its calls wait for
ever. So the page is no part of it; this process is, and when it ends the page starts another one. It ends by itself
when the cluster does not answer any more, and when the page is gone.

Both talk over a socket, of which this process inherits one end, in pickles: the page sends a `Joining` first and then
`Ask`s and `Stop`s, and gets a `Ready` or `Failed` and then `Told`s.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

from demo.gpu import Call, Done, Progress, Step, Steps
from demo.logs import set_up_logs
from demo.memory import share_heaps
from demo.scale import Scale
from gan_core.errors import StudioError
from gan_core.model_spec import ModelInfo

logger = logging.getLogger(__name__)

_EVERY = 5.0  # seconds between two questions whether the cluster is there
_AGAIN = 1.0  # seconds until it is asked once more when it did not answer
_MISSES = 3  # answers that did not come, one after another: it may only be very busy


@dataclass(frozen=True)
class Joining:
    """What is to be joined: see `demo.ray_calls.join`."""

    address: str | None
    scale: Scale
    arguments: dict[str, Any]
    log_format: str = "text"


@dataclass(frozen=True)
class Ready:
    """The cluster is joined."""


@dataclass(frozen=True)
class Failed:
    """It is not, and this process ends. absent: there is no cluster at that address yet."""

    text: str
    absent: bool


@dataclass(frozen=True)
class Ask:
    """Run a call."""

    number: int
    call: Call[Any]


@dataclass(frozen=True)
class Stop:
    """Nobody wants that call any more."""

    number: int


@dataclass(frozen=True)
class Told:
    """Of a call: one of the three; with the last one, the states of the replicas' registries."""

    number: int
    step: Step | Done[Any] | None = None
    loading: tuple[float, str] | None = None
    error: BaseException | None = None
    models: list[tuple[ModelInfo, ...]] | None = None


class Calls(Protocol):
    """`demo.ray_calls.Replicas`, or a test's."""

    def stream(self, call: Call[Any], progress: Progress | None, responses: list[Any]) -> Steps[Any]:
        """See there."""

    def models(self) -> list[tuple[ModelInfo, ...]]:
        """See there."""


class Channel:
    """One end of the socket. Values are pickled here: `Connection.send` would hand tensors over in shared memory."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, value: Any) -> None:
        """From any thread. Raises OSError when the other end is gone."""
        data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._connection.send_bytes(data)

    def receive(self) -> Any:
        """In one thread. Raises EOFError or OSError when the other end is gone."""
        return pickle.loads(self._connection.recv_bytes())

    def close(self) -> None:
        """Both ends hear of it, also a thread that waits in `receive`."""
        with socket.socket(fileno=os.dup(self._connection.fileno())) as end, contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # an error says that the other end is gone


@dataclass
class _Running:
    """A call that is under way."""

    responses: list[Any] = field(default_factory=list)
    """What can be cancelled of it."""
    stopped: bool = False

    def stop(self) -> None:
        """From another thread."""
        self.stopped = True
        for response in list(self.responses):
            with contextlib.suppress(Exception):  # whatever state it is in, nobody waits for it any more
                response.cancel()


class Bridge:
    """Runs what the page asks for, each call in a thread."""

    def __init__(self, channel: Channel, calls: Calls) -> None:
        self._channel, self._calls = channel, calls
        self._running: dict[int, _Running] = {}

    def serve(self) -> None:
        """Until the page is gone."""
        while True:
            try:
                wanted = self._channel.receive()
            except (EOFError, OSError):
                return
            if isinstance(wanted, Ask):
                running = self._running[wanted.number] = _Running()
                name = wanted.call.task.name
                threading.Thread(target=self._run, args=(wanted, running), name=name, daemon=True).start()
            elif unwanted := self._running.get(wanted.number):
                unwanted.stop()

    def _run(self, wanted: Ask, running: _Running) -> None:
        number = wanted.number

        def loading(fraction: float, text: str) -> None:
            self._tell(Told(number, loading=(fraction, text)))

        try:
            steps = self._calls.stream(wanted.call, loading, running.responses)
            with contextlib.closing(steps):
                for step in steps:
                    if running.stopped:
                        return
                    last = isinstance(step, Done)
                    self._tell(Told(number, step, models=self._calls.models() if last else None))
        except BaseException as error:  # raised again in the page
            if not running.stopped:
                self._tell(Told(number, error=_sendable(error), models=self._calls.models()))
        finally:
            del self._running[number]

    def _tell(self, told: Told) -> None:
        try:
            self._channel.send(told)
        except OSError as error:
            logger.info("the page is gone: %s", error)  # `serve` hears of it, too


def _sendable(error: BaseException) -> BaseException:
    """A person's mistake and what the machine's files say as they are; of any other error what it says, for Ray's hold
    much that cannot be pickled. A replica's own error is within one of Ray's, of a class that only this process has."""
    own = getattr(error, "cause", None) or error
    if isinstance(own, (StudioError, OSError)):
        try:
            pickle.loads(pickle.dumps(own))
            return own
        except Exception:  # of any kind: its class decides
            logger.info("%s is passed on as words", type(own).__name__)
    return RuntimeError(f"{type(error).__name__}: {error}")


def watch(answers: Callable[[], bool]) -> None:
    """End this process when the cluster does not answer several times in a row."""
    misses = 0
    while misses < _MISSES:
        time.sleep(_AGAIN if misses else _EVERY)
        misses = 0 if answers() else misses + 1
    logger.error("the Ray cluster is lost")
    os._exit(1)  # not in good order: what Ray has open waits for ever


def run(channel: Channel, join: Callable[[Joining], Calls], answers: Callable[[], bool]) -> None:
    """The process's life."""
    wanted: Joining = channel.receive()
    set_up_logs(wanted.log_format)
    joined = threading.Event()
    threading.Thread(target=_leave_with_the_page, args=(os.getppid(), joined), daemon=True).start()
    try:
        calls = join(wanted)
        joined.set()
    except Exception as error:  # said in the page
        channel.send(Failed(f"{type(error).__name__}: {error}", isinstance(error, ConnectionError)))
        raise SystemExit(1) from error
    channel.send(Ready())
    threading.Thread(target=watch, args=(answers,), name="watch", daemon=True).start()
    Bridge(channel, calls).serve()


def _leave_with_the_page(page: int, joined: threading.Event) -> None:
    """Until the cluster is joined nobody reads from the channel, and so nobody would hear that the page has ended."""
    while not joined.wait(1.0):
        if os.getppid() != page:
            os._exit(1)


def main() -> None:
    """Command line: the number of the inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the page, which tells it by going
    share_heaps()
    from demo import ray_calls

    channel = Channel(Connection(int(sys.argv[1])))
    run(channel, lambda wanted: ray_calls.join(wanted.address, wanted.scale, wanted.arguments), ray_calls.answers)
    ray_calls.ray.shutdown()
