"""Every link and every path in the documents leads to an existing file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)")
PATH = re.compile(
    r"`((?:app|machines|diagrams|participants|deploy|benchmarks|docs|tests|unit|integration|e2e|contract|property|chaos)"
    r"/[\w/]+\.(?:py|md|yml|json))"
)
#: The README's example file, which the reader writes.
EXAMPLES = {"machines/travel.py"}


def broken(document):
    text = document.read_text()
    for target in LINK.findall(text):
        if ":" not in target and not (document.parent / target).exists():
            yield target
    for path in PATH.findall(text):
        if path not in EXAMPLES and not ((ROOT / path).exists() or (ROOT / "tests" / path).exists()):
            yield path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_path_of_a_document_exists(document):
    assert list(broken(document)) == []
