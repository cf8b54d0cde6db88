"""Who may change which models are on this machine: its owner, told by how the app was started and is reached."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from demo.settings import Settings
from gan_core.errors import StudioError

_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip")


class NotAllowed(StudioError):
    """Only this app's owner may do that."""


@dataclass(frozen=True)
class Rights:
    """What people on the page may do."""

    change: bool
    """Fetch, upload and remove models."""
    name_paths: bool
    """Name a file on the server's machine."""
    ask_each: bool
    """Whether each request must come from this machine itself."""
    why: str
    """What a person reads who may not change anything."""


def rights_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Rights:
    """By the flags: an app on loopback that is not shared runs for its owner, and one with a password for those who
    know it. Paths are for the former alone, since who can name one can find out what lies where."""
    alone = is_loopback(settings.host) and not settings.share and "SPACE_ID" not in environment
    if settings.auth:
        return Rights(True, alone, ask_each=False, why="")
    if alone:
        return Rights(True, True, ask_each=True, why="")
    return Rights(
        False,
        False,
        ask_each=False,
        why="Models can be changed here only where the app runs for its owner: on 127.0.0.1 without a share link, "
        "or behind a password (--auth, or STUDIO_AUTH on a Space).",
    )


def check(rights: Rights, host: str | None, headers: Mapping[str, str], *, path: bool = False) -> None:
    """Raise NotAllowed unless the request may change models (name a path, with `path`).

    host: the address that the request comes from. Behind a proxy everybody comes from loopback, so its headers count;
    and a page of another site that had a name point here would ask for that name.
    """
    if not rights.change:
        raise NotAllowed(rights.why)
    if path and not rights.name_paths:
        raise NotAllowed("Files on the server's machine can be named only where the app runs on 127.0.0.1.")
    if rights.ask_each or path:
        here = host is None or is_loopback(host)
        asked = urlsplit(f"//{headers.get('host', '127.0.0.1')}").hostname or ""
        if not here or not is_loopback(asked) or any(name in headers for name in _PROXY_HEADERS):
            raise NotAllowed("Models can be changed only from the machine that the app runs on, or with --auth.")


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
