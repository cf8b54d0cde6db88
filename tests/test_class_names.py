"""One class name for one thing: no name is given to two classes, but for a paper's part of the same role.

A paper's package has files of the same names in each, and the main class of such a file may have the same name in each:
`Editor` in demo/<paper>/editor.py, `FastNetworks` in gan_core/<paper>/fast.py.
"""

import ast
from collections import defaultdict

from tests.import_graph import ROOT, ImportGraph
from tests.test_layering import PAPERS

ROLES = {"Editor": "demo/{paper}/editor.py", "FastNetworks": "gan_core/{paper}/fast.py"}


def classes(files):
    """Paths of the files that define a class, by the class's name."""
    found = defaultdict(list)
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path)
    return found


def given_twice(found, root):
    """Names of more than one class that are not one role's in several papers."""
    twice = []
    for name, paths in found.items():
        places = {ROLES[name].format(paper=paper) for paper in PAPERS} if name in ROLES else set()
        here = [str(path.relative_to(root)) for path in paths]
        if len(here) > 1 and not (set(here) <= places and len(set(here)) == len(here)):
            twice.append(f"{name}: {', '.join(here)}")
    return twice


def test_one_name_one_thing():
    found = classes(ImportGraph().files.values())
    assert given_twice(found, ROOT) == []
    assert all(len(found[name]) > 1 for name in ROLES), "a role that is not in several papers needs no exception"


def test_what_is_found(tmp_path):
    for place, names in {
        "demo/hfgi/editor.py": "Editor Face",
        "demo/comodgan/editor.py": "Editor",
        "demo/comodgan/tab.py": "Face",
        "gan_core/hfgi/fast.py": "FastNetworks",
        "gan_core/hfgi/more.py": "FastNetworks",
    }.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"class {name}:\n    pass\n" for name in names.split()))
    twice = given_twice(classes(sorted(tmp_path.rglob("*.py"))), tmp_path)
    assert sorted(line.split(":")[0] for line in twice) == ["Face", "FastNetworks"]
