"""/admin/sagas/<id>/replay: the verdict, and a form that changes one outcome by GET."""

import pytest
from sqlalchemy import update

from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import JournalRow
from tests.integration.admin.conftest import seen


@pytest.fixture
def saga(walk):
    walked = walk("succeeded", "succeeded", "succeeded", "succeeded", "succeeded")
    whole = {"montant": 5, "produits": [], "reservation_id": "r-1"}  # with each field that a later call needs
    db.session.execute(update(JournalRow).where(JournalRow.trigger == "succeeded").values(reply=whole))
    db.session.commit()
    return walked


def path(saga):
    return f"/admin/sagas/{saga.id}/replay"


def test_page_of_a_saga_links_to_its_replay(client, saga):
    assert f'href="{path(saga)}"' in client.get(f"/admin/sagas/{saga.id}").get_data(as_text=True)


def test_replay_says_that_the_table_goes_the_same_way(client, saga):
    page = seen(client.get(path(saga)))
    assert "The present table goes the same way as the journal" in page
    assert "As it was" not in page


def test_form_shows_both_ways_and_changes_nothing(client, saga):
    moves = db.session.query(JournalRow).count()
    answer = client.get(path(saga), query_string={"call": "payer", "outcome": "refused"})
    page, html = seen(answer), answer.get_data(as_text=True)
    assert "effect of reserver_stock took effect undone" in page
    assert "ends completed in CONFIRMEE compensated in ANNULEE" in page
    assert "Taken to succeed, because the journal does not have them: undo reserver_stock." in page
    assert "<option selected>payer</option>" in html
    assert 'method="get"' in html
    unreached = seen(client.get(path(saga), query_string={"call": "undo reserver_stock", "outcome": "lost"}))
    assert "not reached: the saga makes no call undo reserver_stock, so nothing changes." in unreached
    assert "As it was" not in unreached
    assert (db.session.query(JournalRow).count(), db.session.query(AuditRow).count()) == (moves, 0)


def test_change_of_nothing_is_an_error_page(client, saga):
    answer = client.get(path(saga), query_string={"call": "tip", "outcome": "refused"})
    assert (answer.status_code, "changes no call" in seen(answer)) == (400, True)


def test_other_way_shows_the_first_difference(client, saga):
    db.session.execute(db.text("UPDATE journal SET dest = 'ANNULEE' WHERE seq = 3"))
    db.session.commit()
    page = seen(client.get(path(saga)))
    assert "goes another way than the journal" in page
    assert "First difference, move 3: in the journal" in page
