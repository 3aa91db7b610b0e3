"""`saga seed`: one example of every saga, so that lists, pages and diagrams have something to show."""

import click

from app.cli.group import saga
from app.errors import StillRunningError
from app.services import services
from app.store.instance import Standing
from app.views.saga_data import data_schema, example
from app.views.validation import load
from machines.saga import Saga


@saga.command("seed")
def seed() -> None:
    """Start one example of every saga, with its table's example data.

    A second run starts nothing: each example has a key of its own.
    """
    runner = services().runner
    try:
        for name in services().registry.names:
            definition = services().registry.latest(name)
            begun = _started(definition)
            what = begun.status if begun else "under way"
            click.echo(f"{definition}: {what}{' (started before)' if begun is None or begun.replayed else ''}")
    finally:
        runner.stop()


def _started(definition: Saga) -> Standing | None:
    """Return where the example stands; None when an earlier run has started it and it is still under way."""
    data = load(data_schema(definition), example(definition.data))
    try:
        return services().sagas.start(definition.name, data, f"seed/{definition.name}/{definition.version}")
    except StillRunningError:
        return None
