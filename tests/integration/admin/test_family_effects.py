"""What the page, the API and the command line of a saga say of the sagas that its steps have started."""

import re
from uuid import UUID

import pytest
from sqlalchemy import event

from app.store.database import db
from machines import Saga, compensatable, pivot, post, retriable, sub
from tests.integration.admin.conftest import seen
from tests.integration.engine.families import settle, the
from tests.integration.engine.scene import LOST, REFUSED

SHIP = pivot("ship", post("shop", "/ship"), done="SHIPPED", refused="NOT_SHIPPED", title="Ship the parcel")
DELIVER = sub("deliver", pivot=True, done="DELIVERED", refused="NOT_DELIVERED")
END = retriable("end", post("shop", "/end"), done="END_DONE")
HOLD = compensatable("hold", post("shop", "/hold"), undo=post("shop", "/free"), done="HELD", refused="NOT_HELD")


def table(name, *steps):
    return Saga(
        name=name, version=1, initial=f"NEW_{name.upper()}", completed=steps[-1].done,
        compensated=f"{name.upper()}_CALLED_OFF", participants=("shop",), data={}, steps=steps,
    )  # fmt: skip


ORDER = table("order", HOLD, DELIVER, END)
NOBODY = r"deliver is still unknown: Ship the parcel \(ship\) of deliver [0-9a-f]{8} is still unknown\."
BY_HAND = r"otto resolved Ship the parcel \(ship\) of deliver [0-9a-f]{8} by hand; no participant confirmed it\."

STAYS = (
    r"deliver took effect and is not undone\. "
    r"ada checked Ship the parcel \(ship\) of deliver [0-9a-f]{8} at [-:0-9 ]+ UTC: it happened, and it may stay\. "
    r"Every other step that was done is undone\."
)


@pytest.mark.parametrize(
    ("action", "status", "words", "effect"),
    [
        ("compensate", "compensated", NOBODY, ("unknown", "unknown")),
        ("checked", "compensated", STAYS, ("took effect", "took effect in part")),
        ("resolve", "completed", rf"Completed\. {BY_HAND}", ("took effect", "took effect, partly by hand")),
    ],
)
def test_parent_says_what_a_person_has_decided_in_its_child(family, monkeypatch, action, status, words, effect):  # noqa: PLR0917
    monkeypatch.setenv("COLUMNS", "200")
    scene, client = family(ORDER, table("deliver", SHIP), replies={"ship": [LOST] * 9})
    child = UUID(str(the(scene, "deliver")["id"]))
    given = [{}] if action == "resolve" else []
    getattr(scene.service, action.replace("checked", "compensate"))(child, "user:otto", "seen", *given, 0.0)
    settle(scene)
    if action == "checked":
        body = {"found": "happened", "reason": "it is there"}
        assert client.post(f"/api/v1/sagas/{child}/checked", json=body).status_code == 200
    db.session.rollback()
    parent = the(scene, "order")
    assert parent["status"] == status
    page, found = client.get(f"/admin/sagas/{parent['id']}"), client.get(f"/api/v1/sagas/{parent['id']}/effects").json
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", str(parent["id"])]).output
    markdown = re.search(r'<textarea id="ticket".*?>(.*?)</textarea>', page.text, re.DOTALL)[1].replace("\\", "")
    for text in (seen(page), markdown, found["summary"], re.sub(r"\s+", " ", shown)):
        assert re.search(words, text), text
        assert "every step" not in text.replace("Every other step", ""), text
        assert "nothing is left" not in text, text
        assert status == "completed" or "is done" not in text, text
    deliver = next(each for each in found["effects"] if each["step"] == "deliver")
    assert (deliver["effect"], deliver["words"]) == effect
    assert "Record what you found" not in page.text, "the page of the child records it"


def test_saga_that_has_started_no_other_saga_reads_none(family):
    _, client = family(table("order", HOLD, END), replies={})
    (saga,) = client.get("/api/v1/sagas").json["sagas"]
    statements: list[str] = []
    listens = (db.engine, "before_cursor_execute", lambda *found: statements.append(found[2]))
    event.listen(*listens)
    client.get(f"/api/v1/sagas/{saga['id']}/effects")
    event.remove(*listens)
    assert statements
    assert not [each for each in statements if "RECURSIVE" in each]


STEPS = compensatable("pack", post("shop", "/pack"), undo=post("shop", "/unpack"), done="PACKED", refused="UNPACKED")
DELIVER_FIRST = sub("deliver", done="DELIVERED", refused="NOT_DELIVERED")


@pytest.mark.parametrize(
    ("by", "words", "pill"),
    [
        ("nobody", "Compensated: nothing is left of what its sagas have done.", "not done"),
        (
            "resolve",
            "Compensated. otto resolved the undo of pack",
            "undone, partly by hand",
        ),
    ],
)
def test_parent_says_that_its_refused_child_was_undone(family, by, words, pill):
    refused = {} if by == "nobody" else {"undo_pack": [REFUSED]}
    scene, client = family(
        table("order", DELIVER_FIRST, END), table("deliver", STEPS, HOLD), replies={"hold": [REFUSED], **refused}
    )
    if by == "resolve":
        scene.service.resolve(UUID(str(the(scene, "deliver")["id"])), "user:otto", "seen", {}, 0.0)
        settle(scene)
    db.session.rollback()
    parent = the(scene, "order")["id"]
    found = client.get(f"/api/v1/sagas/{parent}/effects").json
    assert found["summary"].startswith(words)
    assert found["effects"][0]["words"] == pill
