"""The times on the pages: each is exact for programs, and says its zone to a reader without scripts."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.admin.times import time_element
from app.store import queries
from tests.integration.admin.conftest import seen

MOMENT = datetime(2027, 1, 31, 0, 30, 5, 678_900, tzinfo=timezone(timedelta(hours=1)))
TEMPLATES = Path(__file__).parents[3] / "app" / "templates"


@pytest.mark.parametrize(
    ("unit", "text"),
    [("day", "2027-01-30"), ("minute", "2027-01-30 23:30"), ("millisecond", "2027-01-30 23:30:05.678")],
)
def test_time_is_shown_in_utc_and_exact_for_programs(unit, text):
    element = str(time_element(MOMENT, unit))
    assert element == f'<time datetime="2027-01-30T23:30:05.678Z" data-unit="{unit}">{text}</time>'


def test_list_says_when_each_saga_was_started(client, walk):
    saga = walk("succeeded")
    page = client.get("/admin/sagas")
    with client.application.app_context():
        created_at = queries.get(saga.id).created_at.astimezone(UTC)
    (found,) = re.findall(
        r'<time datetime="([^"]+)" data-unit="second">([^<]+)</time>', page.text.partition("</thead>")[2]
    )
    assert found[1] == f"{created_at:%Y-%m-%d %H:%M:%S}"
    assert datetime.fromisoformat(found[0]) == created_at.replace(microsecond=created_at.microsecond // 1000 * 1000)
    assert "Started UTC" in seen(page)


def test_templates_write_times_in_one_way():
    ways = {
        file.name: found
        for file in TEMPLATES.rglob("*.html")
        if (found := re.findall(r"strftime|isoformat\(\) \}\}<|\| moment\b|\(UTC\)</t[hd]", file.read_text()))
    }
    assert ways == {}


def test_clock_of_the_server_is_no_change_of_a_page(client):
    first, again = (client.get("/admin/sagas") for _ in range(2))
    clocks = [re.search(r'data-now="([^"]+)"', page.text)[1] for page in (first, again)]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(clocks[0])) < timedelta(minutes=5)
    assert clocks[0] < clocks[1]
    assert first.headers["ETag"] == again.headers["ETag"]
