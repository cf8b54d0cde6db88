"""One replica of the Ray Serve deployment: a worker with a registry of its own, on any machine of the cluster.

Only `demo.ray_calls` talks to it. Everything that crosses is pickled: a `Call` and the files it reads there, and
`Message`s back.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import serve

from demo import call_files, executors, turns
from demo.collector import batch_size
from demo.gpu import Call, Done, Step
from demo.memory import share_heaps
from demo.scale import Scale
from gan_core.errors import StudioError
from gan_core.model_spec import ModelInfo
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry

logger = logging.getLogger(__name__)

DEPLOYMENT = "Replica"
ONGOING = 8
"""Calls that one replica accepts at once, or two batches of them; one, or one batch, computes at a time."""
_MODELS = 64  # that Serve counts as warm here; the registry's memory budget decides what really is
_UNBOUNDED = turns.Limits(requests=1 << 30, each=1 << 30, patience=math.inf)  # the page's own line has the limits


@dataclass(frozen=True)
class Message:
    """What a replica sends while it works on a call."""

    replica: str
    step: Step | Done[Any] | None = None
    loading: tuple[float, str] | None = None
    """What happens within a step: fraction in [0, 1] and words."""
    error: StudioError | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    """With the result: contents of the files that the task wrote, by parameter."""
    models: tuple[ModelInfo, ...] = ()
    """With the result: the state of this replica's registry."""


class Replica:
    """Runs calls over one registry, short work before long, as `demo.turns` has it.

    weights: folder of published checkpoints on this machine. device: as in the settings. memory: bytes of models, None
    for the registry's default. threads: of PyTorch on a CPU. together: see `demo.collector.batch_size`.
    """

    def __init__(
        self,
        weights: str,
        device: str = "auto",
        memory: int | None = None,
        threads: int = 1,
        together: int | None = None,
    ) -> None:
        share_heaps()
        self.name = secrets.token_hex(4)
        self._registry = ModelRegistry(lambda: _devices(device, threads)[:1], budgets=memory)
        declare_models(self._registry, Path(weights))
        self._line = turns.Line(limits=_UNBOUNDED)
        self._executor = executors.LocalExecutor(self._registry, self._begin, together=together)
        self._together = together
        self._broken = ""

    async def run(self, call: Call[Any], files: Mapping[str, bytes]) -> AsyncIterator[Message]:
        """The call's messages; the last one has its result or a StudioError. Cancelling it stops the call at its next
        step.

        files: contents of those that the task reads, by parameter; they exist here only while it runs.
        """
        await self._warm(call.model)
        loop, messages, stop = asyncio.get_running_loop(), asyncio.Queue[Message | BaseException](), threading.Event()

        def send(message: Message | BaseException) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, message)

        def work() -> None:
            try:
                self._work(call, files, send, stop)
            except StudioError as error:
                send(Message(self.name, error=error, models=self.models()))
            except BaseException as error:  # raised again by the waiting coroutine
                if "CUDA error" in str(error):
                    self._broken = str(error)
                send(error)

        threading.Thread(target=work, name=call.task.name, daemon=True).start()
        try:
            while True:
                message = await messages.get()
                if isinstance(message, BaseException):
                    raise message
                yield message
                if message.error is not None or isinstance(message.step, Done):
                    return
        finally:
            stop.set()

    def models(self) -> tuple[ModelInfo, ...]:
        """The state of every declared model here."""
        return tuple(self._registry.models())

    def check_health(self) -> None:
        """Serve asks now and then. After an error of the GPU itself nothing works any more in this process, so it says
        so and is replaced."""
        if self._broken:
            raise RuntimeError(self._broken)

    @serve.multiplexed(max_num_models_per_replica=_MODELS)
    async def _warm(self, model: str) -> str:
        """Tells Serve that this model is at home here now, so that its next call comes here, too."""
        return model

    def _begin(self) -> tuple[()]:
        """When the first call comes: there are no other devices than the registry's one."""
        self._line.company = batch_size(self._registry.devices, self._together)
        return ()

    def _work(self, call: Call[Any], files: Mapping[str, bytes], send: Any, stop: threading.Event) -> None:
        def loading(fraction: float, text: str) -> None:
            send(Message(self.name, loading=(fraction, text)))

        with tempfile.TemporaryDirectory(prefix="gan-studio-call-") as folder:
            here, written = call_files.unpacked(call, files, Path(folder))
            with (
                self._line.join(None, call.task.name, stopped=stop.is_set) as request,
                closing(self._executor.stream(here, loading)) as steps,
            ):
                if call.task.together:
                    request.share()
                while not stop.is_set():
                    with request.turn(), turns.current(request):
                        if stop.is_set():
                            return
                        step = next(steps)
                    if isinstance(step, Done):
                        contents = {name: path.read_bytes() for name, path in written.items()}
                        send(Message(self.name, step, files=contents, models=self.models()))
                        return
                    send(Message(self.name, step))


def _devices(wanted: str, threads: int) -> tuple[str, ...]:
    found = executors.devices(wanted)
    import torch

    torch.set_num_threads(threads)
    return found


def application(arguments: Mapping[str, Any]) -> serve.Application:
    """For Serve's configuration files (`import_path: demo.replica:application`).

    arguments: weights, device, memory, threads and together as `Replica` has them, and replicas, cpus, gpus as
    `demo.scale.Scale`.
    """
    from weights.published import default_folder

    given = dict(arguments)
    scale = Scale.parse(str(given.pop("replicas", "1")), float(given.pop("cpus", 1)), float(given.pop("gpus", 0)))
    return bind(scale, **{"weights": str(default_folder()), **given})


def bind(scale: Scale, **arguments: Any) -> serve.Application:
    """The deployment with these arguments of `Replica`."""
    options: dict[str, Any] = {
        "name": DEPLOYMENT,
        "max_ongoing_requests": max(ONGOING, 2 * scale.together(arguments.get("together"))),
        "ray_actor_options": {"num_cpus": scale.cpus, "num_gpus": scale.gpus},
        "health_check_period_s": 5,
        "graceful_shutdown_timeout_s": 30,
    }
    if scale.least == scale.most:
        options["num_replicas"] = scale.most
    else:
        options["autoscaling_config"] = {
            "min_replicas": scale.least, "max_replicas": scale.most, "target_ongoing_requests": 1.5,
        }  # fmt: skip
    arguments.setdefault("threads", max(1, round(scale.cpus)))
    deployment: Any = serve.deployment(Replica)
    return deployment.options(**options).bind(**arguments)
