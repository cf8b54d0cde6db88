"""Runs calls in the replicas of a Ray Serve deployment, on this machine or on many: `app.py --executor ray`.

The page stays as it is; only where a call computes is another place. Several pages (front ends) share one deployment:
the first one makes it. The page is no part of the cluster: a process of its own is (`demo.ray_bridge`), which is
started again whenever it ends, as it does when the cluster's head is restarted. Calls that were under way begin again.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from demo.executors import joined
from demo.gpu import Call, Done, Progress, Steps
from demo.ray_bridge import Ask, Channel, Failed, Joining, Ready, Stop, Told
from demo.scale import Scale
from gan_core.errors import Busy, NotInstalled
from gan_core.model_spec import ModelInfo
from gan_core.registry import ModelRegistry

logger = logging.getLogger(__name__)
T = TypeVar("T")

BRIDGE = ("-c", "from demo.ray_bridge import main; main()")
"""Not -m: what it sends would be of a module named __main__ then."""
AWAY = "The machines that compute are being restarted. Please try again in a minute."
_RESTARTED = "The machines that compute are being restarted"
_TRIES = 3  # of a call under which the cluster goes away
_PATIENCE = 60.0  # seconds that such a call waits for it
_LEAVE = 30.0  # seconds that the process between has for leaving the cluster
_PAUSE = 1.0  # seconds until another process is started after one that ended
_ROOT = Path(__file__).resolve().parents[1]


class BridgeLost(Exception):
    """The process between the page and the cluster ended."""


class Link:
    """One such process, and the calls that it has. Made once it has joined the cluster."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self._process, self._channel = process, channel
        self._numbers = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[Told | None]] = {}
        self._lock = threading.Lock()
        self.ended = False
        """Whether nothing comes any more."""

    @classmethod
    def start(cls, command: Sequence[str], joining: Joining) -> Link:
        """Start the process and wait until it has joined. Raises ConnectionError where no cluster is, and RuntimeError
        with what else is wrong."""
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with theirs:
            process = subprocess.Popen(
                [sys.executable, *command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        channel, answer = Channel(Connection(ours.detach())), None
        try:
            channel.send(joining)
            answer = channel.receive()
        except (EOFError, OSError) as error:
            answer = Failed(f"the process that joins it ended: {error}", absent=False)
        finally:
            if not isinstance(answer, Ready):
                channel.close()
                _end(process)
        if isinstance(answer, Ready):
            return cls(process, channel)
        raise (ConnectionError if answer.absent else RuntimeError)(answer.text)

    def listen(self) -> None:
        """Pass on what comes, until the process has ended."""
        while True:
            try:
                told: Told = self._channel.receive()
            except (EOFError, OSError):
                break
            if waiting := self._answers.get(told.number):
                waiting.put(told)
        with self._lock:
            self.ended = True
            for waiting in list(self._answers.values()):
                waiting.put(None)
        _end(self._process)

    def close(self) -> None:
        """The process hears of it and ends, and `listen` does."""
        self._channel.close()
        _end(self._process)

    def stream(self, call: Call[Any]) -> Iterator[Told]:
        """What is told of a call. Closing the iterator stops the call. Raises BridgeLost."""
        number, answers = next(self._numbers), queue.SimpleQueue[Told | None]()
        with self._lock:
            if self.ended:
                raise BridgeLost
            self._answers[number] = answers
        ended = False
        try:
            self._send(Ask(number, call))
            while (told := answers.get()) is not None:
                ended = told.error is not None or isinstance(told.step, Done)
                yield told
                if ended:
                    return
            ended = True
            raise BridgeLost
        finally:
            del self._answers[number]
            if not ended:
                self._send(Stop(number))

    def _send(self, value: Any) -> None:
        try:
            self._channel.send(value)
        except OSError as error:
            logger.info("the bridge to Ray is gone: %s", error)  # `listen` hears of it, too


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for it, but not for ever: what Ray has open may."""
    try:
        process.wait(_LEAVE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class RayExecutor:
    """See the module's docstring.

    start: makes a link, as `Link.start`. declared: a registry in which every model is declared and none is ever loaded.
    places: what `devices` says.
    """

    def __init__(self, start: Callable[[], Link], declared: ModelRegistry, places: tuple[str, ...]) -> None:
        self._start, self._declared, self._places = start, declared, places
        self._link: Link | None = None
        self._states: list[tuple[ModelInfo, ...]] = []  # of the replicas' registries
        self._changed = threading.Condition()
        self._closed = threading.Event()

    def connect(self) -> None:
        """Join the cluster, now or, where there is none yet, as soon as it is there. Raises RuntimeError."""
        try:
            self._link = self._start()
        except ConnectionError as error:
            logger.warning("no Ray cluster yet: %s", error)
        threading.Thread(target=self._keep, name="ray", daemon=True).start()

    def close(self) -> None:
        """Leave the cluster for good."""
        with self._changed:
            self._closed.set()
            link = self._link
        if link:
            link.close()

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `demo.gpu.Executor`. Raises Busy while the cluster is away."""
        for _ in range(_TRIES):
            with self._changed:
                link = self._link
            if link is None or link.ended:  # its process may take a while to end
                raise Busy(AWAY)
            try:
                for told in link.stream(call):
                    if told.models is not None:
                        self._states = told.models
                    if told.loading is not None:
                        if progress:
                            progress(*told.loading)
                    elif told.error is not None:
                        raise told.error
                    elif told.step is not None:
                        yield told.step
                return
            except BridgeLost:
                logger.warning("the cluster was lost in %s", call.task.name)
            if progress:
                progress(0.0, _RESTARTED)
            with self._changed:
                back = self._changed.wait_for(lambda gone=link: self._link not in (None, gone), _PATIENCE)  # type: ignore[misc]
            if not back:
                break
        raise Busy(AWAY)

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`. A replica's models are known from its last answer."""
        return [joined(infos) for infos in zip(self._declared.models(), *self._states, strict=True)]

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return self._places

    def refresh(self, weights: str) -> bool:
        """See `demo.gpu.Executor`. Replicas, on whatever machine, declare their models when they are started."""
        return False

    def on_each_device(self, work: Callable[[], None]) -> None:
        """See `demo.gpu.Executor`. This process has no device; a replica loads what it is asked for."""
        work()

    def _keep(self) -> None:
        while not self._closed.is_set():
            if self._link is not None:
                self._link.listen()
                with self._changed:
                    self._link, self._states = None, []
                if not self._closed.is_set():
                    logger.error("the Ray cluster is lost; it is joined again when it is back")
            if self._closed.wait(_PAUSE):
                return
            try:
                link = self._start()
            except (OSError, RuntimeError) as error:  # ConnectionError is one; or this machine has no more processes
                logger.info("no Ray cluster yet: %s", error)
                continue
            with self._changed:
                wanted = not self._closed.is_set()
                self._link = link if wanted else None
                self._changed.notify_all()
            if not wanted:
                link.close()
                return
            logger.info("the Ray cluster is joined")


def connect(
    address: str | None, scale: Scale, declared: ModelRegistry, *, log_format: str = "text", **arguments: Any
) -> RayExecutor:
    """Join the cluster (None: one made on this machine now), and find the deployment there or make it; again whenever
    the cluster was away.

    arguments: of `demo.replica.Replica`. Raises NotInstalled without Ray, RuntimeError where the deployment fails.
    """
    if importlib.util.find_spec("ray") is None:
        raise NotInstalled("--executor ray needs the package ray: pip install gan-studio[scale].")
    joining = Joining(address, scale, arguments, log_format)
    unit = f"{scale.gpus:g} GPU" if scale.gpus else f"{scale.cpus:g} CPU"
    places = tuple(f"Ray replica {i + 1} ({unit})" for i in range(scale.most))
    executor = RayExecutor(lambda: Link.start(BRIDGE, joining), declared, places)
    executor.connect()
    return executor
