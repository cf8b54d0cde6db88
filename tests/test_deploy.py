"""Files for hosts: what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def flags_and_settings() -> tuple[set[str], set[str]]:
    """Flags of app.py, and the environment variables that stand for them."""
    text = (ROOT / "demo" / "settings.py").read_text()
    flags = set(re.findall(r'add\("(--[a-z-]+)"', text)) | set(re.findall(r'", "(--[a-z-]+)"', text))
    return flags, {f"STUDIO_{flag[2:].replace('-', '_').upper()}" for flag in flags}


def test_the_image_has_what_the_package_needs() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert list(ROOT.glob(name)), name
    copied = " ".join(re.findall(r"^COPY (.+)$", text, re.MULTILINE))
    packages = re.search(r"include = \[(.+)\]", (ROOT / "pyproject.toml").read_text())
    assert all(name in copied for name in re.findall(r'"(\w+)\*"', packages[1]))
    assert all(name in flags_and_settings()[1] for name in re.findall(r"STUDIO_\w+", text))


def test_the_manifests_name_settings_and_code_that_exist() -> None:
    flags, settings = flags_and_settings()
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(compose["services"]["page1"]["environment"]) <= settings
    service, pages, _ = yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    module, name = application["import_path"].split(":")
    assert f"def {name}(" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
    (container,) = pages["spec"]["template"]["spec"]["containers"]
    assert set(re.findall(r" (--(?!address|num-cpus|disable|block)[a-z-]+)", container["args"][0])) <= flags
    assert {entry["name"] for entry in container["env"]} <= settings
    assert application["name"] == "gan-studio"


def test_arguments_of_the_cluster_make_a_deployment() -> None:
    from demo import ray_calls, replica

    service = next(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text()))
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    made = replica.application(application["args"])
    deployment = made._bound_deployment
    assert application["name"] == ray_calls.APPLICATION and deployment.name == replica.DEPLOYMENT
    assert deployment.ray_actor_options["num_gpus"] == 1 and deployment.ray_actor_options["num_cpus"] == 4
