"""Runs calls in the replicas of a Ray Serve deployment, on this machine or on many: `app.py --executor ray`.

The page stays as it is; only where a call computes is another place. Several pages (front ends) share one deployment:
the first one makes it. A call goes to a replica where its model is warm if one of those is free, else to the one with
the least to do. A call whose replica dies is begun again on another one; one under which the whole cluster goes away,
when that is back (`demo.ray_cluster`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from demo import call_files
from demo.executors import joined
from demo.gpu import Call, Done, Progress, Steps
from demo.ray_cluster import AWAY, Cluster, ClusterLost, Connection
from demo.scale import Scale
from gan_core.errors import Busy, NotInstalled
from gan_core.model_spec import ModelInfo
from gan_core.registry import ModelRegistry

logger = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION = "gan-studio"
_TRIES = 3  # of a call whose replica dies under it
_PATIENCE = 60.0  # seconds that a call waits for a cluster that is being restarted
_ANSWER = 10.0  # seconds that the cluster has for saying that it is there
_RESTARTED = "The machines that compute are being restarted"
_LOST = "The machine that worked on this was lost, and so were those that tried again. Please try again in a minute."


class RayExecutor:
    """See the module's docstring.

    cluster: with a connection, or soon. declared: a registry in which every model is declared and none is ever loaded.
    places: what `devices` says.
    """

    def __init__(self, cluster: Cluster, declared: ModelRegistry, places: tuple[str, ...]) -> None:
        self.cluster, self._declared, self._places = cluster, declared, places
        self._states: dict[str, tuple[ModelInfo, ...]] = {}  # by replica, as of its last answer
        self._under_way: Counter[str] = Counter()  # calls by model
        self._lock = threading.Lock()

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `demo.gpu.Executor`. Raises Busy when replicas died under it several times, or the cluster is away."""
        from ray.exceptions import RayError, TaskCancelledError
        from ray.serve.exceptions import RequestCancelledError

        packed, files = call_files.packed(call)
        for attempt in range(_TRIES):
            replica, connection = "", self.cluster.connection()
            try:
                for message in self._messages(connection, packed, files):
                    replica = message.replica
                    if message.models:
                        self._remember(replica, message.models)
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
            except ClusterLost:
                logger.warning("the cluster was lost in %s", call.task.name)
                self._await_cluster(progress)
            except (TaskCancelledError, RequestCancelledError):
                raise
            except RayError as error:
                if getattr(error, "cause", None) is not None:  # the task's own mistake, not the machine's
                    raise
                self._forget(replica)
                logger.warning("a replica was lost in %s (try %d): %s", call.task.name, attempt + 1, error)
                if self.cluster.doubt(connection):
                    self._await_cluster(progress)
        raise Busy(_LOST)

    def _await_cluster(self, progress: Progress | None) -> None:
        """Before a call is begun again. Raises Busy if the cluster is not back soon."""
        with self._lock:
            self._states.clear()
        if progress:
            progress(0.0, _RESTARTED)
        if not self.cluster.wait(_PATIENCE):
            raise Busy(AWAY)

    def _messages(self, connection: Connection, call: Call[Any], files: dict[str, bytes]) -> Iterator[Any]:
        with self._lock:
            warm = sum(_loaded(state, call.model) for state in self._states.values())
            # Where the model is warm while one of those replicas is free; else anywhere, where it will be warm then.
            place = call.model if self._under_way[call.model] < warm else ""
            self._under_way[call.model] += 1
        response = connection.handle.options(stream=True, multiplexed_model_id=place).run.remote(call, files)
        done = False
        try:
            yield from _received(response, connection)
            done = True
        finally:
            with self._lock:
                self._under_way[call.model] -= 1
            if not (done or connection.lost):
                with contextlib.suppress(Exception):  # whatever state it is in, nobody waits for it any more
                    response.cancel()

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`. A replica's models are known from its last answer."""
        with self._lock:
            states = list(self._states.values())
        return [joined(infos) for infos in zip(self._declared.models(), *states, strict=True)]

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return self._places

    def refresh(self, weights: str) -> bool:
        """See `demo.gpu.Executor`. Replicas, on whatever machine, declare their models when they are started."""
        return False

    def on_each_device(self, work: Callable[[], None]) -> None:
        """See `demo.gpu.Executor`. This process has no device; a replica loads what it is asked for."""
        work()

    def _remember(self, replica: str, models: tuple[ModelInfo, ...]) -> None:
        placed = tuple(
            dataclasses.replace(info, device=f"{info.device} of {replica}" if info.device else None) for info in models
        )
        with self._lock:
            self._states[replica] = placed

    def _forget(self, replica: str) -> None:
        with self._lock:
            self._states.pop(replica, None)


def _received(response: Any, connection: Connection) -> Iterator[Any]:
    """The messages of a response, read in a thread of its own: it waits for ever for a cluster that is lost. Raises
    ClusterLost then."""
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        try:
            for message in response:
                messages.put(message)
            messages.put(None)
        except BaseException as error:  # raised again by who waits
            messages.put(error)

    threading.Thread(target=read, name="ray-messages", daemon=True).start()
    while True:
        try:
            message = messages.get(timeout=1.0)
        except queue.Empty:
            if connection.lost:
                raise ClusterLost from None
            continue
        if message is None:
            return
        if isinstance(message, BaseException):
            raise message
        yield message


def _loaded(state: tuple[ModelInfo, ...], model: str) -> bool:
    return any(info.name == model and info.loaded for info in state)


def connect(address: str | None, scale: Scale, declared: ModelRegistry, **arguments: Any) -> RayExecutor:
    """Join the cluster (None: one made on this machine now), and find the deployment there or make it; again whenever
    the cluster was away.

    arguments: of `demo.replica.Replica`.
    Raises NotInstalled without Ray.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else what waits for a lost cluster makes one of its own
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(10**8))  # else it ends the process after 60 s
    try:
        import ray
    except ImportError as error:
        raise NotInstalled("--executor ray needs the package ray: pip install gan-studio[scale].") from error
    cluster = Cluster(lambda: _join(address, scale, arguments), _answers, ray.shutdown)
    cluster.connect()
    unit = f"{scale.gpus:g} GPU" if scale.gpus else f"{scale.cpus:g} CPU"
    return RayExecutor(cluster, declared, tuple(f"Ray replica {i + 1} ({unit})" for i in range(scale.most)))


def _join(address: str | None, scale: Scale, arguments: dict[str, Any]) -> Any:
    """The deployment's handle."""
    import ray
    from ray import serve

    from demo import replica

    if not ray.is_initialized():
        local: dict[str, Any] = {} if address else {"include_dashboard": False, "num_cpus": _cpus(scale)}
        ray.init(address=address, namespace=APPLICATION, configure_logging=False, log_to_driver=False, **local)
    serve.start(proxy_location="Disabled")
    application = serve.status().applications.get(APPLICATION)
    if application is None or application.status not in ("RUNNING", "DEPLOYING"):
        logger.info("deploying %s", scale)
        serve.run(replica.bind(scale, **arguments), name=APPLICATION, route_prefix=None)
    return serve.get_app_handle(APPLICATION)


def _answers() -> bool:
    """Whether the head listens, and Serve's controller answers."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    socket.create_connection((host, int(port)), _ANSWER).close()
    controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    ray.get(controller.check_alive.remote(), timeout=_ANSWER)
    return True


def _cpus(scale: Scale) -> int:
    """Of a cluster made on this machine: as many as the replicas take, whatever the machine has; Serve's own
    controller takes none."""
    return max(os.cpu_count() or 1, round(scale.most * scale.cpus))
