import pytest

from app.cli.output import Column, Line, cell, draw, grid, printable, screen
from app.views.formatting import age, short_duration


@pytest.mark.parametrize(
    ("milliseconds", "said"), [(0.4, "0 ms"), (999, "999 ms"), (1200, "1.2 s"), (59_900, "59.9 s"), (200_000, "3m 20s")]
)
def test_short_duration(milliseconds, said):
    assert short_duration(milliseconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(-3, "0s"), (59.9, "59s"), (60, "1m"), (3600, "1h"), (86_400 * 5, "5d")])
def test_age(seconds, said):
    assert age(seconds) == said


def test_foreign_text_becomes_one_printable_line():
    assert printable("a\nb\x1b[2J\u202ec é") == "a b�[2J�c é"


def test_no_cell_is_cut_without_a_terminal(monkeypatch, capsys):
    for name in ("COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    console, words = screen(), "23.16 EUR taken; " * 60
    draw(grid((Column(gives_way=True), Column()), [Line(cells=(cell(words), cell("1 d")))], console.width), on=console)
    assert f"{words}  1 d\n" in capsys.readouterr().out
