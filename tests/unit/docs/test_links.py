"""Every link and every path in the documents leads to an existing file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "node_modules" not in path.parts),
]
LINK = re.compile(r"\]\(([^)#\s]+)")
PATH = re.compile(
    r"`((?:app|machines|diagrams|participants|deploy|benchmarks|docs|tests|unit|integration|e2e|contract|property|chaos)"
    r"/[\w/]+\.(?:py|md|yml|json))"
)
#: A block of code is not searched for links: its `table[row](column)` is a call.
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
#: Files that do not exist in the repository, because a reader of the tutorial writes them.
EXAMPLES = {"tests/test_ticket.py"}


def broken(document):
    text = BLOCK.sub("", document.read_text())
    for target in LINK.findall(text):
        if ":" not in target and not (document.parent / target).exists():
            yield target
    for path in PATH.findall(text):
        if path not in EXAMPLES and not ((ROOT / path).exists() or (ROOT / "tests" / path).exists()):
            yield path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_path_of_a_document_exists(document):
    assert list(broken(document)) == []


def test_every_test_named_in_a_document_exists():
    named = re.compile(r"`(?:([\w/]+\.py)|…)::(test_\w+)`")
    names = {path: set(re.findall(r"def (test_\w+)", path.read_text())) for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [
        f"{document.name}: {test}"
        for document in DOCUMENTS
        for file, test in named.findall(document.read_text())
        if not any(test in found for path, found in names.items() if str(path).endswith(file))
    ]
    assert missing == []
