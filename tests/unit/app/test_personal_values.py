"""No random personal or secret value appears in anything that is made from a saga to be shown, sent or kept."""

import json
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from urllib.parse import quote
from uuid import UUID

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from app.events.cloudevent import as_cloudevent
from app.events.webhook_event import event_of
from app.logs import JsonLine
from app.store.instance import Instance
from app.telemetry import Telemetry
from app.values import written
from app.views.masking import shown
from app.views.saga_json import move_json
from machines.call import post
from machines.fields import anything, integer, list_of, object_of, optional, personal, secret, text
from machines.history import replies
from machines.registry import Registry
from machines.replay.stand_ins import StandIns, redacted, without_secrets
from machines.saga import Saga
from machines.step import pivot

KEPT = {"id": text(), "owner": personal(text()), "token": secret(text()), "echo": anything()}
SALE = Saga(
    name="sale", version=1, initial="ASKED", completed="SOLD", compensated="NOT_SOLD", client="customer",
    data={
        "customer": integer(1), "email": personal(text()), "card": secret(text()), "phone": personal(integer()),
        "people": list_of(object_of({"name": personal(text()), "seat": integer()})),
        "address": optional(personal(object_of({"street": text(), "lines": list_of(text())}))), "note": text(),
    },
    participants=("shop",), events={"SOLD": "Sold"},
    steps=(
        pivot("sell", post("shop", "/sales", body={"mail": "email", "card": "card"},
                           keeps=KEPT),
              done="SOLD", refused="REFUSED"),
    ),
)  # fmt: skip
#: Each value begins and ends with a letter that nothing else here has, so that no part of it can hide among other text.
FIRST, LAST = "Ж", "Я"
VALUES = st.text(st.characters(exclude_categories=("C",)), min_size=4, max_size=30).map(lambda t: f"{FIRST}{t}{LAST}")
NUMBERS = st.integers(10**15, 10**16)
TRACES = {form(letter) for letter in FIRST + LAST for form in (
    str, str.lower, quote, lambda each: json.dumps(each)[1:-1], lambda each: json.dumps(each.lower())[1:-1],
)}  # fmt: skip
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def row_of(**columns):
    return SimpleNamespace(**dict.fromkeys((
        "source", "step", "direction", "attempt", "reason", "status_code", "reply", "duration_ms", "event",
    )) | columns)  # fmt: skip


@given(st.lists(VALUES, min_size=7, max_size=7), NUMBERS)
@settings(max_examples=60, deadline=None)
def test_no_random_personal_value_leaves_a_saga(values, number):
    email, card, name, street, line, owner, token = values
    data = {
        "customer": 7, "email": email, "card": card, "phone": number, "people": [{"name": name, "seat": 1}],
        "address": {"street": street, "lines": [line]}, "note": f"for {email} at {street}",
    }  # fmt: skip
    says = f"402 no sale to {email} ({number}): {json.dumps(card)} {quote(name)} {owner}"
    reply = {"id": f"id-{token}", "owner": owner, "token": token, "echo": {card: [data["people"], number, line]}}
    moves = [
        row_of(seq=1, at=AT, trigger="begin", dest="ASKED", actor="client"),
        row_of(seq=2, at=AT, source="ASKED", trigger="succeeded", dest="SOLD", step="sell", direction="do", attempt=1,
               actor="p", status_code=200, reply=reply, reason=says, event="Sold"),
    ]  # fmt: skip
    saga_id = UUID("12345678-9abc-4def-8123-456789abcdef")
    row = row_of(
        id=saga_id, definition="sale", definition_version=1, state="SOLD", status="stuck", data=data, error=says,
        table_digest=SALE.digest, client="7",
    )  # fmt: skip
    everywhere = [*of_views(row, moves), *of_events(row, moves), *of_telemetry(data)]
    for text_ in everywhere:
        assert text_
        assert not [trace for trace in TRACES if trace in text_], text_
        assert str(number) not in text_


def of_views(row, moves):
    saga, journal = shown(Registry([SALE]), row, moves)
    yield written([saga.data, saga.error]).decode()
    yield written([move_json(move) for move in journal]).decode()
    for replaced in (without_secrets, partial(redacted, stand_ins=StandIns())):
        data, rows = replaced(SALE, saga.data, journal)
        assert data["email"] != row.data["email"]
        yield f"customer {written([data, [each.reply for each in rows]]).decode()}"


def of_events(row, moves):
    of_saga = {"saga_id": row.id, "definition": "sale", "definition_version": 1, "data": row.data, "parent_id": None}
    move = row_of(**vars(moves[1]) | of_saga)
    move._mapping = vars(move)
    yield written(as_cloudevent(move, SALE.secrets, replies(moves))).decode()
    delivery = row_of(event="completed", saga_id=row.id, seq=2, id=1, webhook="shop", at=AT)
    yield written(event_of(delivery, move, moves, Registry([SALE]))).decode()


def of_telemetry(data):
    metrics, saga, lines = CollectorRegistry(), Instance.new(SALE, data, actor="client"), []
    saga.committed()

    def write(logger, method, event):
        lines.append(JsonLine()(logger, method, event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[write])
    telemetry = Telemetry(metrics, [SALE])
    telemetry.committed(saga, saga.start_moves)
    telemetry.queue.flush()
    structlog.configure(**before)
    assert lines
    yield "".join(lines)
    yield generate_latest(metrics).decode()
