"""What a journal records besides replies: people, signals, later answers, time, deaths; and what it leaves open."""

import datetime as dt
from types import SimpleNamespace

import pytest

from machines import (
    NEVER,
    Retry,
    Saga,
    above,
    approval,
    at,
    callback,
    choice,
    compensatable,
    date,
    get,
    header,
    integer,
    pause,
    pivot,
    post,
    retriable,
    secret,
    text,
    uuid,
)  # fmt: skip
from machines.replay.playing import Difference, difference, play, play_once
from machines.replay.recording import recording
from machines.replay.source import source_of
from machines.replay.stand_ins import StandIns, redacted, without_secrets
from machines.replay.what_if import UnknownChangeError, certain, changed
from machines.testing import (
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    failed,
    given,
    lost,
    ok,
    refused,
    replies,
    unheard,
)  # fmt: skip
from tests.support.journals import BEGAN, journal_of

WAITING = Saga(
    name="stay", version=1, initial="ASKED", completed="TOLD", compensated="BACK", deadline_s=40 * 86_400,
    data={"guest": text(), "card": secret(text()), "nights": integer(1, 90), "from": date(), "kind": choice("a", "b")},
    participants=("hotel", "bank", "mail"),
    steps=(
        compensatable(
            "book", post("hotel", "/rooms", who="guest"), undo=post("hotel", "/rooms/undo"),
            later=callback(within_s=3_600), done="BOOKED", refused="FULL",
        ),
        pause("settle", until="from", done="SETTLED", refused="STOPPED"),
        approval("release", role="operator", within_s=86_400, done="RELEASED", refused="HELD"),
        pivot("pay", post("bank", "/p", card="card"), done="PAID", refused="POOR"),
        retriable("tell", post("mail", "/m", to="guest"), when=above("nights", 7), doing="TELLING", done="TOLD"),
    ),
)  # fmt: skip
PLAIN = Saga(
    name="gift", version=1, initial="ASKED", completed="SENT", compensated="BACK", deadline_s=600,
    data={"customer": text(), "id": uuid()}, participants=("stock", "bank", "mail"),
    steps=(
        compensatable(
            "reserve", post("stock", "/r", to="customer", keeps={"id": header("Location", last_segment=True)}),
            undo=post("stock", "/r/undo"), done="RESERVED", refused="NONE",
        ),
        compensatable(
            "wrap", post("stock", "/w", keeps={"box.size": at("made.size", integer())}), undo=post("stock", "/w/undo"),
            done="WRAPPED", refused="UNWRAPPED", retry=NEVER,
        ),
        pivot(
            "pay", post("bank", "/p", r="reserve.id", box="wrap.box.size"), probe=get("bank", "/p/{reserve.id}"),
            done="PAID", refused="POOR",
        ),
        retriable("send", post("mail", "/s"), done="SENT"),
    ),
)  # fmt: skip
START = {"guest": "Ada", "card": "4242", "nights": 9, "from": "2026-01-05", "kind": "a"}


def replay(run, data=None, **more):
    return play(recording(run.definition, data or run._memory.data, journal_of(run), **more))


def run_written(source, table):
    """Run the test of a written file with this table."""
    lines = source.splitlines()
    kept = [line for line in lines if not line.startswith(("TABLE", "from machines.discovery"))]
    names = {"TABLE": table}
    exec("\n".join(kept), names)
    next(each for name, each in names.items() if name.startswith("test_"))()


def released(scenario):
    return scenario.run().after(days=4).signal("release", approved=True)


def waits():
    stay = given(WAITING, START)
    yield "all of it", released(stay)
    yield "refused later", stay.when(book=accepted({"place": 3})).run().answer("book", refused("FULL"))
    yield "no answer in time", stay.when(book=accepted).run().after(hours=1)
    yield "answered", stay.when(book=accepted).run().after(minutes=20).answer("book", ok).after(days=4)
    yield "no signal", stay.run().after(days=6)
    yield "not approved", stay.run().after(days=4).signal("release", approved=False)
    yield "cancelled while it waits", stay.run().after(days=4).compensate("changed her mind")
    yield "cancelled before it is sent again", stay.when(book=[failed, down(rests=True)]).run().compensate()
    yield "cancelled during a call", stay.when(book=died(rests=True)).run().compensate()
    yield "still under way", stay.run()
    yield "skipped", released(given(WAITING, START | {"nights": 2}))
    gift = given(PLAIN, {"customer": "Ada"})
    yield "stuck, and done by hand", gift.when(pay=always(unheard)).when_probed(pay=always(refused())).run().resolve()
    yield "stuck, and sent again", gift.when(send=[refused("no"), ok]).run().retry("mended")
    yield "stuck, and undone", gift.when(pay=[lost, refused()]).when_probed(pay=always(refused())).run().compensate()
    yield "its probe knows", gift.when(pay=lost).run()
    yield "dead before its only call", gift.when(wrap=died_before).run()
    yield "dead processes", gift.when(reserve=[died_before] * 11).run()
    yield "the deadline is over", gift.when(wrap=always(down)).run()
    yield "the deadline is over before a call", gift.when(reserve=ok(takes_s=601)).run()
    yield "a long outage", gift.without_back_off().when(wrap=[down] * 100).run()
    yield "asked to wait", gift.when(reserve=busy(3), wrap=[replies(429, {"detail": "slow"}), replies(404, [])]).run()
    yield "its size", gift.when(wrap=ok({"made": {"size": 12}}), reserve=ok(headers={"Location": "/r/77"})).run()
    yield "an undo that is refused", gift.when(wrap=refused()).when_undone(reserve=refused("never")).run()


