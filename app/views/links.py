"""The links of LINKS for one saga, one call or one participant."""

from collections.abc import Iterable, Sequence

from app.link_settings import OF_A_CALL, Link
from app.store.models import SagaRow

Filled = Sequence[tuple[str, str]]


def links_of_saga(links: Iterable[Link], saga: SagaRow) -> Filled:
    """Return words and URL of each link that names no step and no participant."""
    return _filled([each for each in links if not each.names & {*OF_A_CALL}], saga)


def links_of_call(links: Iterable[Link], saga: SagaRow, step: str, participant: str) -> Filled:
    """Return words and URL of each link that names the step or the participant."""
    return _filled([each for each in links if each.names & {*OF_A_CALL}], saga, step=step, participant=participant)


def links_of_participant(links: Iterable[Link], participant: str) -> Filled:
    """Return words and URL of each link that names a participant and nothing else."""
    found = ((each, each.filled({"participant": participant})) for each in links if each.names == {"participant"})
    return [(each.words, url) for each, url in found if url]


def _filled(links: Iterable[Link], saga: SagaRow, **more: str) -> Filled:
    values = {
        "saga_id": str(saga.id), "trace_id": saga.id.hex, "type": saga.definition, "order": saga.order_ref,
        "client": saga.client, "parent_id": str(saga.parent_id) if saga.parent_id else None, **more,
    }  # fmt: skip
    found = ((each, each.filled(values)) for each in links)
    return [(each.words, url) for each, url in found if url]
