import os
import tomllib
from pathlib import Path

import pytest

from machines import (
    NEVER,
    Saga,
    callback,
    compensatable,
    date,
    delete,
    equal,
    get,
    pause,
    pivot,
    post,
    retriable,
    text,
    wait,
)
from machines.discovery import discover
from machines.testing import (
    NotAllowedError,
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    every_outcome,
    failed,
    given,
    lost,
    ok,
    refused,
    replies,
    unheard,
)

ROOT = Path(__file__).parents[4]
pytest_plugins = ["pytester"]


def table(*, retry=None, probe=None, **columns):
    more = {"retry": retry} if retry else {}
    return Saga(
        name="gift", version=1, initial="ASKED", completed="SENT", compensated="BACK", data={"customer": text()},
        participants=("stock", "bank", "mail"),
        steps=(
            compensatable(
                "reserve", post("stock", "/things", to="customer"), undo=delete("stock", "/things/{reserve.id}"),
                repeatable=True, done="RESERVED", refused="NONE_LEFT",
            ),
            pivot("pay", post("bank", "/payments"), done="PAID", refused="DECLINED", probe=probe, **more),
            retriable("send", post("mail", "/parcels"), done="SENT"),
        ),
        **columns,
    )  # fmt: skip


def test_lost_reply_is_asked_for_again_before_the_undo_that_needs_it():
    saga = given(table()).when(reserve=always(lost)).run()
    assert saga.calls == ["reserve"] * 4 + ["reserve"] * 10  # no reply ever comes, so the undo cannot be built
    assert saga.state == "STUCK_UNDO_RESERVE"
    saga = given(table()).when(reserve=[lost] * 4).run()
    assert saga.calls == ["reserve"] * 5 + ["undo reserve"]
    assert saga.calls[-1].path == "/things/reserve-id"
    assert (saga.ended, saga.took_effect) == ("BACK", [])


def test_pivot_that_was_refused_after_a_lost_request_is_stuck():
    saga = given(table()).when(pay=[unheard, refused()]).run()
    assert (saga.state, saga.stuck, saga.took_effect) == ("STUCK_PAY", True, ["reserve"])


def test_probe_says_what_became_of_a_lost_reply():
    saga = given(table(probe=get("bank", "/payments/{saga.id}"))).when(pay=lost).run()
    assert saga.calls == ["reserve", "pay", "probe pay", "send"]
    assert saga.ended == "SENT"


def test_call_that_may_be_sent_once_is_not_sent_again_after_a_crash():
    saga = given(table(retry=NEVER)).when(pay=died).run()
    assert saga.calls == ["reserve", "pay"]
    assert (saga.state, saga.took_effect) == ("STUCK_PAY", ["reserve", "pay"])


def test_process_that_died_before_the_call_leaves_the_call_in_doubt():
    saga = given(table()).when(pay=[died_before, refused()]).run()
    assert saga.calls == ["reserve", "pay"]
    assert saga.state == "STUCK_PAY"  # nobody knows that the first call was not sent


def test_call_that_is_never_sent_expires_with_the_deadline():
    saga = given(table(deadline_s=60)).when(pay=always(down)).run()
    assert (saga.ended, saga.seconds) == ("BACK", 60)
    assert "pay" not in saga.calls


def test_participant_that_asks_to_wait_is_given_its_time():
    saga = given(table()).when(pay=busy(7)).run()
    assert (saga.ended, saga.seconds) == ("SENT", 7)


def test_participant_without_an_answer_can_make_the_saga_wait():
    saga = given(table(deadline_s=60)).when(pay=down(retry_after_s=60)).run()
    assert (saga.ended, saga.seconds) == ("BACK", 60)


def test_answer_that_comes_after_the_deadline_ends_the_saga():
    saga = given(table(deadline_s=60)).when(reserve=ok(takes_s=61)).run()
    assert (saga.calls, saga.ended) == (["reserve", "undo reserve"], "BACK")


def test_saga_rests_after_an_answer_and_can_be_cancelled():
    saga = given(table()).when(reserve=failed(rests=True)).run()
    assert (saga.calls, saga.status, saga.due_in_s) == (["reserve"], "running", 0)
    assert saga.compensate().ended == "BACK"
    assert given(table()).when(reserve=ok(rests=True)).run().after(seconds=0).ended == "SENT"


def test_saga_whose_process_died_rests_and_its_call_is_in_doubt():
    saga = given(table()).when(reserve=died(rests=True)).run()
    assert saga.in_doubt
    assert saga.compensate().calls == ["reserve", "reserve", "undo reserve"]  # the undo needs the reply that was lost


def test_saga_without_back_off_makes_more_attempts_before_its_deadline():
    outage = given(table(deadline_s=60)).when(pay=[down] * 200).allowing_unused()
    assert outage.run().ended == "BACK"
    assert outage.without_back_off().run().ended == "SENT"


