"""What a host watches: is it alive, is it ready, what does it do.

`/healthz` answers 200 as long as the process serves at all, `/readyz` once the models that are loaded in advance have
run (503 before), `/metrics` in Prometheus's text format where the app was started with --metrics. None of them names a
visitor or a picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute

from demo import gpu, turns
from demo.context import Studio
from gan_core.errors import NotInstalled


def endpoints(studio: Studio, *, metrics: bool) -> list[APIRoute]:
    """For Gradio's `launch(app_kwargs={"routes": ...})`: there from the first answer on, and without a password.

    Raises NotInstalled where metrics are wanted and prometheus_client is missing.
    """

    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    def readyz(response: Response) -> dict[str, str]:
        if studio.ready.is_set():
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "loading models"}

    routes = [
        APIRoute("/healthz", healthz, include_in_schema=False),
        APIRoute("/readyz", readyz, include_in_schema=False),
    ]
    if not metrics:
        return routes
    prometheus, registry = _prometheus(), _registry(studio)

    def metrics_page() -> Response:
        return Response(prometheus.generate_latest(registry), media_type=prometheus.CONTENT_TYPE_LATEST)

    return [*routes, APIRoute("/metrics", metrics_page, include_in_schema=False)]


def _prometheus() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise NotInstalled("--metrics needs the package prometheus_client: pip install gan-studio[host].") from error
    return prometheus_client


def _registry(studio: Studio) -> Any:
    prometheus = _prometheus()
    registry = prometheus.CollectorRegistry()
    prometheus.PlatformCollector(registry)
    prometheus.ProcessCollector(registry=registry)
    registry.register(_Collector(studio))
    return registry


class _Collector:
    """Reads the line, the models and the visitors when it is asked."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def collect(self) -> Iterable[Any]:
        """What prometheus_client asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        line, state = turns.line, turns.line.state()
        for name, words, value in (
            ("studio_devices", "Requests that can compute at the same time", state.seats),
            ("studio_requests_computing", "Requests that compute now", state.computing),
            ("studio_requests_waiting", "Requests that wait for their turn", state.waiting),
            ("studio_wait_seconds", "Until one who came now could begin, about", state.seconds),
            ("studio_visitors", "Sessions", len(self._studio.sessions)),
            ("studio_kept_bytes", "Of results kept for visitors", self._studio.sessions.kept_bytes()),
        ):
            yield GaugeMetricFamily(name, words, value=value)
        ended = CounterMetricFamily("studio_requests", "Requests that ended", labels=("kind", "outcome"))
        for (kind, outcome), count in list(line.counts.ended.items()):
            ended.add_metric((kind, outcome.value), count)
        yield ended
        for name, words, seconds in (
            ("studio_waited_seconds", "Seconds that requests waited", line.counts.waited),
            ("studio_computed_seconds", "Seconds that requests computed", line.counts.computed),
        ):
            family = CounterMetricFamily(name, words, labels=("kind",))
            for kind, total in list(seconds.items()):
                family.add_metric((kind,), total)
            yield family
        models = GaugeMetricFamily("studio_model_bytes", "That a loaded model holds", labels=("model", "device"))
        for info in gpu.executor().models():
            if info.loaded:
                models.add_metric((info.name, info.device or ""), info.memory_bytes)
        yield models
