"""Every setting of the app, from flags and environment variables, read here and nowhere else."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.scale import Scale
from demo.turn_admission import Limits
from weights.published import default_folder

SHARED_A_MINUTE = 120
"""Requests from one address through a public link: a slider moved twice a second."""
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True)
class Settings:
    """How the app was started. `python app.py --help` says what each means."""

    host: str
    port: int
    share: bool
    root_path: str | None
    """The path under which a proxy shows the app."""
    proxies: str
    """Addresses of the proxies whose X-Forwarded-For says where a request comes from."""
    auth: tuple[str, str] | None
    device: str
    memory: int | None
    """Bytes of models per device; None: the registry's default."""
    together: int | None
    """Pictures of several visitors that a device draws in one batch; None: see `demo.collector.batch_size`."""
    offline: bool
    weights: Path
    """Where published checkpoints are kept."""
    max_upload: int
    """Bytes of one uploaded file."""
    limits: Limits
    """Of requests: how many at once, and how long anybody waits."""
    certificate: tuple[Path, Path] | None
    """Files of the host's certificate chain and its private key, which results are signed with."""
    mcp: bool
    """Whether assistants may call the endpoints (Model Context Protocol, at /gradio_api/mcp)."""
    metrics: bool
    """Whether /metrics is served."""
    log_format: str
    """"text" or "json"."""
    preload: bool
    executor: str
    """"local" or "ray"."""
    ray_address: str | None
    """Of a Ray cluster; None: one made on this machine."""
    scale: Scale
    """Of Ray's replicas."""
    zero_gpu: bool
    """Whether the app runs on a ZeroGPU Space, which assigns a GPU for one call at a time."""
    temporary: Path
    """Folder of all uploads and results; it is removed at the end."""

    def __repr__(self) -> str:
        shown = {**vars(self), "auth": "set" if self.auth else None}
        return "Settings(" + ", ".join(f"{name}={value}" for name, value in shown.items()) + ")"