def test_reply_that_refuses_the_sender_is_not_remembered():
    saga = given(table()).when(reserve=replies(429, {"detail": "slow down"})).run()
    assert (saga.calls[:2], saga.ended) == (["reserve", "reserve"], "SENT")


def test_pause_until_a_date_is_over_at_once_for_a_saga_that_starts_later():
    steps = (
        pause("rest", until="on", done="RESTED", refused="STOPPED"),
        pivot("pay", post("bank", "/p"), done="PAID", refused="NO"),
    )
    saga = Saga(
        name="dated", version=1, initial="A", completed="PAID", compensated="B", data={"on": date()},
        participants=("bank",), deadline_s=90 * 86_400, steps=steps,
    )  # fmt: skip
    dated = given(saga, {"on": "2026-01-05"})
    assert (dated.run().state, dated.run().due_in_s) == ("A", 4 * 86_400)
    assert dated.starting_at("2026-01-05T08:00:00Z").run().ended == "PAID"


def test_table_says_what_a_status_means():
    steps = (pivot("pay", post("bank", "/p", means={404: "succeeded"}), done="PAID", refused="NO"),)
    saga = Saga(
        name="one", version=1, initial="A", completed="PAID", compensated="B", data={}, participants=("bank",),
        steps=steps,
    )  # fmt: skip
    assert given(saga).when(pay=replies(404, {"detail": "gone"})).run().ended == "PAID"


def test_time_and_signals_continue_a_saga():
    saga = Saga(
        name="slow", version=1, initial="A", completed="PAID", compensated="B", data={}, participants=("bank",),
        deadline_s=90 * 86_400,
        steps=(
            pause("rest", for_s=86_400, done="RESTED", refused="STOPPED"),
            wait("confirm", signal="yes", within_s=3_600, brings={"note": text()}, done="SURE", refused="UNSURE"),
            pivot("pay", post("bank", "/p", note="confirm.note"), done="PAID", refused="NO"),
        ),
    )  # fmt: skip
    run = given(saga).run()
    assert (run.after(hours=23).state, run.after(hours=1).state) == ("A", "RESTED")
    with pytest.raises(NotAllowedError, match="lacks note; it brings note"):
        run.signal("yes")
    assert run.signal("yes", note="hi").calls[0].body == {"note": "hi"}
    with pytest.raises(NotAllowedError, match="does not wait"):
        given(saga).run().compensate().signal("yes", note="hi")
    assert given(saga).with_signal("yes", note="early").run().after(days=1).ended == "PAID"


def test_step_whose_condition_does_not_hold_is_skipped():
    saga = Saga(
        name="maybe", version=1, initial="A", completed="PAID", compensated="B", data={"country": text()},
        participants=("bank", "customs"),
        steps=(
            compensatable(
                "declare", post("customs", "/d"), undo=post("customs", "/d/undo"), when=equal("country", "CA"),
                done="DECLARED", refused="NO",
            ),
            pivot("pay", post("bank", "/p"), done="PAID", refused="POOR"),
        ),
    )  # fmt: skip
    assert given(saga, {"country": "CA"}).when(pay=refused()).run().calls == ["declare", "pay", "undo declare"]
    abroad = given(saga, {"country": "FR"}).when(pay=refused()).run()
    assert abroad.calls == ["pay"]
    assert abroad.effects == {"declare": "skipped", "pay": "not done"}


def test_step_of_an_unknown_kind_is_refused(monkeypatch):
    monkeypatch.setattr("machines.testing.scenario.KNOWN_KINDS", frozenset())
    with pytest.raises(ValueError, match="a test cannot run compensatable of the step reserve yet"):
        given(table())


def test_wrong_words_of_a_test_are_named():
    with pytest.raises(ValueError, match="has no step fly with a call; it has reserve, pay, send"):
        given(table()).when(fly=ok)
    with pytest.raises(ValueError, match="has no step pay with an undo; it has reserve"):
        given(table()).when_undone(pay=ok)
    with pytest.raises(TypeError, match="with parentheses"):
        given(table()).when(pay=refused)
    with pytest.raises(ValueError, match="has no field shop; it has customer"):
        given(table(), {"shop": 1})
    with pytest.raises(ValueError, match="customer is 7"):
        given(table(), {"customer": 7})


#: The samples and the examples.
TABLES = list(discover(f"samples,{ROOT}/docs/examples/sagas"))


@pytest.mark.parametrize("definition", TABLES, ids=str)
def test_every_outcome_of_every_table_leaves_all_effects_or_none(definition):
    for scenario in every_outcome(definition):
        saga = scenario.run().after(days=1)
        if saga.ended == definition.completed:
            assert "not done" not in saga.effects.values(), scenario.name
        elif saga.ended:
            assert saga.took_effect == [], f"{scenario.name}\n{saga}"
        else:
            assert saga.status in ("stuck", "waiting"), scenario.name


