"""`--dry-run` of an action on one saga: the states and calls that it would lead to, as the saga's page shows them."""

from collections.abc import Iterator
from typing import Any

import click

from app.cli.arguments import definition_of
from app.cli.output import printable, write_json
from app.errors import ConflictError
from app.services import services
from app.store import queries
from app.store.models import SagaRow
from app.views.available_actions import AvailableAction, actions_of
from app.views.known_effects import effects_now
from app.views.masking import shown
from app.views.planned_calls import PlannedCall
from app.views.titles import participant_words, state_words_in
from diagrams.descriptions import named

#: Name under which the context of a command keeps whether it is a dry run.
_DRY_RUN = "app.cli.dry_run"


class _UnlessDryRun(click.Option):
    """An option that is required, except for a dry run."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        return None if ctx.meta[_DRY_RUN] else super().process_value(ctx, value)


def _remember(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    ctx.meta[_DRY_RUN] = value


#: is_eager: click then reads this option before --reason.
dry_run_option = click.option(
    "--dry-run", is_flag=True, is_eager=True, expose_value=False, callback=_remember,
    help="Show the states and calls to come, and change nothing.",
)  # fmt: skip
reason_option = click.option(
    "--reason", cls=_UnlessDryRun, required=True, help="The reason, which is recorded; a dry run needs none."
)


def show_dry_run(row: SagaRow, name: str, *, as_json: bool) -> None:
    """Show what an action would do. Raise ConflictError when the saga refuses it now."""
    row, journal = shown(services().registry, row, queries.journal(row.id))
    definition = definition_of(row)
    effects = effects_now(definition, row, journal)
    found = actions_of(services(), definition, row, journal, effects) if definition else []
    action = next((each for each in found if each.name == name), None)
    if action is None or action.why_not:
        why_not = action.why_not if action else "its table does not allow it here"
        raise ConflictError(f"{name}: the saga is {row.status}, in {row.state}: {why_not}", saga_id=str(row.id))
    if as_json:
        write_json(_as_json(action))
        return
    click.echo(f"Nothing was done. {action.title}: {action.description}")
    if action.warning:
        click.echo(f"Warning: {action.warning}")
    states = (state_words_in(definition, stop.state.name) for stop in action.preview.course)
    click.echo(f"States: {' → '.join(states)}")
    for line in _lines(action):
        click.echo(printable(line))


def _lines(action: AvailableAction) -> Iterator[str]:
    if not action.planned.calls:
        yield "No call is sent."
    for planned in action.planned.calls:
        by = f" by {planned.child}" if planned.child else ""
        probe = f", unless {planned.probe} finds that it was done" if planned.probe else ""
        at = participant_words(planned.call.participant)
        yield f"  {_deed(planned)} at {at}{by}: {planned.call.method} {_path(planned)}{probe}"
    for step, number in action.planned.unlisted.items():
        yield f"  and the calls of {number} more sagas of {step}"


def _deed(planned: PlannedCall) -> str:
    return (
        "after the end"
        if planned.after_end
        else f"{'undo ' if planned.undoes else 'do '}{named(planned.title, planned.step)}"
    )


def _path(planned: PlannedCall) -> str:
    return str(services().redact(planned.path)) if planned.path else planned.call.path


def _as_json(action: AvailableAction) -> dict[str, Any]:
    return {
        "action": action.name,
        "warning": action.warning or None,
        "states": [stop.state.name for stop in action.preview.course],
        "calls": [
            {
                "step": planned.step,
                "undoes": planned.undoes,
                "participant": planned.call.participant,
                "method": planned.call.method,
                "path": _path(planned),
            }
            for planned in action.planned.calls
        ],
    }
