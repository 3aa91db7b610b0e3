"""Docstrings, comments, templates and documents avoid the words that made this project hard to read."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "app",
    "client",
    "machines",
    "diagrams",
    "deploy",
    "participants",
    "benchmarks",
    "docs",
    "migrations",
    "tests",
)
#: Words that readers of this project had to read twice.
AVOIDED = re.compile(
    r"\b(told|anew|whoever|whatsoever|betimes|left in peace|leave in peace|comes? of it|became of it|for so long"
    r"|so many seconds|so often that|time and again|out of hand|sees? to it|dies of it|died of it"
    r"|whomever|befalls?|befell|befallen|mends?|mended|hears?|heard|tells|once more|in good order)\b",
    re.IGNORECASE,
)
#: Docstrings of functions do not begin with these verbs.
VERBS = re.compile(r"^(Tell|Say|Give|Ask whether)\b")


def sources():
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    # A released migration is never edited.
    return [*(path for path in found if path.parent.name != "versions"), ROOT / "wsgi.py"]


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield node.body[0].lineno, text


def comments(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def problems(path):
    text = path.read_text()
    found = [*docstrings(ast.parse(text)), *comments(text)]
    for line, words in found:
        if match := AVOIDED.search(words) or VERBS.match(words):
            yield f"{path.relative_to(ROOT)}:{line}: {match[0]}"


def test_docstrings_and_comments_avoid_the_words_of_the_list():
    assert [problem for path in sources() for problem in problems(path)] == []


@pytest.mark.parametrize("folder", ["app/templates", "docs", "deploy"])
def test_pages_and_documents_avoid_the_words_of_the_list(folder):
    found = (path for ending in ("html", "md", "yml") for path in (ROOT / folder).rglob(f"*.{ending}"))
    files = [path for path in found if "node_modules" not in path.parts]  # packages that `make check` installs
    assert files
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := AVOIDED.search(line))
    ]
    assert wrong == []


def test_list_finds_a_word_of_the_old_manner():
    assert AVOIDED.search("Nobody is told of it, for so long as it waits")
    assert VERBS.match("Tell whether it is out of hand")
