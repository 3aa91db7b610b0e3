"""Ended sagas with an effect that nobody knows: the list, the count, and what a person records about it."""

import re

import pytest
from sqlalchemy import select, update

from app.access.permissions import Role
from app.access.principal import user
from app.services import services
from app.store import audit
from app.store.database import db
from app.store.models import JournalRow, SagaRow
from app.store.unknown_effects import still_unknown
from machines.history import NOTHING_FOUND
from tests.integration.admin.conftest import seen

GIVEN_UP = ("succeeded", "succeeded", "succeeded", "exhausted", "compensate", "succeeded", "succeeded")
UNDONE = ("succeeded", "succeeded", "succeeded", "refused", "succeeded", "succeeded")
FOUND = {"found": "not_happened", "reason": "no sale in the books of ventes"}


def in_list(client, **query):
    return client.get("/admin/sagas", query_string={"still_unknown": "true"} | query).text


def test_ended_saga_with_an_unknown_effect_is_listed_until_it_is_checked(client, walk):
    saga, other = walk(*GIVEN_UP), walk(*UNDONE)
    assert (saga.status, other.status) == ("compensated", "compensated")
    page = in_list(client)
    assert str(saga.id) in page
    assert "Record the sale (enregistrer_vente) at ventes" in page
    assert str(other.id) not in page
    assert "1 still unknown" in seen(client.get("/admin"))
    assert str(saga.id) not in in_list(client, still_unknown="false")
    before = client.get(f"/admin/sagas/{saga.id}")
    assert "Look at ventes for the key above" in seen(before)
    answer = client.post(f"/admin/sagas/{saga.id}/checked", data=FOUND)
    assert answer.status_code == 200
    assert "Checked by ada at" in seen(answer)
    assert "it did not happen. no sale in the books of ventes" in seen(answer)
    assert str(saga.id) not in in_list(client)
    assert "still unknown" not in seen(client.get("/admin"))
    row = audit.page(db.engine, limit=1, saga_id=saga.id)[0]
    assert (row.action, row.actor, row.target) == ("saga.checked", "user:ada", "checkout")
    assert row.after == {"steps": ["enregistrer_vente"], "found": "not_happened"}


@pytest.mark.parametrize(
    ("found", "words", "brief"),
    [
        ("happened", "it happened, and it may stay", "happened, says ada"),
        ("not_happened", "it did not happen", "did not happen, says ada"),
        ("put_right", "it happened, and it is undone by hand", "undone by hand, says ada"),
    ],
)
def test_what_a_person_has_found_is_said_everywhere(client, walk, monkeypatch, found, words, brief):  # noqa: PLR0917
    monkeypatch.setenv("COLUMNS", "200")
    saga = walk(*GIVEN_UP)
    for recorded in ("put_right", found):  # the last one counts
        assert (
            client.post(f"/api/v1/sagas/{saga.id}/checked", json={"found": recorded, "reason": "x"}).status_code == 200
        )
    page, effects = client.get(f"/admin/sagas/{saga.id}"), client.get(f"/api/v1/sagas/{saga.id}/effects").json
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", str(saga.id)]).output
    markdown = re.search(r'<textarea id="ticket".*?>(.*?)</textarea>', page.text, re.DOTALL)[1].replace("\\", "")
    headline = (
        rf"Compensated\. ada checked Record the sale \(enregistrer_vente\) at [-:0-9 ]+ UTC: {words}\. Every other"
    )
    for text in (seen(page), markdown, effects["summary"], re.sub(r"\s+", " ", shown)):
        assert re.search(headline, text), text
        assert "still unknown" not in text.partition("What people did")[0], text
    sale = next(each for each in effects["effects"] if each["step"] == "enregistrer_vente")
    assert (sale["effect"], sale["words"], sale["found"], sale["checked_by"]) == ("unknown", brief, found, "user:ada")
    assert sale["description"].endswith(f" UTC: {words}.")
    assert f'<span class="pill unknown">{brief}</span>' in page.text
    assert "Record another finding" in seen(page)


def test_undo_of_which_the_probe_found_nothing_is_listed(client, walk):
    saga = walk(*UNDONE)
    assert str(saga.id) not in in_list(client)
    undone = (JournalRow.saga_id == saga.id, JournalRow.step == "payer", JournalRow.direction == "undo")
    db.session.execute(update(JournalRow).where(*undone).values(reason=f"{NOTHING_FOUND}404"))
    db.session.commit()
    page = in_list(client)
    assert str(saga.id) in page
    assert "Take the payment (payer) at client" in page
    assert "Take the payment (payer) is still unknown: client may have got the call later" in seen(
        client.get(f"/admin/sagas/{saga.id}")
    )


@pytest.mark.parametrize(
    ("outcomes", "form", "refused"),
    [
        (GIVEN_UP, {"reason": ""}, (400, "reason")),
        (GIVEN_UP, {"found": "perhaps"}, (400, "found")),
        (UNDONE, {}, (409, "no effect of the saga is unknown")),
        (GIVEN_UP[:5], {}, (409, "it is compensating, in refunds the payment (REMBOURSEMENT)")),
    ],
)
def test_wrong_finding_records_nothing(client, walk, outcomes, form, refused):
    saga, (status, words) = walk(*outcomes), refused
    answer = client.post(f"/admin/sagas/{saga.id}/checked", data=FOUND | form)
    assert answer.status_code == status
    assert words in seen(answer)
    assert not audit.page(db.engine, limit=1, saga_id=saga.id)


def test_viewer_sees_the_unknown_effect_and_records_nothing(client, walk, monkeypatch):
    saga = walk(*GIVEN_UP)
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert client.post(f"/admin/sagas/{saga.id}/checked", data=FOUND).status_code == 403
    page = seen(client.get(f"/admin/sagas/{saga.id}"))
    assert "Still unknown" in page
    assert "Record what you found" not in page


def test_list_reads_the_index_of_such_moves(client, walk):
    walk(*GIVEN_UP)
    wanted = select(SagaRow.id).where(still_unknown(services().registry))
    statement = wanted.compile(db.engine, compile_kwargs={"literal_binds": True})
    if db.engine.dialect.name == "sqlite":  # PostgreSQL reads so few rows without an index
        plan = " ".join(str(row) for row in db.session.execute(db.text(f"EXPLAIN QUERY PLAN {statement}")))
        assert "journal_leaves_unknown" in plan, plan
