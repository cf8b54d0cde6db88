"""Settings as command line flags: one for each field of a settings dataclass."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

S = TypeVar("S")
Parser = argparse.ArgumentParser | argparse._ArgumentGroup


def add_settings(parser: Parser, settings: type[Any], choices: Mapping[str, Sequence[str]] | None = None) -> None:
    """Add a flag for each field, of the type of its default; a field that is False by default becomes a switch.

    Each can be written with hyphens or underscores (`--spread-weight`, `--spread_weight`). choices: the values that a
    field may have, by its name.
    """
    default_settings = settings()
    for field in fields(settings):
        name, default = field.name, getattr(default_settings, field.name)
        flags = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        if isinstance(default, bool):
            parser.add_argument(*flags, dest=name, action="store_true")
        else:
            parser.add_argument(
                *flags, dest=name, type=type(default), default=default, choices=(choices or {}).get(name),
                help="default: %(default)s",
            )  # fmt: skip


def read_settings(args: argparse.Namespace, settings: type[S]) -> S:
    """The settings from the flags of `add_settings`."""
    return settings(**{field.name: getattr(args, field.name) for field in fields(settings)})  # type: ignore[arg-type]
