"""`python -m app.settings_table`: write the table of settings in docs/operations.md; `--check` compares it."""

import sys
from pathlib import Path
from typing import Any

from app.config import SECRETS, SETTINGS
from app.settings import Setting
from diagrams.generated import ROOT, GeneratedFiles

PAGE = Path("docs/operations.md")
#: The lines before and after the table in the page.
BEGIN = "<!-- Written by `make openapi` from app/config.py: change that, not this table. -->\n\n"
END = "\n<!-- The table ends. -->\n"
_NOT_SET = "–"  # noqa: RUF001  a dash, as in every table of the page


def settings_table() -> str:
    """Return the table in Markdown: a row for each setting, and a row for the files of secrets."""
    rows = [(_name(setting), _default(setting), setting.help) for setting in SETTINGS]
    rows.append((", ".join(f"`{name}_FILE`" for name in SECRETS), _NOT_SET, "a file that contains the value"))
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    lines += [f"| {name} | {default} | {text} |" for name, default, text in rows]
    return "".join(f"{line}\n" for line in lines)


def page() -> str:
    """Return the text of docs/operations.md with the current table."""
    before, begin, rest = (ROOT / PAGE).read_text().partition(BEGIN)
    _table, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has lost the lines around its table of settings")
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def _name(setting: Setting[Any]) -> str:
    return f"`{setting.name}` ●" if setting.secret else f"`{setting.name}`"


def _default(setting: Setting[Any]) -> str:
    if setting.shown:
        return setting.shown
    if isinstance(setting.default, (int, float)):
        return f"{setting.default:g}"
    return setting.default if isinstance(setting.default, str) and setting.default else _NOT_SET


SETTINGS_TABLE = GeneratedFiles(
    module="app.settings_table",
    description="Write the table of settings in docs/operations.md.",
    folders=(),
    render=lambda _sagas: {PAGE: page()},
    outdated="does not have the settings of app/config.py",
    obsolete="",
    fix="run `make openapi` and commit what it writes",
)

if __name__ == "__main__":
    sys.exit(SETTINGS_TABLE.main())
