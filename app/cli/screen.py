"""Where the command line writes: drawings for people, JSON for scripts. Text without colour where nobody looks."""

import os
import sys
from collections.abc import Iterable

import click
from rich.console import Console, RenderableType

from app.values import written

#: A pipe or a file has no edge; this is wide enough that no line is cut.
_NO_EDGE = 200


def screen() -> Console:
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a terminal without ✓ shows ? and the word beside it
    looked_at = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    plain = bool(os.environ.get("NO_COLOR")) or not looked_at
    width = None if looked_at or "COLUMNS" in os.environ else _NO_EDGE
    return Console(color_system=None if plain else "auto", highlight=False, markup=False, emoji=False, width=width)


def draw(*drawings: Iterable[RenderableType], on: Console | None = None) -> None:
    console = on or screen()
    for drawing in drawings:
        for item in drawing:
            console.print(item)


def write_json(document: object) -> None:
    click.echo(written(document))
