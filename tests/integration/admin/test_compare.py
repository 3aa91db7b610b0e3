"""A saga beside another one of its type: where they part, the time of each step, and the data that differ."""

import re
from html import unescape

from sqlalchemy import update

from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import JournalRow
from tests.integration.admin.conftest import REPLY, seen

DONE = ("succeeded",) * 5


def compared(client, saga, other):
    return client.get(f"/admin/sagas/{saga.id}/compare?with={other.id}")


def rows(page, section):
    """Return the texts of the cells of a section's table."""
    table = re.search(rf'aria-labelledby="{section}">.*?</section>', page.text, re.DOTALL)[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)]
    return [[re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", cell))).strip() for cell in row] for row in cells][1:]


def test_the_first_difference_and_what_follows_is_marked(client, walk):
    saga, other = walk(*DONE), walk("succeeded", "succeeded", "refused", "succeeded")
    page = compared(client, saga, other)
    assert "They differ after 3 equal entries" in seen(page)
    marks = [row[0] for row in rows(page, "ways")]
    assert marks[:4] == ["=", "=", "=", "≠ first difference"]
    assert set(marks[4:]) == {"≠"}
    assert "succeeded" in rows(page, "ways")[3][1]
    assert "refused" in rows(page, "ways")[3][2]
    assert marks == [row[0] for row in rows(compared(client, other, saga), "ways")]


def test_an_attempt_more_moves_nothing_else(client, walk):
    page = compared(client, walk("retry", *DONE), walk(*DONE))
    ways = rows(page, "ways")
    assert [row[0] for row in ways] == ["=", "≠ first difference", *["="] * 5]
    assert ways[1][2] == "–"  # noqa: RUF001
    assert "Read the cart retry in started" in ways[1][1], "the saga has not moved"
    times = {step: cells for step, *cells in rows(page, "step-times")}
    assert times["Read the cart"] == ["10 ms 2 calls", "5 ms 1 call", "+5 ms"]
    assert times["Take the payment"][2] == "0 ms"


def test_equal_sagas_differ_in_nothing(client, walk):
    page = compared(client, walk(*DONE), walk(*DONE))
    assert "Both went the same way" in seen(page)
    assert rows(page, "values") == []


def test_values_that_differ_are_named_and_secrets_are_not_shown(client, walk):
    saga, other = walk(*DONE, client_id=4, magasin_id=1), walk(*DONE, client_id=5, magasin_id=1)
    theirs = {**REPLY, "iban": "DE-their-own", "montant": 7, "lines": [1, 2]}
    change = update(JournalRow).where(JournalRow.saga_id == other.id, JournalRow.step == "payer")
    db.session.execute(change.values(reply=theirs))
    db.session.commit()
    page = compared(client, saga, other)
    found = {where: values for where, *values in rows(page, "values")}
    assert found["data.client_id"] == ["4", "5"]
    assert found["reply of payer.montant"] == ["5", "7"]
    assert found["reply of payer.lines[1]"] == ["none", "2"]
    assert "reply of payer.iban" not in found, "not even that it differs"
    assert "data.magasin_id" not in found
    assert "DE-their-own" not in page.text
    assert "CH93" not in page.text


def test_other_saga_is_found_by_the_beginning_of_its_id(client, walk):
    saga, other = walk(*DONE), walk(*DONE)
    path = f"/admin/sagas/{saga.id}/compare"
    assert str(other.id) in client.get(path).text, "the page proposes it"
    assert f"with={saga.id}" not in client.get(path).text
    assert "Both went" in seen(client.get(f"{path}?with={str(other.id)[-8:]}"))
    assert client.get(f"{path}?with=abc").status_code == 400
    assert client.get(f"{path}?with={saga.id}").status_code == 404, "not with itself"
    assert client.get(f"{path}?with={walk(definition='commande').id}").status_code == 404, "of another type"
    assert db.session.query(AuditRow).count() == 0
