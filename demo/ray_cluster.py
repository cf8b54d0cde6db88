"""The connection to a Ray cluster, which is made again by itself when the cluster's head was gone and is back.

A handle of Ray Serve does not notice that: its calls wait for ever, and after a minute without a head Ray ends the
process. So a thread asks now and then whether the cluster still answers. When it does not, three times in a row, what
waits for it is told, the connection is given up, and another one is made as soon as that can be.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gan_core.errors import Busy

logger = logging.getLogger(__name__)

AWAY = "The machines that compute are being restarted. Please try again in a minute."
_EVERY = 5.0  # seconds between two questions
_AGAIN = 1.0  # seconds before it is asked once more, or another connection is tried
_DOUBTS = 3  # questions without an answer after which the cluster is taken for lost: it may only be very busy


class ClusterLost(Exception):
    """The cluster went away while something waited for it."""


@dataclass(eq=False)
class Connection:
    """To one life of a cluster."""

    handle: Any
    """Of the deployment."""
    lost: bool = False


class Cluster:
    """See the module's docstring. It starts unconnected; `connect` makes the first connection.

    join: makes a connection and returns the deployment's handle, or raises. answers: whether the cluster still does.
    leave: gives the connection up.
    """

    def __init__(self, join: Callable[[], Any], answers: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._join, self._answers, self._leave = join, answers, leave
        self._connection: Connection | None = None
        self._changed = threading.Condition()
        self._asked = self._answered = 0  # the number of the last question, and of the last one that was answered
        self._soon = threading.Event()
        self._closed = False

    def connect(self) -> None:
        """Make the first connection, or leave that to the watching thread where nothing answers at the address yet.
        Raises what `join` raises for another reason."""
        try:
            self._connection = Connection(self._join())
        except ConnectionError as error:
            logger.warning("no Ray cluster yet: %s", error)
        threading.Thread(target=self._watch, name="ray-cluster", daemon=True).start()

    def close(self) -> None:
        """Watch no more. The connection stays as it is."""
        self._closed = True
        self._soon.set()

    def connection(self) -> Connection:
        """The one there is. Raises Busy where there is none."""
        with self._changed:
            if self._connection is None:
                raise Busy(AWAY)
            return self._connection

    def wait(self, seconds: float) -> bool:
        """Whether there is a connection, at the latest after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._connection is not None, seconds)

    def doubt(self, connection: Connection) -> bool:
        """Something went wrong with this connection: whether the cluster is lost. Asks it now."""
        with self._changed:
            asked = self._asked
            self._soon.set()
            self._changed.wait_for(lambda: connection.lost or self._answered > asked)
            return connection.lost

    def _watch(self) -> None:
        doubts = 0
        while not self._closed:
            if self._connection is None:
                self._try_to_join()
                continue
            self._soon.wait(_AGAIN if doubts else _EVERY)
            with self._changed:
                self._soon.clear()
                self._asked += 1
            doubts = 0 if self._is_there() else doubts + 1
            if doubts >= _DOUBTS:
                doubts = 0
                self._give_up()
            elif not doubts:
                with self._changed:
                    self._answered = self._asked
                    self._changed.notify_all()

    def _is_there(self) -> bool:
        try:
            return self._answers()
        except Exception as error:  # of any kind: Ray has many for a cluster that is gone
            logger.warning("the Ray cluster does not answer: %s", error)
            return False

    def _give_up(self) -> None:
        logger.error("the Ray cluster is lost; another connection is made when it is back")
        with self._changed:
            assert self._connection is not None
            self._connection.lost, self._connection = True, None
            self._changed.notify_all()
        try:
            self._leave()
        except Exception as error:  # of any kind, of what is gone already
            logger.warning("leaving the lost Ray cluster: %s", error)

    def _try_to_join(self) -> None:
        try:
            connection = Connection(self._join())
        except Exception as error:  # of any kind; it is tried for as long as the app runs
            logger.info("no Ray cluster yet: %s", error)
            self._soon.wait(_AGAIN)
            self._soon.clear()
            return
        with self._changed:
            self._connection = connection
            self._changed.notify_all()
        logger.info("connected to the Ray cluster again")
