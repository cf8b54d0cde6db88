"""Imports go one way, directly and through any number of modules: see `MAY_REACH`; and no paper reaches another.

Only what joins the papers may know several of them: gan_core/models.py (the models), gan_core/checkpoints/formats.py
(the published formats) and demo/layout.py (the tabs). No module of a paper imports one of these, but for a tab, which
knows the app's registry (demo/computing.py) and through it gan_core/models.py.
"""

import ast
import re
import subprocess
import sys

import pytest

from tests.import_graph import ROOT, ImportGraph, part_of

GRAPH = ImportGraph()
NAMES = sorted(GRAPH.files)
RUNTIME = {"gan_core", "ops_cuda", "weights"}
MAY_REACH = {
    "weights": {"weights"},
    "ops_cuda": {"ops_cuda"},
    "gan_core": RUNTIME,
    "training": {"training"} | RUNTIME,
    "evaluation": {"evaluation", "training"} | RUNTIME,
    "benchmarks": {"benchmarks", "evaluation", "training", "demo"} | RUNTIME,
    "demo": {"demo"} | RUNTIME,
    "app": {"app", "demo"} | RUNTIME,
}
PAPERS = {"hfgi", "self_conditioned", "comodgan", "insetgan", "swapping_autoencoder"}
JOINS_THE_PAPERS = "gan_core.models"
PAGE_ONLY = ("gradio", "spaces", "ray")
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def paper_of(name):
    """The paper whose package a module is in: gan_core.<paper>, gan_core.training.<paper>, ..., demo.<paper>."""
    parts = name.split(".")[:-1] if GRAPH.files[name].name != "__init__.py" else name.split(".")
    return next((part for part in parts if part in PAPERS), None)


def wrong_parts(graph, name):
    """Ways from a module to a part of the project that it may not reach."""
    allowed = MAY_REACH[part_of(name)]
    return [" -> ".join(way) for target, way in graph.reached(name).items() if part_of(target) not in allowed]


def other_papers(graph, name):
    """Ways from a module of a paper to a module of another paper."""
    own = paper_of(name)
    reached = graph.reached(name, beyond=lambda target: target != JOINS_THE_PAPERS) if own else {}
    return [" -> ".join(way) for target, way in reached.items() if paper_of(target) not in (None, own)]


@pytest.mark.parametrize("name", NAMES)
def test_imports_of(name):
    assert wrong_parts(GRAPH, name) == []
    assert other_papers(GRAPH, name) == []
    if part_of(name) not in ("demo", "app"):
        assert [target for target in GRAPH.named(name) if target.split(".")[0] in PAGE_ONLY] == []


def test_a_wrong_import_is_seen_through_other_modules():
    """The rules above can fail: one forbidden import in a module that others use is found from them."""
    graph = ImportGraph()
    graph.direct["gan_core.faces.geometry"] |= {"gan_core.training.data"}
    assert any("gan_core.faces.geometry -> gan_core.training.data" in way for way in wrong_parts(graph, "app"))
    graph = ImportGraph()
    graph.direct["gan_core.e4e.encoding"] |= {"gan_core.hfgi.pipeline"}
    ways = other_papers(graph, "gan_core.self_conditioned.models")
    assert any(way.endswith("gan_core.e4e.encoding -> gan_core.hfgi.pipeline") for way in ways)


def test_the_app_imports_nothing_that_makes_or_measures_weights():
    """Really imported, in a process of its own: every module that app.py reaches."""
    reached = sorted(GRAPH.reached("app"))
    script = (
        "import importlib, sys\n"
        f"for name in {reached!r}: importlib.import_module(name)\n"
        "kept = ('gan_core.training', 'gan_core.evaluation', 'gan_core.benchmarks')\n"
        "print([name for name in sys.modules if name.startswith(kept)])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().splitlines()[-1] == "[]"


STARTED = [name for name in NAMES if part_of(name) in ("demo", "weights", "app")] + [
    f"gan_core.{name}" for name in ("errors", "images", "memory", "model_spec", "models", "placement", "registry")
]


def _imported_at_start(name):
    """Dotted names that a file imports when it is imported itself."""
    for node in ast.parse(GRAPH.files[name].read_text()).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                yield from (alias.name for alias in inner.names)
            elif isinstance(inner, ast.ImportFrom) and inner.level == 0:
                yield from (f"{inner.module}.{alias.name}" for alias in inner.names)


@pytest.mark.parametrize("name", STARTED)
def test_the_page_is_built_without_torch(name):
    """The page must answer before torch is loaded; whatever needs it imports it when it is needed."""
    slow = (
        "torch",
        "torchvision",
        "facexlib",
        "lpips",
        "gan_core.faces",
        "gan_core.e4e.encoding",
        "gan_core.e4e.networks",
        "ops_cuda",
    )
    for target in _imported_at_start(name):
        assert not target.startswith(slow), f"{name} imports {target} at start"


def test_torch_is_not_loaded_by_building_the_page():
    """Really built, in a process of its own."""
    script = "import sys, demo.layout; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "False", result.stderr


def test_the_documents_line_counts_are_about_right():
    """docs/architecture.md says how much the app imports and how much it does not."""
    rows = re.findall(r"\| (imported by the app|not imported by it) \| ([\d,]+) \|", ARCHITECTURE.read_text())
    told = {title: int(number.replace(",", "")) for title, number in rows}
    reached = GRAPH.reached("app")
    inside = sum(GRAPH.lines(name) for name in reached)
    outside = sum(GRAPH.lines(name) for name in NAMES if name not in reached)
    assert told["imported by the app"] == pytest.approx(inside, rel=0.05), "run: python -m tests.import_graph"
    assert told["not imported by it"] == pytest.approx(outside, rel=0.05), "run: python -m tests.import_graph"


def test_no_silent_except():
    for name in NAMES:
        for node in ast.walk(ast.parse(GRAPH.files[name].read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{name}:{node.lineno} catches everything"
                only_pass = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
                assert not only_pass, f"{name}:{node.lineno} passes over an error"
