"""The paper's four steps as one command.

    python -m gan_core.training.self_conditioned.train --people PEOPLE --out RUN --steps a,b,c,d ...

a  find the attributes' directions in the pretrained generator (directions.safetensors)
b  invert the training pictures and label them by their distances (codes.safetensors, labels.safetensors)
c  make generator and discriminator with their additional layers from the pretrained ones (initial/)
d  train on data drawn uniformly in the labels (generator_ema.safetensors and the training state)

Each step reads the files of the earlier ones in --out and can be run alone. A step whose files exist is skipped unless
--again is given. Step d continues from its last checkpoint, and also runs under torchrun.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.errors import BadValue, WeightsMissing
from gan_core.self_conditioned.networks import SelfConditionedDiscriminator, SelfConditionedGenerator
from gan_core.self_conditioned.predictors import load_predictor
from gan_core.self_conditioned.space import AttributeSpace, load_space
from gan_core.training import distributed
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.loop import train
from gan_core.training.people import PeopleStream, Variation, parse_shares, read_people
from gan_core.training.self_conditioned.base import add_base, base_encoder, base_file, base_generator
from gan_core.training.self_conditioned.directions import attributes_for, draw_and_score, find_directions
from gan_core.training.self_conditioned.faces import Faces, add_data, faces_of
from gan_core.training.self_conditioned.labelling import Labels, agreement, invert_all, label, load_labels, refit
from gan_core.training.self_conditioned.settings import SelfConditionedSettings
from gan_core.training.self_conditioned.step import SelfConditionedTrainer, start_discriminator, start_generator

log = logging.getLogger(__name__)

STEPS = ("a", "b", "c", "d")


def step_a(args: argparse.Namespace, device: torch.device) -> None:
    """Directions; see `directions.py`."""
    if args.predictor is None:
        raise WeightsMissing("Step a needs the predictor: give its file with --predictor.")
    generator, predictor = base_generator(args).to(device), load_predictor(args.predictor).to(device)
    attributes = attributes_for(predictor, _names(args.attributes))
    space, facts = find_directions(generator, predictor, attributes, count=args.faces, style=_names(args.style))
    space.save(args.out / "directions.safetensors", {"found": facts})
    log.info("directions: %s", json.dumps(facts))


def step_b(args: argparse.Namespace, device: torch.device) -> None:
    """Labels; see `labelling.py`. With --labels their correlation with the tables is measured, too."""
    faces = faces_of(args)
    kept, names = args.out / "codes.safetensors", list(faces.names)
    codes: Tensor | None = None
    if kept.exists() and not args.again:
        tensors, config = store.read(kept)
        codes = tensors["codes"].half() if config["names"] == names else None
    if codes is None:
        batch = 16 if device.type == "cpu" else 128
        codes = invert_all(base_encoder(args, device), faces.pictures(256), batch)
        store.save(kept, {"codes": codes}, config={"names": names})
    space = load_space(args.out / "directions.safetensors")
    if args.refit:
        if args.predictor is None:
            raise WeightsMissing("--refit needs the predictor: give its file with --predictor.")
        space = _refitted(args, space, codes, faces, device)
    space, values, distances = label(space, codes)
    Labels(faces.names, space.names, values, codes).save(args.out / "labels.safetensors")
    report = store.read(args.out / "directions.safetensors")[1]["_report"]
    if faces.columns:
        measures, own, test = {a.name: a.measure for a in space.attributes}, distances[: len(faces)], faces.held_out
        report["agreement"] = agreement(own, faces.columns, measures)
        report["agreement_held_out"] = agreement(own[torch.from_numpy(test)], faces.subset(test).columns, measures)
        log.info("correlation of labels with the tables: %s", json.dumps(report))
    space.save(args.out / "directions.safetensors", report)


def _refitted(
    args: argparse.Namespace, space: AttributeSpace, codes: Tensor, faces: Faces, device: torch.device
) -> AttributeSpace:
    """Planes fitted to the codes of the training people's pictures and of their mirror images, and to drawn faces."""
    predictor = load_predictor(args.predictor).to(device)
    columns = [predictor.measures.index(a.measure) for a in space.attributes]
    rows = torch.from_numpy(~faces.held_out).nonzero()[:, 0]
    parts = [part.float() / 127.5 - 1 for part in faces.subset(~faces.held_out).pictures(256).split(64)]
    scores = torch.cat([predictor.predict(part)[1] for part in parts + [part.flip(3) for part in parts]])
    both = torch.cat([rows, rows + len(faces)])
    measures = [a.measure for a in space.attributes]
    drawn = draw_and_score(base_generator(args).to(device), predictor, measures, args.faces)
    return refit(space, codes[both], scores[:, columns].numpy(), drawn)


def step_c(args: argparse.Namespace, attributes: int) -> None:
    """Networks with their additional layers, which at first compute the same as the pretrained ones."""
    for name, kind, begin in (
        ("generator", SelfConditionedGenerator, start_generator),
        ("discriminator", SelfConditionedDiscriminator, start_discriminator),
    ):
        plain, config = store.read(base_file(args, name))
        network = kind(attributes=attributes, **{k: v for k, v in config.items() if k in _shape_of(kind)})
        begin(network, plain)
        store.save(args.out / "initial" / f"{name}.safetensors", network.state_dict(), config=network.config)


