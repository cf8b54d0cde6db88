"""Calls in the replicas of a Ray Serve deployment, made from a process that is part of the cluster.

Used by `demo.ray_bridge` only. A call goes to a replica where its model is warm if one of those is free, else to the
one with the least to do. A call whose replica dies is begun again on another one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import ray
from ray import serve
from ray.exceptions import RayError, TaskCancelledError
from ray.serve.exceptions import RequestCancelledError

from demo import call_files, replica
from demo.gpu import Call, Done, Progress, Steps
from demo.scale import Scale
from gan_core.errors import Busy
from gan_core.model_spec import ModelInfo

logger = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION = "gan-studio"
_TRIES = 3  # of a call whose replica dies under it
_ANSWER = 10.0  # seconds that the cluster has for saying that it is there
_LOST = "The machine that worked on this was lost, and so were those that tried again. Please try again in a minute."


class Replicas:
    """See the module's docstring. handle: of the deployment."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._states: dict[str, tuple[ModelInfo, ...]] = {}  # by replica, as of its last answer
        self._under_way: Counter[str] = Counter()  # calls by model
        self._lock = threading.Lock()

    def stream(self, call: Call[T], progress: Progress | None, responses: list[Any]) -> Steps[T]:
        """See `demo.gpu.Executor`. responses: gets what can be cancelled, from another thread.

        Raises Busy when replicas died under it several times.
        """
        packed, files = call_files.packed(call)
        for attempt in range(_TRIES):
            name = ""
            try:
                for message in self._messages(packed, files, responses):
                    name = message.replica
                    if message.models:
                        self._remember(name, message.models)
                    if message.loading is not None:
                        if progress:
                            progress(*message.loading)
                    elif message.error is not None:
                        raise message.error
                    elif message.step is not None:
                        if isinstance(message.step, Done):
                            yield call_files.collected(call, message.step, message.files)
                            return
                        yield message.step
            except (TaskCancelledError, RequestCancelledError):
                raise
            except RayError as error:
                if getattr(error, "cause", None) is not None:  # the task's own mistake, not the machine's
                    raise
                self._forget(name)
                logger.warning("a replica was lost in %s (try %d): %s", call.task.name, attempt + 1, error)
                if not answers():
                    os._exit(1)  # it was the whole cluster: the page waits for the next bridge
        raise Busy(_LOST)

    def _messages(self, call: Call[Any], files: dict[str, bytes], responses: list[Any]) -> Iterator[Any]:
        with self._lock:
            warm = sum(_loaded(state, call.model) for state in self._states.values())
            # Where the model is warm while one of those replicas is free; else anywhere, where it will be warm then.
            place = call.model if self._under_way[call.model] < warm else ""
            self._under_way[call.model] += 1
        response = self._handle.options(stream=True, multiplexed_model_id=place).run.remote(call, files)
        responses.append(response)
        done = False
        try:
            yield from response
            done = True
        finally:
            with self._lock:
                self._under_way[call.model] -= 1
            if not done:
                with contextlib.suppress(Exception):  # whatever state it is in, nobody waits for it any more
                    response.cancel()

    def models(self) -> list[tuple[ModelInfo, ...]]:
        """The states of the registries of all replicas that are known, each as of its last answer."""
        with self._lock:
            return list(self._states.values())

    def _remember(self, name: str, models: tuple[ModelInfo, ...]) -> None:
        placed = tuple(
            dataclasses.replace(info, device=f"{info.device} of {name}" if info.device else None) for info in models
        )
        with self._lock:
            self._states[name] = placed

    def _forget(self, name: str) -> None:
        with self._lock:
            self._states.pop(name, None)


def _loaded(state: tuple[ModelInfo, ...], model: str) -> bool:
    return any(info.name == model and info.loaded for info in state)


def join(address: str | None, scale: Scale, arguments: dict[str, Any]) -> Replicas:
    """Join the cluster (None: one made on this machine now), and find the deployment there or make it.

    arguments: of `demo.replica.Replica`. Raises ConnectionError where no cluster is.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {} if address else {"include_dashboard": False, "num_cpus": _cpus(scale)}
    ray.init(address=address, namespace=APPLICATION, configure_logging=False, log_to_driver=False, **local)
    serve.start(proxy_location="Disabled")
    application = serve.status().applications.get(APPLICATION)
    if application is None or application.status not in ("RUNNING", "DEPLOYING"):
        logger.info("deploying %s", scale)
        serve.run(replica.bind(scale, **arguments), name=APPLICATION, route_prefix=None)
    return Replicas(serve.get_app_handle(APPLICATION))


def answers() -> bool:
    """Whether the cluster's head listens, and Serve's controller says that it is there. Logs why not."""
    try:
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        socket.create_connection((host, int(port)), _ANSWER).close()
        controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
        ray.get(controller.check_alive.remote(), timeout=_ANSWER)
    except Exception as error:  # of any kind: Ray has many for a cluster that is gone
        logger.warning("the Ray cluster does not answer: %s", error)
        return False
    return True


def _cpus(scale: Scale) -> int:
    """Of a cluster made on this machine: as many as the replicas take, whatever the machine has; Serve's own
    controller takes none."""
    return max(os.cpu_count() or 1, round(scale.most * scale.cpus))