@pytest.fixture
def failing(pytester, monkeypatch):
    """Return a function that runs a failing test of a saga with these arguments, and returns its report."""
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}{os.pathsep}{ROOT}")
    pytester.makepyfile(
        "from machines.testing import given, refused\n"
        "from machines.checkout import CHECKOUT\n"
        "def test_pay():\n"
        "    assert given(CHECKOUT).when(payer=refused('poor')).run().ended == 'CONFIRMEE'\n"
    )
    return lambda *arguments: pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments).stdout


PATH = ["*saga checkout*", "*payer: refused (409 poor)*", "*ANNULEE*"]


def test_failed_test_of_a_checkout_shows_the_path_of_its_saga(failing):
    failing("-p", "machines.testing.pytest_plugin").fnmatch_lines(PATH)


def test_failed_test_shows_the_path_once_when_the_plug_in_is_installed_and_named(failing, pytester):
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    installed = pytester.mkdir("saga_orchestrator-1.0.dist-info")
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: saga-orchestrator\nVersion: 1.0\n")
    lines = [f"{name} = {module}" for name, module in entry_points.items()]
    (installed / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    for arguments in ((), ("-p", "machines.testing.pytest_plugin")):
        report = failing(*arguments)
        report.fnmatch_lines(PATH)
        assert str(report).count("payer: refused (409 poor)") == 1


@pytest.mark.parametrize("answer", [down, replies(429)])
def test_answer_that_never_ends_reaches_a_long_deadline_with_few_requests(answer):
    saga = given(table(deadline_s=7 * 86_400)).when(reserve=always(answer)).run()
    assert (saga.ended, saga.seconds, len(saga.requests) < 300) == ("BACK", 7 * 86_400, True)


def test_step_without_a_deadline_is_named_when_it_is_never_reached():
    with pytest.raises(AssertionError, match="no deadline ends its calls of send; let another answer come at last"):
        given(table()).when(send=always(down)).run()


def test_every_outcome_has_the_participant_that_is_never_reachable_and_names_what_is_lost():
    cases = {scenario.__name__: scenario for scenario in every_outcome(table(deadline_s=7 * 86_400))}
    assert cases["pay: never reachable"].run().ended == "BACK"
    assert "send: never reachable" not in cases
    lost_request = cases["pay: its request is lost, then it is refused"].run()
    assert next(call.answer for call in lost_request.calls if call == "pay") == "unheard"


@pytest.mark.parametrize("unclear", [busy(5), lost], ids=["asked to wait", "lost"])
def test_refusal_of_a_retry_by_hand_is_doubted_after_an_attempt_without_a_clear_answer(unclear):
    answers = [refused("LOCKED"), unclear, refused("LOCKED")]
    saga = given(table()).when(pay=refused()).when_undone(reserve=answers).run()
    assert saga.error.endswith("409 LOCKED")
    saga.retry("look again").after(minutes=1)
    assert (saga.status, saga.calls[-2:]) == ("stuck", ["undo reserve"] * 2)
    assert saga.error.endswith("409 LOCKED, after an attempt that may have worked")


def test_refusal_of_a_retry_by_hand_is_believed_when_no_attempt_was_in_doubt():
    saga = given(table()).when(pay=refused()).when_undone(reserve=[refused("LOCKED"), down, refused("GONE")]).run()
    saga.retry("look again").after(minutes=1)
    assert saga.error.endswith("409 GONE")


def test_call_that_may_be_sent_once_is_sent_again_when_a_person_says_so():
    saga = given(table(retry=NEVER)).when(pay=[lost, ok]).run()
    assert (saga.status, saga.calls) == ("stuck", ["reserve", "pay"])
    assert saga.retry("they looked").ended == "SENT"
    assert saga.calls == ["reserve", "pay", "pay", "send"]


def test_call_that_a_person_sends_again_is_sent_only_once_even_when_it_is_asked_to_wait():
    saga = given(table(retry=NEVER)).when(pay=[lost, busy(5)]).run()
    saga.retry("they looked").after(minutes=1)
    assert (saga.status, saga.calls) == ("stuck", ["reserve", "pay", "pay"])
    again = given(table(retry=NEVER)).when(pay=[lost, down, ok]).run()
    assert again.retry("they looked").ended == "SENT", "an attempt that was not sent does not count"


def test_later_answer_that_acts_keeps_its_status():
    told = pivot("pay", post("bank", "/payments"), done="PAID", refused="DECLINED", later=callback(within_s=60))
    shop = Saga(
        name="shop", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={}, participants=("bank",),
        steps=(told,),
    )  # fmt: skip
    saga = given(shop).when(pay=accepted).run()
    assert saga.answer("pay", replies(409, acts=True)).ended == "BACK"
