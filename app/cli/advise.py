"""`saga advise`: the odds and the times of each step, a better order, and fitting limits, from past sagas."""

from collections.abc import Iterator

import click
from rich.console import RenderableType
from rich.text import Text

from app.cli.arguments import Number, definition_named
from app.cli.group import saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.services import services
from app.store.recent_journals import MOST_SAGAS
from app.views.advice import Advice, advice_json, advice_lines, advise, basis
from app.views.formatting import short_duration
from machines.advice.figures import Figures, percentile

_COLUMNS = (
    Column(title="STEP"),
    Column(title="TRIED", right=True),
    Column(title="REFUSED", right=True),
    Column(title="GAVE UP", right=True),
    Column(title="ODDS (95 %)"),
    Column(title="STEP P50", right=True),
    Column(title="P95", right=True),
    Column(title="CALL P50", right=True),
    Column(title="P95", right=True),
)


@saga.command("advise")
@click.argument("name", metavar="TYPE")
@click.option("--days", type=Number(0.01, 3_650), default=30, show_default=True, help="Sagas started since.")
@click.option(
    "--sagas", "most", type=click.IntRange(1, MOST_SAGAS), default=1_000, show_default=True,
    help="Most sagas to read, the newest first.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def command(name: str, days: float, most: int, *, as_json: bool) -> None:
    """Show what past sagas tell about their table: odds, times, order, and limits.

    It rests on sagas of the newest version that have ended or are stuck. One query reads them through indexes: the
    newest --sagas of the last --days, and at most 200,000 rows of their journals. It changes nothing.
    """
    advice = advise(definition_named(services().registry, name), days=days, sagas=most)
    if as_json:
        write_json(advice_json(advice))
        return
    console = screen()
    draw(_drawn(advice, console.width), on=console)


def _drawn(advice: Advice, width: int) -> Iterator[RenderableType]:
    yield Text(printable(basis(advice)), style="bold")
    if advice.sagas:
        yield from grid(_COLUMNS, [_line(known) for known in advice.figures.values()], width)
        yield Text()
    for line in advice_lines(advice):
        yield Text(printable(line))


def _line(known: Figures) -> Line:
    low, high = known.interval
    odds = f"{known.odds:.1%} ({low:.1%} to {high:.1%})" if known.enough else "too few"
    times = [*_times([seconds * 1_000 for seconds in known.step_s]), *_times(known.call_ms)]
    counts = (known.reached, known.refused, known.gave_up)
    return Line(
        cells=(cell(known.step.name, "bold"), *(cell(f"{count:,}") for count in counts), cell(odds), *map(cell, times))
    )


def _times(values_ms: list[float]) -> list[str]:
    found = [percentile(values_ms, share) for share in (0.5, 0.95)]
    return ["" if each is None else short_duration(each) for each in found]
