"""What is imported exists, also where no test here comes along: in functions, and in tests that need a GPU."""

import ast
import importlib
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("ops_cuda", "gan_core", "demo", "weights")


def imported(path: Path) -> list[tuple[int, str, str]]:
    """Line, module and name of each `from module import name` of one of our own modules, at any depth."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            found += [(node.lineno, node.module, alias.name) for alias in node.names]
    return found


def is_there(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.util.find_spec(f"{module}.{name}"))
    except ModuleNotFoundError as error:
        # A package that is not installed here (of one of the extras) is no fault of the importing file.
        return error.name is not None and error.name.split(".")[0] not in OURS


def test_every_imported_name_exists() -> None:
    files = [*ROOT.glob("*.py"), *(path for folder in (*OURS, "tests") for path in (ROOT / folder).rglob("*.py"))]
    assert len(files) > 300
    missing = [
        f"{path.relative_to(ROOT)}:{line}: {module}.{name}"
        for path in files
        for line, module, name in imported(path)
        if name != "*" and not is_there(module, name)
    ]
    assert not missing, "\n".join(missing)
