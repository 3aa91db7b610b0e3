"""The reference pages of commands, metrics and the HTTP API. `python -m docs.reference` writes them from the code."""

from pathlib import Path

from diagrams.generated import GeneratedFiles
from docs.reference import api, commands, metrics

FOLDER = Path("docs/reference")
PAGES = GeneratedFiles(
    module="docs.reference",
    description="Write the reference of commands, metrics and the HTTP API to docs/reference.",
    folders=(),
    render=lambda _sagas: {
        FOLDER / "commands.md": commands.page(),
        FOLDER / "metrics.md": metrics.page(),
        FOLDER / "api.md": api.page(),
    },
    outdated="does not describe the code as it is",
    obsolete="",
    fix="run `make openapi` and commit what it writes",
)