def read(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Flags over environment over defaults. Ends the program with a usage line on a bad flag."""
    parser = _parser(environment)
    options = parser.parse_args(arguments)
    if options.share and not (options.auth or options.public):
        parser.error(
            "--share lets in everybody who has the link: add --auth USER:PASSWORD, or --public if that is meant"
        )
    zero_gpu = _is_true(environment.get("SPACES_ZERO_GPU"))
    return Settings(
        host=options.host,
        port=options.port,
        share=options.share,
        root_path=options.root_path,
        proxies=options.proxies,
        auth=options.auth,
        device="cuda" if zero_gpu and options.device == "auto" else options.device,
        memory=options.memory,
        together=options.together,
        offline=options.offline,
        weights=options.weights,
        max_upload=options.max_upload,
        limits=Limits(
            options.requests,
            options.requests_each,
            options.patience,
            options.requests_a_minute or (SHARED_A_MINUTE if options.share else None),
        ),
        certificate=options.certificate,
        # Behind a password Gradio's own client, through which the calls go, would be refused.
        mcp=options.mcp and not options.auth and importlib.util.find_spec("mcp") is not None,
        metrics=options.metrics,
        log_format=options.log_format,
        preload=options.preload,
        executor=options.executor,
        ray_address=options.ray_address,
        scale=_scale(parser, options),
        zero_gpu=zero_gpu,
        temporary=Path(tempfile.gettempdir()) / f"gan-studio-{secrets.token_hex(6)}",
    )


def export(settings: Settings, environment: dict[str, str] | os._Environ[str] = os.environ) -> None:
    """Set the environment variables of Gradio, uvicorn and huggingface_hub, which read them when they are imported."""
    environment["GRADIO_ANALYTICS_ENABLED"] = "False"
    environment["GRADIO_TEMP_DIR"] = str(settings.temporary)
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    environment["FORWARDED_ALLOW_IPS"] = settings.proxies  # uvicorn's
    if settings.offline:
        environment["HF_HUB_OFFLINE"] = "1"


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    def default(name: str, otherwise: object) -> object:
        return environment.get(f"STUDIO_{name}") or otherwise

    on_space = "SPACE_ID" in environment
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="GAN Studio: edit images with GANs in the browser.",
        epilog="Each flag can also be set as an environment variable: STUDIO_PORT=8000 for --port 8000.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    host = "0.0.0.0" if on_space else "127.0.0.1"  # a Space is reached from outside its container
    add("--host", default=default("HOST", host), help="address to listen on; 0.0.0.0 for all")
    add("--port", type=int, default=default("PORT", environment.get("GRADIO_SERVER_PORT") or 7860))
    add("--share", action="store_true", default=_is_true(environment.get("STUDIO_SHARE")),
        help="also make a public link through Gradio's servers")  # fmt: skip
    add("--public", action="store_true", default=_is_true(environment.get("STUDIO_PUBLIC")),
        help="with --share: without a password is meant")  # fmt: skip
    add("--root-path", default=default("ROOT_PATH", None), metavar="/PATH",
        help="where a proxy shows the app, if that is not its root")  # fmt: skip
    add("--proxies", default=default("PROXIES", "127.0.0.1,::1"), metavar="ADDRESSES",
        help="of reverse proxies, also as 10.0.0.0/8: theirs is the word on where a request comes from")  # fmt: skip
    add("--auth", type=_user, default=default("AUTH", None), metavar="USER:PASSWORD",
        help="ask visitors for this name and password")  # fmt: skip
    add("--device", default=default("DEVICE", "auto"),
        help="auto, cpu, cuda, cuda:1, or several with commas")  # fmt: skip
    add("--memory", type=_size, default=default("MEMORY", None), metavar="SIZE",
        help="model budget per device, as in 2G; unset: 4/5 of a GPU, half of main memory")  # fmt: skip
    add("--together", type=_count, default=default("TOGETHER", None), metavar="N",
        help="pictures of several visitors drawn in one batch; unset: 16 on a GPU, 1 on a CPU")  # fmt: skip
    add("--offline", action=argparse.BooleanOptionalAction,
        default=not _is_false(environment.get("STUDIO_OFFLINE")),
        help="fetch nothing from the network; --no-offline lets facexlib fetch its weights")  # fmt: skip
    add("--weights", type=Path, default=default("WEIGHTS", default_folder()),
        help="folder of published checkpoints")  # fmt: skip
    add("--max-upload", type=_size, default=default("MAX_UPLOAD", "100M"), metavar="SIZE",
        help="largest file that can be uploaded")  # fmt: skip
    add("--requests", type=_count, default=default("REQUESTS", Limits.requests), metavar="N",
        help="answered or waiting at once; who comes then reads when to come back")  # fmt: skip
    add("--requests-each", type=_count, default=default("REQUESTS_EACH", Limits.each), metavar="N",
        help="the same, of one visitor")  # fmt: skip
    add("--patience", type=float, default=default("PATIENCE", Limits.patience), metavar="SECONDS",
        help="who would wait longer reads when to come back; others wait so long at least before they do")  # fmt: skip
    add("--requests-a-minute", type=_count, default=default("REQUESTS_A_MINUTE", None), metavar="N",
        help="from one address; unset: 120 with --share, else as many as they come")  # fmt: skip
    add("--certificate", type=_files, default=default("CERTIFICATE", None), metavar="CHAIN.pem:KEY.pem",
        help="sign results with it (C2PA, P-256); unset: with one that is made at start")  # fmt: skip
    add("--mcp", action=argparse.BooleanOptionalAction, default=not _is_false(environment.get("STUDIO_MCP")),
        help="let assistants call the endpoints, at /gradio_api/mcp, where there is no password")  # fmt: skip
    add("--metrics", action="store_true", default=_is_true(environment.get("STUDIO_METRICS")),
        help="serve /metrics for Prometheus")  # fmt: skip
    add("--log-format", choices=("text", "json"), default=default("LOG_FORMAT", "text"))
    add("--preload", action=argparse.BooleanOptionalAction,
        default=not _is_false(environment.get("STUDIO_PRELOAD")),
        help="load the embedded models in the background once the page is up")  # fmt: skip
    add("--executor", choices=("local", "ray"), default=default("EXECUTOR", "local"),
        help="where models run: in this process, or in replicas of a Ray Serve deployment")  # fmt: skip
    add("--ray-address", default=default("RAY_ADDRESS", None), metavar="ADDRESS",
        help="of a Ray cluster, or auto; unset: one is made on this machine")  # fmt: skip
    add("--replicas", default=default("REPLICAS", "1"), metavar="N",
        help="of Ray's deployment; 1-4: as many as the load asks for")  # fmt: skip
    add("--replica-cpus", type=float, default=default("REPLICA_CPUS", 1.0), metavar="X", help="cores of each")
    add("--replica-gpus", type=float, default=default("REPLICA_GPUS", 0.0), metavar="X",
        help="GPUs of each; 0.5: two share one")  # fmt: skip
    return parser


def _scale(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Scale:
    try:
        return Scale.parse(options.replicas, options.replica_cpus, options.replica_gpus)
    except ValueError as error:
        parser.error(f"--replicas: {error}")


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", text.strip().lower())
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 500M or 2G")
    return int(float(match[1]) * _UNITS[match[2]])


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _user(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("write it as USER:PASSWORD")
    return name, password


def _files(text: str) -> tuple[Path, Path]:
    chain, colon, key = text.rpartition(":")
    if not (chain and colon and key):
        raise argparse.ArgumentTypeError("write it as CHAIN.pem:KEY.pem")
    return Path(chain), Path(key)


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")


def _is_false(text: str | None) -> bool:
    return (text or "").strip().lower() in ("0", "false", "no", "off")
