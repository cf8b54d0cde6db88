import argparse
from dataclasses import dataclass

import pytest

from gan_core.training.comodgan.settings import TASKS, CoModGANSettings
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.hfgi.settings import HFGISettings


@dataclass
class Settings:
    batch: int = 8
    spread_weight: float = 0.5
    task: str = "hole"
    plain: bool = False


def parse(kind, *flags, **options):
    parser = argparse.ArgumentParser()
    add_settings(parser, kind, **options)
    return read_settings(parser.parse_args(flags), kind)


def test_each_field_is_a_flag() -> None:
    assert parse(Settings) == Settings()
    wanted = Settings(batch=4, spread_weight=2.0, task="drawing", plain=True)
    for weight in ("--spread-weight", "--spread_weight"):
        assert parse(Settings, "--batch", "4", weight, "2", "--task", "drawing", "--plain") == wanted
    assert parse(HFGISettings, "--discriminator_lr", "0.5").discriminator_lr == 0.5


def test_what_cannot_be_is_refused(capsys) -> None:
    for flags in (["--batch", "2.5"], ["--task", "song"], ["--unknown", "1"]):
        with pytest.raises(SystemExit):
            parse(Settings, *flags, choices={"task": TASKS})
    assert "invalid choice" in capsys.readouterr().err
    assert parse(CoModGANSettings, "--task", "drawing", choices={"task": TASKS}).task == "drawing"
