"""The release that made a move, and the releases that appeared in the window of the rates."""

import re

from sqlalchemy import delete, text, update

from app.store import releases
from app.store.database import db, in_seconds
from app.store.leases import Replicas
from app.store.process_models import ProcessReleaseRow
from app.store.rates import rates
from tests.integration.admin.conftest import seen


def started(owner, release, ago_s=0.0):
    """Start a process of a release some seconds ago."""
    Replicas(db.engine, owner, 1, release).beat()
    change(update(ProcessReleaseRow).where(ProcessReleaseRow.owner == owner).values(started_at=in_seconds(-ago_s)))


def change(statement, values=None):
    db.session.execute(statement, values or {})
    db.session.commit()


def made_by(saga, *actors):
    """Set who made the moves of a saga, beginning with the first."""
    saga_id = saga.id if db.engine.dialect.name == "postgresql" else saga.id.hex
    for seq, actor in enumerate(actors, start=1):
        statement = text("UPDATE journal SET actor = :actor WHERE saga_id = :id AND seq = :seq")
        change(statement, {"actor": actor, "id": saga_id, "seq": seq})


def test_entry_names_the_release_of_the_process_that_made_the_move(client, walk):
    started("old:7:aa", "2026.10.1")
    started("new:7:bb", "2026.11.1")
    saga = walk("succeeded", "succeeded", "succeeded")
    made_by(saga, "user:ada", "engine@old:7:aa", "engine@new:7:bb", "engine@gone:7:cc")
    assert [release_of(client, saga, entry) for entry in (1, 2, 3, 4)] == [None, "2026.10.1", "2026.11.1", None]


def release_of(client, saga, entry):
    """Return the release that the page shows with an entry of the journal."""
    page = client.get(f"/admin/sagas/{saga.id}?entry={entry}").text
    assert f'id="entry-title">{entry}: ' in page
    found = re.search(r'<dt>Release</dt><dd class="words">([^<]+)</dd>', page)
    return found and found[1]


def test_release_appears_with_its_first_process(client):
    change(delete(ProcessReleaseRow))
    for owner, release, ago_s in (("a", "old", 9_000), ("b", "new", 600), ("c", "new", 60), ("d", "old", 30)):
        started(owner, release, ago_s)
    found = rates({}, ["checkout"], 3_600, 60)
    assert [each.release for each in found.deploys] == ["new"]
    page = client.get("/admin/rates?type=checkout")
    places = {float(place) for place in re.findall(r'class="deploy" x1="([^"]+)"', page.text)}
    assert len(places) == 1
    assert 49.9 < places.pop() < 50.1, "ten minutes before the end of 60 parts of a minute"
    assert "Dashed: a release appeared. new" in seen(page)
    assert [each.release for each in rates({}, ["checkout"], 86_400, 900).deploys] == ["old", "new"]


def test_process_writes_its_release_once_and_old_processes_are_forgotten(client):
    change(delete(ProcessReleaseRow))
    process = Replicas(db.engine, "a", 1, "2026.11.1")
    process.beat()
    change(delete(ProcessReleaseRow))
    process.beat()
    assert releases.releases_of({"engine@a"}) == {}, "it has written its row already"
    started("long-gone", "2020.1", releases.KEPT_DAYS * 86_400 + 10)
    started("now", "2026.11.1")
    assert releases.releases_of({"engine@long-gone", "engine@now", "user:now"}) == {"engine@now": "2026.11.1"}
