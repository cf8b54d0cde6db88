"""What README.md tells people to do works as it stands there."""

import contextlib
import importlib.util
import io
import re
import shutil
from pathlib import Path

import gradio
import pytest

from demo.parts.examples import example_files

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_front_matter_of_a_space():
    front = dict(re.findall(r"^(\w+): (.*)$", README.split("---")[1], flags=re.MULTILINE))
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    assert front["sdk_version"].split(".")[:2] == gradio.__version__.split(".")[:2]
    assert len(front["short_description"]) <= 60


def test_ci_runs_the_test_command_of_the_readme():
    assert "python3 studio.py test" in README
    assert "python3 studio.py test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", README))))
def test_named_modules_exist(module):
    assert importlib.util.find_spec(module)


def test_named_files_exist():
    for name in re.findall(r"`((?:gan_core|demo|ops_cuda|weights|tests)/[\w/.]+)`", README):
        assert (ROOT / name).exists() or name.startswith("portraits"), name


def test_api_example(server, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    shutil.copy(example_files()[0], tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "downloads"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code.replace("http://127.0.0.1:7860", server.url), {})
    lines = printed.getvalue().splitlines()
    assert any(line.endswith(".png") and Path(line).is_file() for line in lines)
    assert "portraits/hfgi" in lines[-1]
