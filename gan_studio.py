"""The command `gan-studio`: run the app, edit photos, handle weights, make a static site, train, evaluate, time.

    gan-studio run [flags of the app]
    gan-studio edit PHOTO ... --smile 2 [flags]
    gan-studio fetch [NAME]
    gan-studio install FILE [NAME]
    gan-studio export WHAT [FOLDER]
    gan-studio export-live | static [FOLDER]
    gan-studio train | evaluate | bench WHAT [flags]

Each hands over to one module, which has its own --help and can be started by itself: `python -m MODULE`.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

SINGLE = {
    "run": "app",
    "edit": "gan_core.edit",
    "fetch": "gan_core.checkpoints.fetch",
    "install": "gan_core.checkpoints.install",
    "export": "gan_core.export",
    "export-live": "gan_core.export_live",
    "static": "demo.live",
}

FAMILIES = {
    "train": {
        "stylegan2": "gan_core.training.stylegan2.train",
        "hfgi": "gan_core.training.hfgi.train",
        "hfgi-directions": "gan_core.training.hfgi.directions",
        "self_conditioned": "gan_core.training.self_conditioned.train",
        "self_conditioned-predictors": "gan_core.training.self_conditioned.train_predictors",
        "self_conditioned-refine": "gan_core.training.self_conditioned.refine",
        "comodgan": "gan_core.training.comodgan.train",
        "swapping_autoencoder": "gan_core.training.swapping_autoencoder.train",
        "swapping_autoencoder-directions": "gan_core.training.swapping_autoencoder.directions",
        "face-finder": "gan_core.training.faces.train_finder",
        "head-finder": "gan_core.training.faces.train_head",
    },
    "evaluate": {
        "samples": "gan_core.evaluation.metrics.samples",
        "generator": "gan_core.evaluation.generator",
        "projection": "gan_core.evaluation.projection",
        "hfgi": "gan_core.evaluation.hfgi.evaluate",
        "refinement": "gan_core.evaluation.refinement",
        "flicker": "gan_core.evaluation.flicker",
        "judges": "gan_core.evaluation.judges.__main__",
        "self_conditioned": "gan_core.evaluation.self_conditioned.evaluate",
        "comodgan": "gan_core.evaluation.comodgan.evaluate",
        "comodgan-places": "gan_core.evaluation.comodgan.places",
        "insetgan": "gan_core.evaluation.insetgan.evaluate",
        "swapping_autoencoder": "gan_core.evaluation.swapping_autoencoder.evaluate",
    },
    "bench": {
        "overview": "gan_core.benchmarks.overview",
        "authors": "gan_core.benchmarks.authors",
        "page": "gan_core.benchmarks.page",
        "live": "gan_core.benchmarks.live",
        "video": "gan_core.benchmarks.video",
        "load": "gan_core.benchmarks.load",
        "training": "gan_core.benchmarks.training",
        "augmentation": "gan_core.benchmarks.augmentation",
        "blur": "gan_core.benchmarks.blur",
        "replicas": "gan_core.benchmarks.replicas",
        "batching": "gan_core.benchmarks.batching",
        "waits": "gan_core.benchmarks.waits",
        "stylegan2": "gan_core.benchmarks.stylegan2",
        "comodgan": "gan_core.benchmarks.comodgan",
        "insetgan": "gan_core.benchmarks.insetgan",
        "swapping_autoencoder": "gan_core.benchmarks.swapping_autoencoder",
        "face-finder": "gan_core.benchmarks.finder",
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand over to the module that the words name. Returns the exit status; 2 for words that name none."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words.pop(0) if words else ""
    if command in SINGLE:
        return _hand_over(SINGLE[command], f"gan-studio {command}", words)
    if command in FAMILIES:
        family = FAMILIES[command]
        what = words.pop(0) if words else ""
        if what in family:
            return _hand_over(family[what], f"gan-studio {command} {what}", words)
        asked = what in ("-h", "--help")
        _say(f"gan-studio {command} WHAT [flags], where WHAT is one of:\n\n" + _listed(family), error=not asked)
        return 0 if asked else 2
    asked = command in ("-h", "--help")
    families = "\n".join(f"{name:<10}{', '.join(family)}" for name, family in FAMILIES.items())
    _say(f"{(__doc__ or '').strip()}\n\n{families}", error=not asked)
    return 0 if asked else 2


def _hand_over(module: str, name: str, words: list[str]) -> int:
    """As `python -m module` with these words would."""
    sys.argv = [name, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        _say(str(end.code), error=True)
        return 1
    return 0


def _listed(family: dict[str, str]) -> str:
    return "\n".join(f"    {what:<32}python -m {module}" for what, module in family.items())


def _say(text: str, *, error: bool) -> None:
    (sys.stderr if error else sys.stdout).write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