def _shape_of(kind: type) -> set[str]:
    """Names of a network's own arguments, without the number of attributes."""
    return set(kind(8, channel_base=8, channel_max=8).config) - {"attributes"}


def step_d(args: argparse.Namespace, processes: distributed.ProcessGroup) -> None:
    """Training; see `step.py`."""
    initial = args.initial or args.out / "initial"
    starts: list[Any] = []  # the networks' states, or None
    for name in ("generator", "discriminator", "generator_ema", "projected"):
        file = initial / f"{name}.safetensors"
        if name in ("generator", "discriminator") and not file.exists():
            raise WeightsMissing(f"There is no {file.name} in {initial}; run step c first.")
        starts.append(store.read(file)[0] if file.exists() else None)
    config = store.read(initial / "generator.safetensors")[1]
    settings = read_settings(args, SelfConditionedSettings)
    for name in ("resolution", "z_dim", "w_dim", "mapping_layers", "channel_base", "channel_max"):
        setattr(settings, name, config[name])  # the pretrained network's
    pictures, names = _training_pictures(args, settings.resolution, processes.device)
    labels = load_labels(args.out / "labels.safetensors").of(names)
    trainer = SelfConditionedTrainer(
        settings,
        pictures,
        labels,
        processes,
        starts[0],
        starts[1],
        average_start=starts[2],
        projected_start=starts[3],
        graphs=not args.no_graphs,
        space=load_space(args.out / "directions.safetensors"),
        identity_network=load_predictor(args.identity_network) if args.identity_network is not None else None,
        plain=base_generator(args) if settings.anchor_weight else None,
    )
    if processes.is_main:
        log.info("%d pictures, %s, %d process(es)", len(names), settings, processes.size)
    train(trainer, args.out, minutes=args.minutes, images=args.images, keep_state=not args.no_state)
    trainer.close()


def _training_pictures(
    args: argparse.Namespace, resolution: int, device: torch.device
) -> tuple[Tensor | PeopleStream, list[str]]:
    """Pictures of the people trained on, and their names. Collections of people come before other backdrops and in
    other light, but for light from one side, which would contradict that label."""
    if args.people is None:
        faces = faces_of(args)
        faces = faces.subset(~faces.held_out)
        return faces.pictures(resolution), list(faces.names)
    people = read_people(args.people, resolution, parse_shares(args.shares)).to(device)
    return PeopleStream(people, Variation(backdrop=args.backdrop, side_light=0.0)), people.stems


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="a,b,c,d", help="which, by letter (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    add_data(parser, required=False)
    add_base(parser)
    parser.add_argument("--backdrop", type=float, default=Variation.backdrop, help="with --people: share of the real "
                        "pictures that get another backdrop in step d (default: %(default)s)")  # fmt: skip
    parser.add_argument("--predictor", type=Path, help="file of the predictor (step a; with --refit b)")
    parser.add_argument("--attributes", default="", help="which to learn, as in: age,pose (default: all the predictor "
                        "measures)")  # fmt: skip
    parser.add_argument(
        "--faces", type=int, default=4000, help="to draw in steps a and, with --refit, b (default: 4000)"
    )
    parser.add_argument("--style", default="", help="attributes to take a style channel for, as in: smile")
    parser.add_argument("--refit", action="store_true", help="step b: fit the planes to the pictures' codes first")
    parser.add_argument("--again", action="store_true", help="do steps a to c even where their files are there")
    parser.add_argument("--initial", type=Path, help="folder of networks to start step d from (default: OUT/initial)")
    parser.add_argument(
        "--identity-network",
        type=Path,
        help="step d: file of a predictor, not the one that evaluates, for the identity",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of step d (default: 10)")
    parser.add_argument("--images", type=int, help="stop step d after this many pictures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture CUDA graphs")
    parser.add_argument("--no-state", action="store_true", help="neither write nor read the optimizer's state")
    add_settings(parser.add_argument_group("training"), SelfConditionedSettings)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    steps = [step.strip() for step in args.steps.split(",") if step.strip()]
    if not steps or any(step not in STEPS for step in steps):
        raise BadValue(f"--steps takes some of {','.join(STEPS)}, not {args.steps!r}.")
    if args.data is None and args.people is None and {"b", "d"} & set(steps):
        raise BadValue("Steps b and d need pictures: --data or --people.")
    processes = distributed.init(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    results = {"a": "directions.safetensors", "b": "labels.safetensors", "c": "initial/discriminator.safetensors"}
    for step in steps:
        if step != "d" and (not processes.is_main or ((args.out / results[step]).exists() and not args.again)):
            log.info("step %s: %s is there already", step, results[step])
        elif step == "a":
            step_a(args, processes.device)
        elif step == "b":
            step_b(args, processes.device)
        elif step == "c":
            step_c(args, len(load_space(args.out / "directions.safetensors").names))
        else:
            processes.broadcast_value(0.0)  # the other processes wait for the main process's files
            step_d(args, processes)
    processes.destroy()


if __name__ == "__main__":
    main()
