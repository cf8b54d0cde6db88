"""Which module of this project imports which, read from the syntax trees: `python -m tests.import_graph`.

Every import counts, at the top of a file or inside a function, and importing a module imports its packages. Run as a
program it prints how many lines the app reaches and how many it does not, as docs/architecture.md quotes them.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP = ("weights", "ops_cuda", "gan_core", "demo")


class ImportGraph:
    """The modules below `root`, and what each imports."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.files = {_name(path, root): path for top in TOP for path in sorted((root / top).rglob("*.py"))}
        self.files["app"] = root / "app.py"
        self.direct = {name: self._imports(name) for name in self.files}

    def reached(self, name: str, beyond: Callable[[str], bool] = lambda _: True) -> dict[str, tuple[str, ...]]:
        """Every module that importing everything in `name` imports in the end, with the way there (from `name` on).

        beyond: whether what a module imports counts, too.
        """
        ways: dict[str, tuple[str, ...]] = {name: (name,)}
        waiting = [name]
        while waiting:
            here = waiting.pop(0)
            for target in sorted(self.direct[here] - ways.keys()) if beyond(here) else ():
                ways[target] = (*ways[here], target)
                waiting.append(target)
        return ways

    def lines(self, name: str) -> int:
        """Lines of a module's file."""
        return len(self.files[name].read_text().splitlines())

    def named(self, name: str) -> Iterator[str]:
        """Every dotted name that a module's file imports, ours or not."""
        package = name if self.files[name].name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(self.files[name].read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*up, *([node.module] if node.module else [])])
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def _imports(self, name: str) -> set[str]:
        found = set()
        for target in self.named(name):
            parts = target.split(".")
            found |= {one for i in range(len(parts)) if (one := ".".join(parts[: i + 1])) in self.files}
        return found - {name}


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(name: str) -> str:
    """The part of the project that a module belongs to: "gan_core" stands for what runs of it."""
    parts = name.split(".")
    if parts[0] == "gan_core" and len(parts) > 1 and parts[1] in ("training", "evaluation", "benchmarks"):
        return parts[1]
    return parts[0]


def main() -> None:
    """Print the line counts."""
    graph = ImportGraph()
    inside, outside = Counter(), Counter()
    reached = graph.reached("app")
    for name in graph.files:
        (inside if name in reached else outside)[part_of(name)] += graph.lines(name)
    for title, counts in (("imported by the app", inside), ("not imported by it", outside)):
        parts = ", ".join(f"{part} {count:,}" for part, count in counts.most_common())
        sys.stdout.write(f"{title}: {sum(counts.values()):,} lines ({parts})\n")


if __name__ == "__main__":
    main()
