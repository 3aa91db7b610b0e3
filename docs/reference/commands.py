"""The reference of the command `saga`, from the commands themselves."""

import inspect
import re
from collections.abc import Iterator

import click

from app.cli.__main__ import command_line
from app.cli.group import EPILOG
from docs.reference.markdown import WRITTEN, table

_INTRODUCTION = """# Commands

`saga` shows sagas, starts them, decides about stuck ones, and checks tables. Where the service is installed, the
command is `saga`; in a checkout it is `.venv/bin/python -m app.cli`. The commands that act on sagas use the database of
the service directly, so they also work while the service does not run.
"""
_EXIT_CODES = """## Exit codes

Every error is one line on the standard error output.

```text
{codes}
```
"""


def page() -> str:
    """Return the page, in Markdown."""
    group = command_line()
    context = click.Context(group, info_name="saga")
    sections = [WRITTEN, _INTRODUCTION, table(("option", "meaning"), _options(group, context))]
    sections.append(_EXIT_CODES.format(codes=re.sub(r"\x08|\\b\n", "", EPILOG).strip()))
    for name, command in sorted(group.commands.items()):
        sections += _sections(command, click.Context(command, context, name), 2)
    return "\n".join(section for section in sections if section)


def _sections(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} {context.command_path}\n"
    if isinstance(command, click.Group):
        yield f"{_help(command)}\n"
        for name in sorted(command.commands):
            yield from _sections(
                command.commands[name], click.Context(command.commands[name], context, name), level + 1
            )
        return
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {pieces}\n```\n"
    yield f"{_help(command)}\n"
    yield table(("option", "meaning"), _options(command, context))


def _help(command: click.Command) -> str:
    """Return the help of a command as paragraphs; a line that shows a command becomes code."""
    text = inspect.cleandoc((command.help or "").replace("\b\n", ""))
    return re.sub(r"(For example: )(saga .*)", r"\1`\2`", text).replace("<", "\\<").replace("*", "\\*")


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            name, meaning = record
            yield f"`{name}`", meaning.replace("<=", "≤").replace("[", "(").replace("]", ")").replace("*", "\\*")