CASES = list(waits())


@pytest.mark.parametrize("run", [run for _, run in CASES], ids=[name for name, _ in CASES])
def test_replay_goes_the_way_of_the_journal_and_so_does_the_written_file(run):
    played = replay(run)
    assert difference(played) is None
    run_written(source_of(played, None, title="A saga", sagas="samples"), run.definition)


def test_replies_have_the_values_that_the_saga_kept():
    run = dict(CASES)["its size"]
    played = replay(run)
    assert played.run.calls[2].body == {"r": "77", "box": 12}


def test_pause_until_a_date_is_counted_from_the_start_of_the_saga():
    late = given(WAITING, START | {"from": "2026-11-20"}).starting_at("2026-11-18T12:00:00Z")
    run = late.run().after(days=2).signal("release", approved=True)
    shift = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC) - BEGAN
    journal = [SimpleNamespace(**{**vars(row), "at": row.at + shift}) for row in journal_of(run)]
    played = play(recording(WAITING, run._memory.data, journal))
    assert (difference(played), played.done[0].named) == (None, {"seconds": 36 * 3_600})
    assert '.starting_at("2026-11-18T12:00:00+00:00")' in source_of(played, None, title="A", sagas="samples")


def test_running_saga_is_replayed_up_to_its_last_answer():
    run = given(PLAIN, {"customer": "Ada"}).when(wrap=[down, down(rests=True)]).run()
    played = replay(run, under_way=True)
    assert (played.run.state, difference(played)) == ("RESERVED", None)
    assert played.run.status == "running"


def test_other_table_differs_and_the_first_difference_is_named():
    run = given(PLAIN, {"customer": "Ada"}).when(wrap=refused("no paper", 404)).run()
    (reserve, wrap, *rest) = PLAIN.steps
    lenient = post("stock", "/w", keeps=wrap.call.keeps, means={404: "in_doubt"})
    other = Saga(
        name="gift", version=2, initial="ASKED", completed="SENT", compensated="BACK", deadline_s=600, data=PLAIN.data,
        participants=PLAIN.participants,
        steps=(
            reserve,
            compensatable("wrap", lenient, undo=wrap.undo, done="WRAPPED", refused="UNWRAPPED", retry=NEVER), *rest,
        ),
    )  # fmt: skip
    played = play(recording(other, run._memory.data, journal_of(run)))
    found = difference(played)
    assert str(found) == (
        "move 3: in the journal wrap: refused (404 no paper), to UNWRAPPED; by the present table wrap: in doubt, no "
        "attempt is left (404 no paper), to UNWRAPPED"
    )
    text = source_of(played, found, title="A saga", sagas="samples")
    assert "# The present table goes another way: move 3:" in text
    assert 'assert saga.effects["wrap"] == "not done"' in text
    run_written(text, run.definition)
    with pytest.raises(AssertionError):
        run_written(text, other)


@pytest.mark.parametrize("attempts", [2, 3])
def test_written_test_is_red_when_only_the_number_of_attempts_is_another(attempts):
    run = given(PLAIN, {"customer": "Ada"}).when(pay=always(lost)).when_probed(pay=always(lost)).run()
    (reserve, wrap, pay, send) = PLAIN.steps
    other = Saga(
        name="gift", version=1, initial="ASKED", completed="SENT", compensated="BACK", deadline_s=600, data=PLAIN.data,
        participants=PLAIN.participants,
        steps=(
            reserve, wrap,
            pivot("pay", pay.call, probe=pay.probe, done="PAID", refused="POOR", retry=Retry(attempts=attempts)), send,
        ),
    )  # fmt: skip
    played = play(recording(other, run._memory.data, journal_of(run)))
    found = difference(played)
    assert played.run.states == run.states
    text = source_of(played, found, title="A saga", sagas="samples")
    with pytest.raises(AssertionError):
        run_written(text, other)
    run_written(text, PLAIN)


