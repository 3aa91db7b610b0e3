"""The table of contents of the site. Each page stands here once."""

from collections.abc import Mapping

#: Section → its pages, by their path without ending; `title <path>` for a page whose own title does not fit.
CONTENTS: Mapping[str, tuple[str, ...]] = {
    "Start here": ("/docs/tutorial", "The project </README>"),
    "How to": (
        "/docs/examples/README",
        "An example repository </docs/examples/own-repository/README>",
        "/docs/testing",
        "/docs/changing-a-table",
        "/docs/conform",
        "/docs/verify",
        "/docs/client",
        "/docs/webhooks",
        "/docs/schedules",
        "/docs/operations",
        "/docs/troubleshooting",
        "/docs/runbooks/README",
    ),
    "Reference": (
        "/docs/tables",
        "/docs/outcomes",
        "/docs/participants",
        "/docs/reference/commands",
        "/docs/reference/api",
        "/docs/reference/metrics",
        "/docs/glossary",
        "/docs/sequences/index",
        "The reference systems </docs/coverage>",
        "/CHANGELOG",
    ),
    "Explanation": (
        "/docs/execution",
        "/docs/architecture",
        "/docs/reliability",
        "/docs/model/README",
        "/docs/performance",
        "/docs/adr/README",
    ),
    "Work on the project": ("/tests/README", "The client's package </client/README>"),
}
#: Page → the pages of its folder, which stand below it in the contents.
FOLDERS: Mapping[str, str] = {
    "docs/adr/README": "/docs/adr/0*",
    "docs/runbooks/README": "/docs/runbooks/Saga*",
    "docs/sequences/index": "/docs/sequences/*-v*",
}


def toctrees(page: str) -> str:
    """Return the text to add to this page, so that the theme finds all pages. GitHub does not show this text."""
    if page == "docs/index":
        return "".join(_toctree(":hidden:", f":caption: {caption}", "", *pages) for caption, pages in CONTENTS.items())
    return _toctree(":glob:", ":maxdepth: 1", "", FOLDERS[page]) if page in FOLDERS else ""


def _toctree(*lines: str) -> str:
    return "\n\n" + "\n".join(["```{toctree}", *lines, "```"]) + "\n"
