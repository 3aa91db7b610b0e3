"""`saga new`: write the files of a new saga. It needs no database and no service."""

import keyword
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

import click

from app.cli.new_files import DOCKERFILE, PARTICIPANT, TABLE, TEST

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Beginnings of the names of test files. `machines.discovery` does not read these files as tables.
_TESTS = ("test_", "conftest")


@click.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Folder of your repository.")
def new(name: str, folder: Path) -> None:
    """Write the files of a new saga: a table and its test; in a new folder also a participant and a Dockerfile.

    No file is overwritten.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.startswith(_TESTS):
        words = (
            "small letters, digits and underscores, a letter first, 64 at most; no word of Python, no test_ before it"
        )
        raise click.ClickException(f"NAME: {name!r} cannot be the name of a saga; use {words}")
    files = _files(name, folder)
    for path in files:
        if path.exists():
            raise click.ClickException(f"{path} exists already; nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise click.ClickException(f"--folder: {error.filename} cannot be written: {error.strerror}") from None
    for path in files:
        click.echo(str(path))
    click.echo(_next_steps(name, folder))


def _files(name: str, folder: Path) -> Mapping[Path, str]:
    """Return the text of each file."""
    templates = {folder / "sagas" / f"{name}.py": TABLE, folder / "tests" / f"test_{name}.py": TEST}
    if not (folder / "sagas").exists():
        templates |= {folder / "participant.py": PARTICIPANT, folder / "Dockerfile": DOCKERFILE}
    words = {"name": name, "constant": name.upper(), "image": _image()}
    return {path: Template(text).substitute(words) for path, text in templates.items()}


def _image() -> str:
    try:
        return version("saga-orchestrator")
    except PackageNotFoundError:  # the commands run from a checkout
        return "latest"


def _next_steps(name: str, folder: Path) -> str:
    inside = f"\ncd {folder}" if folder != Path() else ""
    return f"""{inside}
saga check --sagas ./sagas && python -m pytest tests    # check and test it
python participant.py &                                 # run it
export SAGAS=./sagas PARTICIPANT_SHOP_URL=http://127.0.0.1:8100
export API_AUTH=off SECRET_KEY=$(openssl rand -hex 32)
saga migrate
saga serve &
saga start {name} customer=Ada"""
