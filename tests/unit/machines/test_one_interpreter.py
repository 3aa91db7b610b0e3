"""Only one module decides what a saga does. No other module fires a trigger or writes `in_doubt`."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: progress.py makes the decisions, and machine.py defines `fire`.
INTERPRETER = {ROOT / "machines" / "progress.py", ROOT / "machines" / "machine.py"}


def sources():
    return [path for package in ("app", "machines", "diagrams") for path in (ROOT / package).rglob("*.py")]


def assigned(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Attribute)]


def decisions(path):
    """Yield the line of each call of `fire` and of each assignment to the attribute `in_doubt`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fire":
            yield node.lineno
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from (name.lineno for name in assigned(node) if name.attr == "in_doubt")


def test_only_the_interpreter_fires_triggers_and_writes_in_doubt():
    found = [f"{path.relative_to(ROOT)}:{line}" for path in sources() for line in decisions(path)]
    elsewhere = [place for place in found if ROOT / place.partition(":")[0] not in INTERPRETER]
    assert elsewhere == []
    assert len(found) > len(elsewhere), "the interpreter itself is found"
