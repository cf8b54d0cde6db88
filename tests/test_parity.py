"""Every published format against what the authors' own code computed: fixture folders in, relative errors
out.

Fixtures come from the folder named by the environment variable PARITY_DIR, else from tests/parity. Sizes,
seeds, class counts, mapping depths, truncations and mixing points are read from each fixture, never assumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_core.checkpoints import build
from gan_core.hfgi.networks import resize
from gan_core.hfgi.pipeline import HFGIPipeline
from tests import parity_recipe as recipe

FOLDER = Path(os.environ.get("PARITY_DIR") or Path(__file__).parent / "parity")
FIXTURES = sorted(path.parent for path in FOLDER.glob("*/spec.json")) if FOLDER.is_dir() else []


def nested(weights: dict[str, np.ndarray], roots: tuple[str, ...]) -> dict[str, Any]:
    """A checkpoint as its file holds it: entries under "root.key" moved to tree["root"]["key"], the others on
    top."""
    tree: dict[str, Any] = {}
    for name, value in weights.items():
        root, _, rest = name.partition(".")
        (tree.setdefault(root, {}) if root in roots else tree)[rest if root in roots else name] = (
            torch.from_numpy(value)
        )
    return tree


def mixed(w: Tensor, net: torch.nn.Module, cut: int) -> Tensor:
    """w+ of row 0 of `w` in the layers below `cut` and of row 1 in the others."""
    first, second = w[0].expand(cut, -1), w[-1].expand(net.num_ws - cut, -1)
    return torch.cat([first, second])[None]


def run_rosinality(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    built = build(nested(weights, ("g_ema", "d")))
    net = built.modules["generator"]
    w = net.mapping(x["z"])
    truncated = net.mapping.truncate(w, config.get("truncation", 1.0))
    out = {
        "w": w,
        "image": net.synthesis(net.broadcast(w)),
        "image_truncated": net.synthesis(net.broadcast(truncated)),
        "image_mixed": net.synthesis(mixed(w, net, config.get("inject_index", net.num_ws))),
    }
    if "discriminator" in built.modules:
        out["score"] = built.modules["discriminator"](x["image"])
    return out


def run_nvidia(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    built = build(weights)
    net = built.modules["generator"]
    label = None
    if net.mapping.c_dim:
        label = next(
            value for name, value in x.items() if name != "z" and value.shape[-1] == net.mapping.c_dim
        )
    w = net.mapping(x["z"], label)
    truncated = net.mapping.truncate(w, config.get("truncation_psi", 1.0))
    return {
        "w": truncated,
        "image": net.synthesis(net.broadcast(truncated)),
        "image_mixed": net.synthesis(mixed(truncated, net, config.get("mixed_from", net.num_ws))),
        "image_untruncated": net.synthesis(net.broadcast(w)),
    }


def run_hfgi(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    tree = {
        "state_dict": {k: torch.from_numpy(v) for k, v in weights.items() if k != "latent_avg"},
        "opts": {},
    }
    tree["latent_avg"] = torch.from_numpy(weights.pop("latent_avg"))
    weights.clear()
    built = build(tree)
    assert built.dropped.count("opts") == 1
    del tree
    pipe = HFGIPipeline.from_checkpoint(built)
    inverted = pipe.invert(x["image"])
    codes, edited = inverted.codes, inverted.codes + config["edit_degree"] * x["edit_direction"]
    out = {"w": built.modules["generator"].mapping(x["z"]), "codes": codes}
    out |= {"inversion_initial": inverted.image, "residual": inverted.distortion}
    out["residual_aligned"] = aligned = pipe.align(inverted.distortion, inverted.image)
    scale, shift = conditions = pipe.consult(aligned)
    step = scale.shape[1] // 8
    out |= {"condition_scale": scale[:, ::step], "condition_shift": shift[:, ::step]}
    out["condition_means"] = torch.stack([scale.mean((2, 3)), shift.mean((2, 3))])
    out["inversion_final"] = pipe.decode(codes, conditions)
    out["edit_initial"] = pipe.decode(edited)
    out["residual_aligned_edit"] = pipe.align(inverted.distortion, out["edit_initial"])
    conditions_edit = pipe.consult(out["residual_aligned_edit"])
    out["condition_scale_edit"], out["condition_shift_edit"] = (part[:, ::step] for part in conditions_edit)
    out["edit_final"] = pipe.decode(edited, conditions_edit)
    out["edit_final_256"] = resize(out["edit_final"], 256)
    out["edit_final_predict_order"] = pipe.decode(edited, conditions)
    return out


RUNNERS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "rosinality_stylegan2": run_rosinality,
    "nvidia_stylegan2": run_nvidia,
    "stylegan_human": run_nvidia,
    "hfgi": run_hfgi,
}
# folders may be named freely, so a format is told from its description
DESCRIBED = {"rosinality": "rosinality_stylegan2", "StyleGAN-Human": "stylegan_human", "HFGI": "hfgi",
             "NVIDIA stylegan2-ada": "nvidia_stylegan2"}  # fmt: skip


def format_of(folder: Path) -> str:
    described = json.loads((folder / "spec.json").read_text()).get("format", "")
    for name in RUNNERS:
        if folder.name == name:
            return name
    return next((name for words, name in DESCRIBED.items() if described.startswith(words)), folder.name)


def test_there_are_fixtures() -> None:
    assert FIXTURES, f"no fixture folders in {FOLDER}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_fixture(folder: Path, record_property: Callable[[str, object], None]) -> None:
    name = format_of(folder)
    if name not in RUNNERS:
        pytest.skip(f"format {name} not supported yet")
    spec, expected = recipe.load(folder)
    x = {key: torch.from_numpy(value) for key, value in recipe.inputs(spec).items()}
    with torch.inference_mode():
        out = RUNNERS[name](spec["config"], recipe.weights(spec), x)
    recorded = {key.partition("/")[0] for key in expected}
    errors = recipe.errors(expected, {key: value.numpy() for key, value in out.items() if key in recorded})
    record_property("errors", errors)
    worst = max(errors, key=errors.get)
    assert np.isfinite(list(errors.values())).all()
    assert errors[worst] <= spec["tolerance"], (
        f"{worst}: {errors[worst]:.2e} over {spec['tolerance']:.0e}: {errors}"
    )
