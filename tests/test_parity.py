"""Every published format against what the authors' own code computed: fixture folders in, relative errors
out.

Fixtures come from the folder named by the environment variable PARITY_DIR, else from tests/parity. Sizes,
seeds, class counts, mapping depths, truncations and mixing points are read from each fixture, never assumed.
"""

from __future__ import annotations

import json
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_core.checkpoints.formats import build
from gan_core.comodgan.networks import hole_condition, keep_known
from gan_core.e4e.networks import resize
from gan_core.evaluation.metrics.ids import discriminative_scores, frechet_distance
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.insetgan.losses import Paper, paste
from gan_core.self_conditioned import labels
from tests import parity_recipe as recipe
from tests.gan_core.checkpoints.test_adapters import nvidia_names, random_generator
from tests.parity_insetgan import Authors, reduce

FOLDER = Path(os.environ.get("PARITY_DIR") or Path(__file__).parent / "parity")
FIXTURES = sorted(path.parent for path in FOLDER.glob("*/spec.json")) if FOLDER.is_dir() else []


def nested(weights: dict[str, np.ndarray], roots: tuple[str, ...]) -> dict[str, Any]:
    """A checkpoint as its file holds it: entries under "root.key" moved to tree["root"]["key"], the others on
    top."""
    tree: dict[str, Any] = {}
    for name, value in weights.items():
        root, _, rest = name.partition(".")
        (tree.setdefault(root, {}) if root in roots else tree)[rest if root in roots else name] = torch.from_numpy(
            value
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


def label_of(config: dict[str, Any], x: dict[str, Tensor], c_dim: int, rows: int) -> Tensor:
    """The fixture's class labels, one a row: an input of that width, or classes named in the configuration."""
    for name, value in x.items():
        if name != "z" and value.ndim == 2 and value.shape[-1] == c_dim:
            return value.expand(rows, -1)
    classes = next((config[key] for key in recipe.CLASSES if key in config), list(range(rows)))
    chosen = torch.as_tensor(classes).expand(rows) % c_dim
    return torch.nn.functional.one_hot(chosen, c_dim).float()


def run_nvidia(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    built = build(nested(weights, ("G_ema", "G", "D")))
    net = built.modules["generator"]
    c_dim, z = net.mapping.c_dim, x["z"]
    label = label_of(config, x, c_dim, len(z)) if c_dim else None
    w = net.mapping(z, label)
    truncated = net.mapping.truncate(w, config.get("truncation_psi", 1.0))
    out = {
        "w": truncated,
        "image": net.synthesis(net.broadcast(truncated)),
        "image_mixed": net.synthesis(mixed(truncated, net, config.get("mixed_from", net.num_ws))),
        "image_untruncated": net.synthesis(net.broadcast(w)),
    }
    if "discriminator" in built.modules and "image" in x:
        label = label_of(config, x, c_dim, len(x["image"])) if c_dim else None
        out["score"] = built.modules["discriminator"](x["image"], label)
    return out


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
    pipe = HFGIPipeline.from_checkpoint(built, dtype=torch.float32)  # not what draws fastest here
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


def run_sc_gan(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    built = build(nested(weights, ("g_ema", "d")))
    net, discriminator = built.modules["generator"], built.modules["discriminator"]
    soft = labels.label_vector(labels.soft_labels(torch.tensor(config["attribute_values"])))
    knots = labels.knots_between(config["distance_min"], config["distance_max"])
    score, logits = discriminator.score_and_attributes(x["image"])
    return {
        "soft_labels": soft,
        "class_weights": (class_weights := labels.without_middle(soft)),
        "soft_labels_of_distances": labels.soft_labels(torch.tensor(config["distances"]), knots),
        "image": net.draw(net.broadcast(net.mapping(x["z"])), class_weights),
        "score": score,
        "attributes": logits,
        "class_weights_from_image": labels.weights_from_logits(logits),
    }


def run_comodgan(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    net = build(weights).modules["generator"]
    for i, layer in enumerate(m for m in net.modules() if hasattr(m, "noise_const")):
        layer.noise_const.copy_(x[f"noise{i}"][0, 0])
    net.mapping.w_avg.copy_(x["dlatent_avg"][0])
    encoding = net.encode(hole_condition(x["image"], x["mask"]))
    out = {"w": net.mapping(x["z"])}
    for name, net.start_skip in (("port", False), ("official", True)):
        out[f"raw_{name}"] = raw = net.decode(encoding, out["w"], noise="const")
        out[f"image_{name}"] = keep_known(raw, x["image"], x["mask"])
    psi = config.get("truncation_psi", 1.0)
    out["image_official_truncated"] = net.complete(x["image"], x["mask"], x["z"], psi=psi, noise="const")
    return out


def noise_place(name: str) -> tuple[bool, int, str]:
    """Where a noise input such as noise.UpsamplingResBlock16.conv1 stands among the generator's convolutions."""
    _, block, conv = name.split(".")
    return not block.startswith("Head"), int(block.strip(string.ascii_letters)), conv


def run_swapping_autoencoder(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    modules = build(weights).modules
    generator, patches = modules["generator"], modules["patch_discriminator"]
    structure, texture = modules["encoder"](torch.cat([x["image_a"], x["image_b"]]))
    of_a, (texture_a, texture_b) = structure.chunk(2)[0], texture.chunk(2)
    noise = [x[name] for name in sorted((name for name in x if name.startswith("noise.")), key=noise_place)]
    reference, target = patches.describe(x["crops_reference"]), patches.describe(x["crops_target"])
    return {
        "structure": structure,
        "texture": texture,
        "reconstruction": generator(structure, texture, noise="none"),
        "swap": generator(of_a, texture_b, noise="none"),
        "interpolated": generator(of_a, 0.5 * texture_a + 0.5 * texture_b, noise="none"),
        "reconstruction_with_noise": generator(of_a, texture_a, noise=noise),
        "patch_score": patches.compare(reference, target, aggregate=False).flatten(0, 1),
        "patch_score_aggregated": patches.compare(reference, target).flatten(0, 1),
        "score": modules["discriminator"](x["image_d"]),
    }


def run_ids(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    scores = discriminative_scores(x["real"], x["fake"])
    got = {"u_ids": scores.unpaired, "p_ids": scores.paired, "fid": frechet_distance(x["real"], x["fake"])}
    return {name: torch.tensor([value]) for name, value in got.items()}


def run_insetgan(config: dict[str, Any], weights: dict, x: dict[str, Tensor]) -> dict[str, Tensor]:
    box = Authors.box(config["canvas_face_box"], config["inset_face_box"])
    region, inset, crop = Authors.region(x["canvas"], box), Authors.inset(x["inset"]), config["body_crop"]
    region_64, inset_64 = reduce(region, 4), reduce(inset, 4)
    out = {
        "a_crop_box": torch.tensor(box),
        "a_canvas_face_64": region_64,
        "a_inset_64": inset_64,
        "a_L1_coarse": Authors.l1(region_64, inset_64),
        "a_L1_full": Authors.l1(region, inset),
        "a_edge": Authors.edge(region, inset),
        "a_body_L1": Authors.body(x["canvas_reference"], x["canvas"]),
        "a_mean_latent": Authors.mean_latent(x["w"], x["w_avg"]),
        "a_edge_weight": torch.tensor([Authors.edge_weight(step, 20000) for step in config["edge_iterations"]]),
        "h_coarse": Paper.coarse(x["body"], x["face"], crop),
        "h_border": Paper.border(x["body"], x["face"], crop),
        "h_body": Paper.body(x["body"], x["body_reference"], crop),
        "h_face": Paper.face(x["face"], x["face_reference"], config["face_rect"]),
        "h_reg": Paper.regulariser(x["w"], x["w_avg"], x["w_delta"], config["delta_weight"]),
        "h_pasted": paste(x["body"], x["face"], crop),
    }
    return {name: value.reshape(1) if value.ndim == 0 else value for name, value in out.items()}


RUNNERS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "rosinality_stylegan2": run_rosinality,
    "nvidia_stylegan2": run_nvidia,
    "stylegan_human": run_nvidia,
    "hfgi": run_hfgi,
    "sc_gan": run_sc_gan,
    "comodgan": run_comodgan,
    "swapping_autoencoder": run_swapping_autoencoder,
    "ids_metric": run_ids,
    "insetgan_losses": run_insetgan,
}
# folders may be named freely, so a format is told from its description
DESCRIBED = {
    "rosinality": "rosinality_stylegan2",
    "NVIDIA stylegan2-ada": "nvidia_stylegan2",
    "StyleGAN-Human": "stylegan_human",
    "HFGI": "hfgi",
    "sc-gan": "sc_gan",
    "co-mod-gan": "comodgan",
    "swapping-autoencoder": "swapping_autoencoder",
    "P-IDS": "ids_metric",
    "InsetGAN": "insetgan_losses",
}


def format_of(folder: Path) -> str:
    described = json.loads((folder / "spec.json").read_text()).get("format", "")
    for name in RUNNERS:
        if folder.name == name:
            return name
    return next((name for words, name in DESCRIBED.items() if described.startswith(words)), folder.name)


def test_there_are_fixtures() -> None:
    assert FIXTURES, f"no fixture folders in {FOLDER}"


def test_a_format_that_nothing_reads_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps({"format": "a new one"}))
    with pytest.raises(AssertionError, match="nothing here reads"):
        test_fixture(tmp_path, lambda name, value: None)


CONDITIONAL = {"one-hot input": {"c": {"kind": "one_hot", "shape": [2, 3], "classes": [2, 0]}}, "classes named": {}}


@pytest.mark.parametrize("labels", CONDITIONAL.values(), ids=CONDITIONAL)
def test_a_conditional_fixture_gets_its_labels(labels: dict[str, Any], tmp_path: Path) -> None:
    """A conditional network's fixture, made here: its labels have a single 1 a row, at the classes it names."""
    net = random_generator(c_dim=3)
    named = {name: value.numpy() for name, value in nvidia_names(net).items()}
    keys = {name: {"kind": "constant", "shape": list(v.shape), "value": v.tolist()} for name, v in named.items()}
    spec = {
        "format": "NVIDIA stylegan2-ada-pytorch generator",
        "seed": 3,
        "config": {"c_dim": 3, "truncation_psi": 0.5, "classes": [2, 0]},
        "inputs": {"z": {"kind": "normal", "shape": [2, net.mapping.z_dim]}, **labels},
        "keys": keys,
        "tolerance": 1e-4,
    }
    z, c = torch.from_numpy(recipe.inputs(spec)["z"]), torch.eye(3)[[2, 0]]
    with torch.inference_mode():
        expected = {"w": net.mapping.truncate(net.mapping(z, c), 0.5), "image/full": net(z, c, psi=0.5, noise="const")}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    np.savez(tmp_path / "expected.npz", **{name: value.numpy() for name, value in expected.items()})
    test_fixture(tmp_path, lambda name, value: None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_fixture(folder: Path, record_property: Callable[[str, object], None]) -> None:
    name = format_of(folder)
    assert name in RUNNERS, f"{folder.name}: nothing here reads the format {name!r}"
    spec, expected = recipe.load(folder)
    x = {key: torch.from_numpy(value) for key, value in recipe.inputs(spec).items()}
    with torch.inference_mode():
        out = RUNNERS[name](spec["config"], recipe.weights(spec), x)
    recorded = {key.partition("/")[0] for key in expected}
    errors = recipe.errors(expected, {key: value.numpy() for key, value in out.items() if key in recorded})
    record_property("errors", errors)
    worst = max(errors, key=errors.get)
    assert np.isfinite(list(errors.values())).all()
    assert errors[worst] <= spec["tolerance"], f"{worst}: {errors[worst]:.2e} over {spec['tolerance']:.0e}: {errors}"
