"""Imports go one way: ops_cuda <- gan_core <- demo <- app.py; weights is data that all may read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"ops_cuda", "gan_core", "demo", "app", "weights", "tests"}
MAY_IMPORT = {
    "weights": set(),
    "ops_cuda": set(),
    "gan_core": {"ops_cuda", "weights"},
    "demo": {"gan_core", "ops_cuda", "weights"},
    "app": {"demo", "weights"},
}
PAPERS = {"hfgi", "self_conditioned", "comodgan", "insetgan", "swapping_autoencoder"}
FILES = [path for package in MAY_IMPORT for path in ROOT.glob(f"{package}/**/*.py")] + [ROOT / "app.py"]


def imports(path, top_level_only=False):
    """Dotted names that a file imports, at any depth or only when it is imported itself."""
    tree = ast.parse(path.read_text())
    nodes = _top_level(tree) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = path.parents[node.level - 1].relative_to(ROOT)
            yield ".".join([*parent.parts, node.module or ""])


def _top_level(tree):
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield from (
            inner
            for inner in ast.walk(node)
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[0]
    for name in imports(path):
        target = name.split(".")
        if target[0] in OURS and target[0] != package:
            assert target[0] in MAY_IMPORT[package], f"{package} imports {name}"
        if package in ("ops_cuda", "gan_core", "weights"):
            assert target[0] not in ("gradio", "spaces"), f"{package} imports {name}"
        if len(parts) > 1 and parts[0] == "gan_core" and parts[1] in PAPERS and target[0] == "gan_core":
            others = PAPERS - {parts[1]}
            assert len(target) < 2 or target[1] not in others, f"one paper imports another: {name}"


STARTED = [*ROOT.glob("demo/**/*.py"), *ROOT.glob("weights/*.py"), ROOT / "app.py"] + [
    ROOT / "gan_core" / f"{name}.py" for name in ("errors", "images", "memory", "model_spec", "models", "registry")
]


@pytest.mark.parametrize("path", STARTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_is_built_without_torch(path):
    """The page must answer before torch is loaded; whatever needs it imports it when it is needed."""
    slow = ("torch", "torchvision", "facexlib", "lpips", "gan_core.hfgi", "gan_core.faces", "ops_cuda")
    for name in imports(path, top_level_only=True):
        assert not name.startswith(slow), f"{path.name} imports {name} at start"


def test_no_silent_except():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno} catches everything"
                only_pass = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
                assert not only_pass, f"{path}:{node.lineno} passes over an error"
