"""Each number of the overview, and of the other pages that count sagas, leads to a list of as many sagas."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import update

from app.store import cases
from app.store.database import db, in_seconds
from app.store.models import SagaRow
from machines import Saga, compensatable, post, sub, together
from tests.integration.admin.conftest import seen_text
from tests.integration.engine.families import begin
from tests.integration.engine.scene import REFUSED, answer

OK = answer(200)


def step(name):
    return compensatable(
        name, post("shop", f"/{name}"), undo=post("shop", f"/{name}/undo"), done=f"{name.upper()}_DONE",
        refused=f"{name.upper()}_REFUSED",
    )  # fmt: skip


def table(name, *steps):
    return Saga(
        name=name, version=1, initial=f"NEW_{name.upper()}", completed=steps[-1].done, participants=("shop",), data={},
        compensated=f"{name.upper()}_CALLED_OFF", steps=steps,
    )  # fmt: skip


PAY = sub("payment", data={}, done="PAID", refused="UNPAID")
PAPERS = together(step("label"), step("bill"), name="papers", done="PRINTED", refused="BARE")
TABLES = table("order", PAY, PAPERS, step("send")), table("payment", step("charge"))
#: One order completes, one goes back, two are stuck in the undo of a branch.
REPLIES = {"send": [OK, REFUSED, REFUSED, REFUSED], "undo_label": [OK, REFUSED, REFUSED]}

PAGES = ("/admin", "/admin/definitions", "/admin/definitions/payment", "/admin/participants")


def numbers(page):
    """Return the links of a page whose text is a number of sagas: link → number, text."""
    found = re.findall(r'<a [^>]*?href="(/admin/[^"]*\?[^"]*)"[^>]*>(.*?)</a>', page, flags=re.DOTALL)
    rows = re.findall(
        r'href="(/admin/stuck\?[^"]*cause=[^"]*)".*?data-is="Sagas" class="number">(\d+)<', page, re.DOTALL
    )
    texts = [(unescape(link), seen_text(html).strip()) for link, html in found]
    first = [(link, int(text.split()[0]), text) for link, text in texts if re.match(r"\d+( |$)", text)]
    return [*first, *((unescape(link), int(sagas), "cause") for link, sagas in rows)]


def total(client, link):
    """Return the number of sagas of the list that a link leads to."""
    page = seen_text(client.get(link).text)
    if "No stuck sagas match these filters." in page:
        return 0
    return int(re.search(r"(\d+) in all" if link.startswith("/admin/stuck") else r"(\d+) sagas? ", page)[1])


@pytest.fixture
def shop(family):
    """Return a client. One of two stuck branches is snoozed, and the payment of a fifth order waits for the shop."""
    scene, client = family(*TABLES, replies=REPLIES)
    for _ in range(3):
        begin(scene, *TABLES)
    scene.run(TABLES[0])
    begun = (SagaRow.definition == "payment", SagaRow.state == TABLES[1].initial)
    held = update(SagaRow).where(*begun).values(deferrals=2, due_at=in_seconds(600), owner=None, status="running")
    db.session.execute(held)
    db.session.commit()
    stuck = next(iter(db.session.query(SagaRow).where(SagaRow.status == "stuck")))
    cases.snooze(db.engine, stuck, "user:ada", datetime.now(UTC) + timedelta(hours=1), "tomorrow")
    return client


def test_each_number_leads_to_a_list_of_as_many_sagas(shop):
    for path in PAGES:
        found = numbers(shop.get(path).text)
        assert [(link, sagas, text) for link, sagas, text in found if total(shop, link) != sagas] == [], path
        assert any(sagas for _, sagas, _ in found), path


def test_row_of_a_branch_counts_its_sagas_of_the_last_hour(shop):
    words = seen_text(shop.get("/admin").text)
    assert "18 in the last hour" in words
    assert re.search(r"order\.papers\.label .*? 4 1 1 ", words.partition("By saga")[2])
