"""The bootstrap: what it installs where, what it says before, and what counts as failed. Nothing is installed here."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def studio(monkeypatch, tmp_path):
    """studio.py with a fresh .venv folder; commands are recorded in `studio.calls` and succeed."""
    spec = importlib.util.spec_from_file_location("studio", ROOT / "studio.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls, module.failing = [], ()
    # VENV too: where venv fails, studio.py removes the folder, and the real one holds the Python that runs this test.
    monkeypatch.setattr(module, "VENV", tmp_path)
    monkeypatch.setattr(module, "PYTHON", tmp_path / "bin" / "python")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".installed")

    def call(*command):
        words = " ".join(str(word) for word in command)
        module.calls.append(words)
        if "-m venv" in words:
            module.PYTHON.parent.mkdir(exist_ok=True)
            module.PYTHON.touch()
        return int(any(word in words for word in module.failing))

    monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(module, "replace_by", lambda *command: call(*command))
    monkeypatch.setattr(module, "may_apt", lambda: True)
    monkeypatch.setattr(module, "installed_browser", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(module.subprocess, "run", lambda command, **_: pytest.fail(f"ran {command}"))
    monkeypatch.delenv("CI", raising=False)
    return module


def called(studio, text):
    return [line for line in studio.calls if text in line]


def test_run_installs_what_the_app_needs_once(studio):
    assert studio.main(["run", "--port", "8000"]) == 0
    assert called(studio, "-r requirements.txt") and not called(studio, "requirements-dev")
    assert studio.calls[-1].endswith("-m gan_studio run --port 8000")
    studio.calls.clear()
    studio.main(["run"])
    assert not called(studio, "pip")


def test_test_adds_what_tests_need_and_run_is_then_ready(studio):
    studio.main(["run"])
    studio.calls.clear()
    assert studio.main(["test", "-x"]) == 0
    assert called(studio, "-r requirements.txt -r requirements-dev.txt")
    assert called(studio, "-m pytest")[0].endswith(" -x")
    studio.calls.clear()
    studio.main(["run"])
    studio.main(["test"])
    assert not called(studio, "pip")


def test_every_step_runs_and_one_failure_is_enough(studio, capsys):
    studio.failing = ("ruff check",)
    assert studio.main(["test"]) == 1
    assert [bool(called(studio, step)) for step in ("ruff check", "ruff format", "mypy", "pytest")] == [True] * 4
    assert "failed: ruff check ." in capsys.readouterr().out


def test_what_apt_would_install_is_said_before(studio, monkeypatch, capsys):
    monkeypatch.setattr(studio, "installed_browser", iter([None, "/usr/bin/chromium"]).__next__)
    said = []

    class Fine:
        returncode = 0

    def run(command, **_):
        said.append((command, capsys.readouterr().out))
        return Fine()

    monkeypatch.setattr(studio.subprocess, "run", run)
    assert studio.main(["test"]) == 0
    assert "Installing chromium with apt-get" in said[0][1] and "--no-system" in said[0][1]
    assert [command[:2] for command, _ in said] == [["apt-get", "update"], ["apt-get", "install"]]


def test_no_system_installs_nothing_outside_the_environment(studio, monkeypatch, capsys):
    monkeypatch.setattr(studio, "installed_browser", lambda: None)
    studio.failing = ("playwright",)
    assert studio.main(["test", "--no-system", "-q"]) == 0, "the page ring is left out, which has been said"
    assert "There is no Chromium" in capsys.readouterr().out
    assert called(studio, "playwright install chromium"), "without --with-deps, which uses apt-get"
    assert called(studio, "-m pytest")[0].endswith(" -q"), "--no-system is not handed on"


def test_in_ci_a_missing_browser_fails(studio, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(studio, "installed_browser", lambda: None)
    studio.failing = ("playwright",)
    assert studio.main(["test", "--no-system"]) == 1
    assert "failed: no Chromium" in capsys.readouterr().out


def test_no_system_says_what_is_missing_of_python(studio):
    studio.failing = ("-m venv",)
    with pytest.raises(SystemExit, match="venv"):
        studio.main(["run", "--no-system"])
    assert not studio.VENV.exists(), "a half-made environment does not stay"
