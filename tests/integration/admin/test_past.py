"""The page and the diagram of a saga as it was after an earlier entry of its journal."""

import re
from html import unescape

from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import JournalRow, SagaRow
from tests.integration.admin.conftest import seen


def effects(page):
    """Return step → effect and if the entry changed it, of the card with the slider."""
    card = re.search(r'<ul class="then".*?</ul>', page.text, re.DOTALL)[0]
    found = re.findall(r'<li( class="changed")?>([^<]*)<span class="pill[^>]*>([^<]*)<', card)
    return {unescape(step).strip(): (effect, bool(changed)) for changed, step, effect in found}


def test_each_entry_shows_what_was_done_by_then(client, walk):
    saga = walk("succeeded", "succeeded", "retry", "succeeded")
    path = f"/admin/sagas/{saga.id}"
    after = {seq: effects(client.get(f"{path}?at={seq}")) for seq in range(1, saga.next_seq)}
    words = {seq: {step: effect for step, (effect, _) in found.items()} for seq, found in after.items()}
    reserve, pay, *_ = after[1]
    assert [words[seq][reserve] for seq in (1, 2, 3)] == ["not done", "not done", "took effect"]
    assert after[3][reserve] == ("took effect", True)
    assert after[4][reserve] == ("took effect", False)
    assert (words[3][pay], words[4][pay]) == ("not done", "unknown")
    last = max(after)
    assert after[last] == {**effects(client.get(path))}, "without `at` it is the present"


def test_the_diagram_is_drawn_as_it_was(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded")
    path = f"/api/v1/sagas/{saga.id}/diagram.svg"
    then, now = client.get(f"{path}?at=2").text, client.get(path).text
    assert "It was in PANIER_RECUPERE after entry 2 of 4." in then
    assert "it was here then" in then
    assert "it is here now" in now
    assert "it is here now" not in then
    assert client.get(f"{path}?at=4").text == now, "the last entry is the present"
    assert f"{path}?version=" in client.get(f"/admin/sagas/{saga.id}?at=2").text


def test_the_slider_and_the_picture_name_states_by_their_titles(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded", "exhausted")
    page = client.get(f"/admin/sagas/{saga.id}").text
    said = re.findall(r'(?:aria-valuetext|alt)="([^"]+)"', page)
    assert len([words for words in said if "stuck: Record the sale" in words]) == 2
    assert not [words for words in said if saga.state in words]


def test_a_moment_that_the_journal_lacks_is_not_found(client, walk):
    saga = walk("succeeded")
    for path in (f"/admin/sagas/{saga.id}", f"/api/v1/sagas/{saga.id}/diagram.svg"):
        assert client.get(f"{path}?at=3").status_code == 404
        assert client.get(f"{path}?at=0").status_code == 400


def test_a_saga_that_went_back_has_a_status_at_each_entry(client, walk):
    saga = walk("succeeded", "succeeded", "refused", "succeeded")
    pages = [client.get(f"/admin/sagas/{saga.id}?at={seq}") for seq in range(1, saga.next_seq)]
    statuses = [re.search(r'<p role="status"><span class="pill (\w+)', page.text)[1] for page in pages]
    assert statuses[0] == "running"
    assert statuses[-1] == "compensated"
    assert "compensating" in statuses, "also in the state that it only passes through"


def test_the_slider_is_a_form_without_scripts_and_changes_nothing(client, walk):
    saga = walk("succeeded", "succeeded")
    page = client.get(f"/admin/sagas/{saga.id}?at=2&entry=1").text
    form = re.search(r'<form class="slider".*?</form>', page, re.DOTALL)[0]
    assert 'method="post"' not in form
    assert '<input type="hidden" name="entry" value="1">' in form, "the chosen entry stays"
    assert 'min="1" max="3" value="2"' in form
    counts = [db.session.query(table).count() for table in (SagaRow, JournalRow, AuditRow)]
    assert counts == [1, 3, 0]


def test_the_present_diagram_needs_no_moment(client, walk):
    saga = walk("succeeded")
    page = client.get(f"/admin/sagas/{saga.id}")
    assert "now" in seen(page)
    assert not re.search(r"diagram\.svg\?[^\"]*at=", page.text)
