"""Finds where a problem of a table is written: the file and the line of its step, or else of its table."""

import ast
import re
from functools import cache
from pathlib import Path

from machines.check import Problem

#: How the text of a problem begins when a file cannot be imported.
_PLACE = re.compile(r"(?P<file>.+?\.py), line (?P<line>\d+): ")
#: The name of the step in the text of a problem.
_STEP = re.compile(r"[^:]*: step (\w+): ")


def place_of(problem: str) -> tuple[str, int] | None:
    """Return the file and the line of a problem; None when it belongs to no line."""
    if isinstance(problem, Problem):
        step = _STEP.match(problem)
        return problem.file, (_line_of_step(problem.file, problem.line, step[1]) if step else None) or problem.line
    named = _PLACE.match(problem)
    return (named["file"], int(named["line"])) if named else None


def _line_of_step(file: str, line: int, step: str) -> int | None:
    """Return the line of a step; None when the table at this line does not write it out."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Call) and node.lineno == line:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and inner is not node and _first(inner) == step:
                    return inner.lineno
    return None


def _first(call: ast.Call) -> object:
    """Return the name that a call gives, first or as name=; None when it is no constant."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    given = (*call.args[:1], *named)
    return given[0].value if given and isinstance(given[0], ast.Constant) else None


@cache
def _tree(file: str) -> ast.Module:
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
