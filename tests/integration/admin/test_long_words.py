"""Every page and drawing shows very long texts, which only an older release could store.

No test measures time. With texts of this length a quadratic algorithm takes hours, so its test would never end.
"""

import pytest
from sqlalchemy import text

from app.logs import HIDDEN, JsonLine, Secrets
from app.store import queries
from app.store.database import db
from app.values import LONGEST_LINE
from diagrams.picture.elements import Text, wrap
from tests.integration.admin.conftest import REPLY

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")
LONG = 300_000
#: Texts that are hard to lay out, or that make a slow regular expression start again at each character.
HOSTILE = ["z" * LONG, "pwd" * (LONG // 3), "pwd " * (LONG // 4), "a " * (LONG // 2), "://a:" * (LONG // 5),
           "token:" + " " * LONG, 'pwd="' * (LONG // 5), "\N{RIGHT-TO-LEFT OVERRIDE}" * (LONG // 3)]  # fmt: skip
IDS = [words[:8].strip() or "bidi" for words in HOSTILE]


@pytest.mark.parametrize("words", HOSTILE, ids=IDS)
def test_a_long_text_is_searched_for_secrets_once(words):
    assert len(Secrets([]).redacted(words)) <= LONG + 6
    assert Secrets([]).redacted({words: words})
    assert JsonLine()(None, "info", {"event": "x", "reason": words}).endswith("}")


@pytest.mark.parametrize(
    ("given", "redacted"),
    [
        ("pwd=hunter2", f"pwd={HIDDEN}"),
        ("a=pwd=hunter2", f"a=pwd={HIDDEN}"),
        ("x_token_of_" + "y" * 100 + ": 'hunter2'", "x_token_of_" + "y" * 100 + f": {HIDDEN}"),
        ("Authorization: Bearer hunter2, next", f"Authorization: Bearer {HIDDEN}, next"),
        ("""{"api-key": "hun ter2"} pwd='b' c=d""", f"""{{"api-key": {HIDDEN}}} pwd={HIDDEN} c=d"""),
        ("the password is wrong", "the password is wrong"),
    ],
)
def test_secret_is_hidden_after_every_use_of_its_name(given, redacted):
    assert Secrets([]).redacted(given) == redacted


@pytest.mark.parametrize("words", HOSTILE, ids=IDS)
def test_a_long_text_is_drawn_as_a_few_lines(words):
    lines = wrap(words, 240, 11)
    assert 1 <= len(lines) <= 3
    assert all(Text(words=line, size=11).width <= 240 for line in lines)


@pytest.mark.parametrize("words", HOSTILE[:3], ids=IDS[:3])
def test_rows_of_an_older_release_stop_no_list_page_or_drawing(client, walk, words):
    saga = walk(*STUCK, reason="no")
    db.session.execute(text("UPDATE journal SET reason = :words WHERE reason = 'no'"), {"words": words})
    db.session.execute(text("UPDATE saga SET error = :words"), {"words": f"STUCK: {words}"})
    db.session.commit()
    pages = ["/admin", "/admin/stuck", "/admin/sagas", f"/admin/sagas/{saga.id}", "/api/v1/sagas", "/api/saga/sagas/",
             f"/api/v1/sagas/{saga.id}", f"/api/v1/sagas/{saga.id}/journal", f"/api/v1/sagas/{saga.id}/events",
             f"/api/v1/sagas/{saga.id}/diagram.svg"]  # fmt: skip
    for page in pages:
        db.session.expire_all()
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert len(answer.get_data()) < 100_000, page


def test_a_group_with_a_long_error_leads_to_its_sagas(client, walk):
    walk(*STUCK)
    db.session.execute(text("UPDATE saga SET error = :words"), {"words": "z" * LONG})
    db.session.commit()
    groups = client.get("/admin/stuck").get_data(as_text=True)
    links = {
        part.partition('"')[0].replace("&amp;", "&")
        for part in groups.split('href="')
        if "cause=" in part and "zzz" in part
    }
    (link,) = (found for found in links if found.startswith("/admin/stuck?"))
    assert client.get(link).get_data(as_text=True).count('data-is="Error"') == 1
    assert len(link) < 2 * LONGEST_LINE


def test_a_list_reads_the_journal_without_its_replies(client, walk):
    saga = walk("succeeded", "succeeded")
    replies = [row.reply for row in queries.journals([saga.id])[saga.id]]
    assert [row.reply for row in queries.journals([saga.id], replies_of=())[saga.id]] == [None] * len(replies)
    assert [row.reply for row in queries.journals([saga.id], replies_of=["lire_panier"])[saga.id] if row.reply] == [
        REPLY
    ]
    assert client.get("/api/v1/sagas").get_json()["sagas"][0]["completed_steps"] == 2
