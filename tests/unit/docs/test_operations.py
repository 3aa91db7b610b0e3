"""docs/operations.md names exactly the variables that the code reads."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.config import SECRETS, SETTINGS
from app.settings import SHARED
from app.settings_table import SETTINGS_TABLE, page

ROOT = Path(__file__).parents[3]
PACKAGES = ("app", "participants")
#: The names of the variables in which the code has the environment.
ENVIRONMENT = {"environ", "environment"}
#: The form of the name of a variable in the document.
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")


def is_environment(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id in ENVIRONMENT) or (
        isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT
    )


def asked_for(node: ast.AST) -> list[ast.AST]:
    """Return the names of variables in an expression that reads the environment.

    Such an expression is `environ.get(name)`, `function(environ, name)`, `environ[name]` or `name in environ`.
    """
    match node:
        case ast.Call(func=ast.Attribute(value=of), args=args) if is_environment(of):
            return list(args[:1])
        case ast.Call(args=[of, name, *_]) if is_environment(of):
            return [name]
        case ast.Subscript(value=of, slice=name) if is_environment(of):
            return [name]
        case ast.Compare(left=name, comparators=[of]) if is_environment(of):
            return [name]
    return []


def variables(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        for name in asked_for(node):
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and VARIABLE.fullmatch(name.value):
                yield name.value


def read_by_the_code() -> set[str]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {name for file in [*files, ROOT / "deploy" / "healthy.py"] for name in variables(file.read_text())}


def documented() -> set[str]:
    text = (ROOT / "docs" / "operations.md").read_text()
    text = text.partition("## Every setting\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_<>]+)`", row)}


def test_table_lists_exactly_the_variables_that_the_code_reads():
    special = {f"{name}_FILE" for name in SECRETS} | {SHARED} | {setting.name for setting in SETTINGS}
    assert documented() == read_by_the_code() | special


def test_table_has_the_declared_settings():
    assert not SETTINGS_TABLE.differences(ROOT, {Path("docs/operations.md"): page()})


def test_every_way_to_read_a_variable_is_found():
    source = 'a = environ.get("A_1"); b = number(environ, "B_2", 1); c = os.environ["C_3"]; d = "D_4" in environ'
    assert set(variables(source)) == {"A_1", "B_2", "C_3", "D_4"}