@pytest.mark.parametrize("run", [run for _, run in CASES], ids=[name for name, _ in CASES])
def test_everything_that_is_asserted_of_a_journal_holds_in_the_way_of_the_journal(run):
    another = Difference(number=1, recorded="", played="")
    run_written(source_of(replay(run), another, title="A saga", sagas="samples"), run.definition)


def test_journal_with_states_that_the_table_lacks_is_read_up_to_them():
    run = given(PLAIN, {"customer": "Ada"}).run()
    other = Saga(
        name="gift", version=2, initial="ASKED", completed="SENT", compensated="BACK", data=PLAIN.data,
        participants=("stock", "mail"), steps=(PLAIN.steps[0], retriable("send", post("mail", "/s"), done="SENT")),
    )  # fmt: skip
    played = play(recording(other, run._memory.data, journal_of(run)))
    assert difference(played).number == 3
    assert played.recording.unknown == ("The table has no state WRAPPED, so the journal is not read beyond it.",)


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("dead processes", "reserve: the processes that claimed it died; the test lets each die before the call."),
        ("cancelled during a call", "book: it was cancelled during the call; the test takes it that the participant"),
        ("its probe knows", "pay: no clear answer came; the test takes it that the participant did it."),
    ],
)
def test_what_the_journal_leaves_open_is_said(case, note):
    assert any(each.startswith(note) for each in replay(dict(CASES)[case]).recording.unknown)


def test_unknown_effects_are_not_asserted():
    run = given(PLAIN, {"customer": "Ada"}).when(pay=always(lost)).when_probed(pay=always(lost)).run()
    assert certain(replay(run).run) == {"reserve": "took effect", "wrap": "took effect", "send": "not done"}


def test_what_if_changes_one_outcome():
    made = recording(PLAIN, {"customer": "Ada"}, journal_of(given(PLAIN, {"customer": "Ada"}).run()))
    other = play_once(changed(made, "pay=refused"))
    assert other.run.calls == ["reserve", "wrap", "pay", "undo wrap", "undo reserve"]
    assert (other.run.ended, other.assumed) == ("BACK", ["undo wrap", "undo reserve"])
    assert play_once(changed(made, "undo wrap=refused")).run.ended == "SENT"


def test_retry_of_the_journal_is_not_used_by_a_saga_that_is_not_stuck():
    run = dict(CASES)["stuck, and sent again"]
    other = play_once(changed(recording(PLAIN, run._memory.data, journal_of(run)), "pay=refused"))
    assert (other.run.ended, [act.method for act in other.unused]) == ("BACK", ["retry"])


def test_what_if_says_which_signals_it_had_no_use_for():
    run = released(given(WAITING, START))
    other = play_once(changed(recording(WAITING, START, journal_of(run)), "book=refused"))
    assert (other.run.ended, [act.method for act in other.unused]) == ("BACK", ["after", "signal"])


def test_table_that_no_test_can_run_is_refused_by_name(monkeypatch):
    monkeypatch.setattr("machines.testing.scenario.KNOWN_KINDS", frozenset())
    with pytest.raises(ValueError, match="gift v1: a test cannot run compensatable of the step reserve yet"):
        recording(PLAIN, {}, [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("tip=refused", "changes no call; write CALL=OUTCOME with reserve, wrap, pay, send, undo reserve, undo wrap"),
        ("pay", "changes no call"),
        ("pay=maybe", "'maybe' is no outcome; use ok, refused, lost, always-lost"),
        ("undo pay=lost", "changes no call"),
    ],
)
def test_change_of_nothing_is_refused(change, problem):
    made = recording(PLAIN, {}, journal_of(given(PLAIN).run()))
    with pytest.raises(UnknownChangeError, match=problem):
        changed(made, change)


def test_secrets_are_replaced_and_redacted_values_are_consistent():
    run = given(WAITING, START).when(book=refused("no room for Ada")).run()
    masked = {**START, "card": "***"}
    data, journal = without_secrets(WAITING, masked, journal_of(run))
    assert data["card"] == WAITING.data["card"].example
    data, journal = redacted(WAITING, data, journal, StandIns())
    assert data["guest"].startswith("guest-")
    assert (data["nights"], data["from"], data["kind"]) == (9, "2026-01-05", "a")  # the saga goes its way by them
    text = source_of(play(recording(WAITING, data, journal)), None, title="A saga", sagas="samples")
    assert "Ada" not in text
    assert "4242" not in text
    assert "no room" not in text


def test_reply_and_data_with_the_same_value_have_the_same_stand_in():
    run = given(PLAIN, {"customer": "77"}).when(reserve=ok(headers={"Location": "/r/77"})).run()
    data, journal = redacted(PLAIN, run._memory.data, journal_of(run), StandIns())
    reply = next(row.reply for row in journal if row.step == "reserve")
    assert reply["id"] == data["customer"]
    assert data["id"] != run._memory.data["id"]
