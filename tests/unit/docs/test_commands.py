"""Every command in a document exists: `saga` with its options, and the targets of make. Bash accepts every block."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest

from app.cli.__main__ import command_line
from tests.support.documented import blocks

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "client").glob("*.md"))]
DOCUMENTS = [page for page in DOCUMENTS if "node_modules" not in page.parts]
#: The characters at which one command of a line ends and the next begins.
ENDS = re.compile(r"&&|\|\||[|;&]|\$\(|\)|\d?>")
SAGA = re.compile(
    r"(?:\w+=\S* )*(?:docker .* )?(?:flask --app app saga|\S*python -m app\.cli|saga)(?:\s+(?P<words>.*)|$)"
)
MAKE = re.compile(r"(?:\w+=\S* )*make\s+(?P<words>.*)")
INLINE = re.compile(r"(?<!`)`((?:saga|make|flask --app app saga) [^`\n]+)`(?!`)")
#: What a reader replaces, as `<id>`.
PLACE = re.compile(r"<[a-z][^>\n]*>")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
GROUP = command_line()


def shell_lines(page: str):
    """Yield each line of the bash blocks, without its comment. Continued lines are joined."""
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                yield re.sub(r"(^|\s)#.*", "", line)


def wrong_word(words: list[str]) -> str:
    """Return the first word that is neither a command nor an option of the command line, or "".

    A command with an argument is one that a reader runs, so it must also have the options that are required.
    """
    command: click.Command = GROUP
    known = {"--help"}
    while isinstance(command, click.Group):
        known |= {name for parameter in command.params for name in parameter.opts}
        while words and words[0].startswith("--"):
            if words[0] not in known:
                return words[0]
            words = words[1:]
        if not words:
            return ""
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    if command.context_settings.get("ignore_unknown_options"):
        return ""
    known |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    if wrong := next((option for option in options if option not in known), ""):
        return wrong
    required = [option for option in command.params if isinstance(option, click.Option) and option.required]
    missing = (option.opts[0] for option in required if words and not {*option.opts} & {*options})
    return next((f"without {option}" for option in missing), "")


def wrong_commands(page: str):
    for line in [PLACE.sub("ID", line) for line in [*shell_lines(page), *INLINE.findall(page)]]:
        for command in map(str.strip, ENDS.split(line)):
            if found := SAGA.fullmatch(command):
                words = (found["words"] or "").replace("…", " ").split()
                if word := wrong_word(words):
                    yield f"{command}: {word}"
            elif found := MAKE.fullmatch(command):
                targets = (word for word in found["words"].split() if re.fullmatch("[a-z-]+", word))
                yield from (f"make {target}" for target in targets if target not in TARGETS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_document_exists(document):
    assert list(wrong_commands(document.read_text())) == []


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ("```bash\nsaga lst --stuck\n```\n", ["saga lst --stuck: lst"]),
        ("```bash\nsaga migrate && saga list --stuk | head\n```\n", ["saga list --stuk: --stuk"]),
        ("use `saga audit lost`", ["saga audit lost: lost"]),
        ("use `saga retry <id>`", ["saga retry ID: without --reason"]),
        ("use `saga retry` or `saga retry <id> --reason '…'`", []),
        ("```bash\nmake everything\n```\n", ["make everything"]),
        ("```bash\nsaga serve --anything && make demo ONCE=1\n```\n", []),
    ],
)
def test_a_wrong_command_is_found(page, wrong):
    assert list(wrong_commands(page)) == wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_bash_block_of_a_document_is_legal(document):
    for block in blocks(document.read_text()):
        if block.language == "bash":
            text = PLACE.sub("ID", block.text)
            checked = subprocess.run(
                ["bash", "-n"], input=text, capture_output=True, text=True, check=False, timeout=60
            )
            assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "program", sorted(f"docs.{found.parent.name}" for found in (ROOT / "docs").glob("*/__main__.py"))
)
def test_program_of_the_documentation_refuses_an_unknown_option(program, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [program, "--bogus"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(program, run_name="__main__")
    assert ended.value.code == 2
    assert f"python -m {program}: error: unrecognized arguments: --bogus" in capsys.readouterr().err
