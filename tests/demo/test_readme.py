"""What README.md and the pages in docs/ tell people to do works as it stands there."""

import contextlib
import importlib.util
import io
import re
import runpy
import shlex
import sys
from pathlib import Path

import gradio
import pytest

import gan_studio
from demo.settings import read

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("weights/*/*.md")]
)
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}


def commands(text):
    """Shell commands of a page: indented or fenced lines, joined where one goes on in the next, without comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    fenced = re.findall(r"```(?:bash|sh)\n(.*?)```", joined, flags=re.DOTALL)
    indented = re.findall(r"^    (?! )(.*)$", joined, flags=re.MULTILINE)
    inline = [line.replace("\n", " ") for line in re.findall(r"`([^`]+)`", joined)]
    lines = [line for block in fenced for line in block.splitlines()] + indented + inline
    return [line.split("  #")[0].split(" # ")[0].strip() for line in lines]


def module_runs():
    """(page, module, flags) of every `python -m ours` and `gan-studio ...` in the pages."""
    for page, text in TEXTS.items():
        for line in commands(text):
            words = shlex.split(line.replace("...", ""), posix=False)
            flags = tuple(sorted({word.split("=")[0] for word in words if word.startswith("--")}))
            if "-m" in words and words[0] in ("python", "torchrun"):
                module = words[words.index("-m") + 1]
                flags = tuple(flag for flag in flags if words.index("-m") < _place(words, flag))
                if module.split(".")[0] in ("gan_core", "demo", "weights", "tests"):
                    yield page, module, flags
            elif words[:1] == ["gan-studio"] and len(words) > 1:
                yield page, _module_of(words[1:]), flags


def _place(words, flag):
    return next(i for i, word in enumerate(words) if word.split("=")[0] == flag)


def _module_of(words):
    if words[0] in gan_studio.SINGLE:
        return gan_studio.SINGLE[words[0]]
    if words[0] in gan_studio.FAMILIES and len(words) > 1 and words[1] in gan_studio.FAMILIES[words[0]]:
        return gan_studio.FAMILIES[words[0]][words[1]]
    return "gan_studio"


RUNS = sorted(set(module_runs()))


@pytest.fixture(scope="module")
def help_of():
    """help_of(module): what it prints for --help."""
    known = {}

    def ask(module):
        if module not in known:
            printed, argv = io.StringIO(), sys.argv
            sys.argv = [module, "--help"]
            try:
                with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as end:
                    runpy.run_module(module, run_name="__main__", alter_sys=True)
                assert end.value.code in (0, None), module
            finally:
                sys.argv = argv
            known[module] = printed.getvalue()
        return known[module]

    return ask


def test_front_matter_of_a_space():
    front = dict(re.findall(r"^(\w+): (.*)$", README.split("---")[1], flags=re.MULTILINE))
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    assert front["sdk_version"].split(".")[:2] == gradio.__version__.split(".")[:2]
    assert len(front["short_description"]) <= 60
    assert front["license"] == "apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_readme_is_one_page():
    assert len(README.splitlines()) <= 120


def test_ci_runs_the_test_command_of_the_readme():
    assert "python3 studio.py test" in README
    assert "python3 studio.py test" in (ROOT / ".ci" / "run").read_text()


def test_flags_of_the_run_command_are_known():
    (line,) = [line for line in commands(README) if line.startswith("python3 studio.py run --")]
    settings = read(shlex.split(line)[3:])
    assert (settings.port, settings.share) == (8000, True)


@pytest.mark.parametrize("module", sorted({module for _, module, _ in RUNS}))
def test_named_modules_exist(module):
    assert importlib.util.find_spec(module)


@pytest.mark.parametrize("module", sorted({module for _, module, flags in RUNS if flags}))
def test_named_flags_exist(module, help_of):
    """Of every command in the pages and the model cards."""
    known = set(re.findall(r"--[\w-]+", help_of(module))) | {"--help"}
    for page, other, flags in RUNS:
        if other == module:
            assert set(flags) <= known, f"{page}: {module} has no {sorted(set(flags) - known)}"


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_named_files_exist(page):
    place = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?://)([^)#\s]+)[^)]*\)", TEXTS[page]):
        assert (place / target).exists(), f"{page} links to {target}"
    for name in re.findall(r"`((?:gan_core|demo|ops_cuda|weights|tests|docs)/[\w/.]+)`", TEXTS[page]):
        assert (ROOT / name).exists() or name.startswith("portraits"), f"{page} names {name}"
