"""`saga bulk`: one action on many stuck sagas, as a job that the service carries out."""

from typing import Any
from uuid import UUID

import click
from rich.text import Text

from app.cli.arguments import Number, actor_named, actor_option, reason_from, with_id
from app.cli.group import SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.cli.stuck import NONE_MATCH, attention_filter, attention_options, groups_of, say_snoozed
from app.engine.bulk import PACE
from app.services import services
from app.store.bulk import MOST_SAGAS
from app.store.lists import SagaFilter
from app.views.bulk import (
    BULK_ACTIONS,
    LARGEST_PACE,
    change_job,
    fits,
    job_json,
    progress,
    start_job,
)
from app.views.formatting import cause, duration, moment
from app.views.states import attention_of
from machines.statuses import Status

job_argument = click.argument("job", metavar="ID")
_COLUMNS = (
    Column(title="ID"),
    Column(title="STARTED (UTC)"),
    Column(title="ACTION"),
    Column(title="SAGAS", right=True),
    Column(title="BY", gives_way=True),
)
#: Largest number of jobs that `list` shows.
_JOBS = 50


@saga.group("bulk", cls=SagaGroup)
def bulk() -> None:
    """Retry or compensate many sagas at once. The service carries out the job; `show` follows it."""


@bulk.command("start")
@click.argument("action", type=click.Choice(BULK_ACTIONS))
@attention_options
@click.option(
    "--pace", type=Number(0.1, LARGEST_PACE), default=PACE, show_default=True,
    help="Largest number of sagas a second.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show which sagas the job would move, and start none.")
@click.option("--reason", help="The reason, which is recorded with each saga; not needed for a dry run.")
@actor_option
def start(action: str, *, pace: float, dry_run: bool, reason: str | None, actor: str | None, **words: Any) -> None:
    """Start a job on the sagas that need attention, as /admin/stuck lists them, and that match each option.

    Snoozed sagas are left out, unless --case or --id chooses them.
    """
    wanted = attention_filter(words, actor_named(actor))
    say_snoozed(wanted)
    given = {name: list(value) if isinstance(value, tuple) else str(value) for name, value in words.items() if value}
    if dry_run:
        _show_dry_run(action, wanted, pace)
        return
    if reason is None:
        raise click.UsageError("give --reason; it is recorded with each saga.")
    why, by = reason_from(reason), actor_named(actor)
    job_id = start_job(services(), wanted, given, action=action, reason=why, pace=pace, actor=by)
    job = services().bulk_jobs.store.find(job_id)
    sagas = "1 saga" if job.sagas == 1 else f"{job.sagas} sagas"
    click.echo(f"{job_id}  {action} {sagas}. The service does it; follow it: saga bulk show {job_id}")


@bulk.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def list_jobs(as_json: bool) -> None:
    """List the jobs, the newest first."""
    store = services().bulk_jobs.store
    found = [(job, store.counts(job.id)) for job in store.newest(_JOBS)]
    if as_json:
        for job, counts in found:
            write_json(job_json(job, counts))
        return
    lines = [
        Line(
            cells=(
                cell(str(job.id)),
                cell(moment(job.created_at)),
                cell(job.action),
                cell(str(job.sagas)),
                cell(job.created_by),
            ),
            note=Text(progress(job, counts)),
        )
        for job, counts in found
    ]
    console = screen()
    draw(grid(_COLUMNS, lines, console.width) if lines else ["There are no bulk jobs."], on=console)


@bulk.command("show")
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def show(job: str, *, as_json: bool) -> None:
    """Show how far a job is, and the sagas that were refused or are stuck again."""
    store, job_id = services().bulk_jobs.store, _job_id(job)
    found, counts = store.find(job_id), store.counts(job_id)
    if as_json:
        write_json(job_json(found, counts))
        return
    click.echo(progress(found, counts))
    for row in store.notable(job_id, _JOBS):
        why = cause(row.error) if row.settled == Status.STUCK else row.detail
        click.echo(f"  {row.saga_id}  {'stuck again' if row.settled == Status.STUCK else 'refused'}: {_safe(why)}")


@bulk.command("pause")
@job_argument
def pause(job: str) -> None:
    """Move no further sagas of a job until it is resumed."""
    _change(job, "pause")


@bulk.command("resume")
@job_argument
def resume(job: str) -> None:
    """Go on with a paused job."""
    _change(job, "resume")


@bulk.command("stop")
@job_argument
def stop(job: str) -> None:
    """End a job; the sagas that it has not moved stay as they are."""
    _change(job, "stop")


def _job_id(text: str) -> UUID:
    return with_id(text, "bulk job", "saga bulk list", services().bulk_jobs.store.with_digits)


def _change(job: str, action: str) -> None:
    job_id = _job_id(job)
    change_job(services(), job_id, action, actor_named())
    click.echo(f"The job is {services().bulk_jobs.store.find(job_id).status}.")


def _show_dry_run(action: str, wanted: SagaFilter, pace: float) -> None:
    attention = attention_of(services().registry)
    groups = attention.groups(wanted)
    if not groups:
        click.echo(NONE_MATCH)
        return
    fit = min(fits(services().registry, attention.by_state(wanted))[action].sagas, MOST_SAGAS)
    console = screen()
    draw(groups_of(groups, console.width), on=console)
    total = groups[0].total
    stay = f" The other {total - fit} stay as they are: it does not fit their states." if total > fit else ""
    click.echo(
        f"Dry run: nothing was changed. The job would {action} {fit} of {total} saga{'s' if total > 1 else ''}.{stay}"
    )
    if fit > pace:
        click.echo(f"At most {pace:g} a second: that takes {duration(fit / pace)}, and the time of the calls.")


def _safe(text: str | None) -> str:
    return printable(str(services().redact(text or "")))
