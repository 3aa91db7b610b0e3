"""The checks of at_end=, the calls after the end of a saga."""

import pytest

from machines import ACCEPTED, NEVER, REFUSED_UNDO, fallback, get, maybe, post, read, secret, text
from machines.comparison import Effect, compare
from tests.unit.machines.tables import DO, LOOK, hold, saga, sell

KEPT = post("shop", "/do", client_id="client_id", keeps={"place": text()})


def problem(refusal, call, state="DONE", **columns):
    return refusal(hold(done="HELD", call=KEPT), sell(), at_end={state: call}, **columns)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (get("shop", "/ended"), "GET shop/ended only reads, so it would report nothing; write post()"),
        (
            post("shop", "/e", keeps={"a": text()}),
            "nothing refers to its reply, so its keeps= would be ignored; drop it",
        ),
        (
            post("shop", "/e", retry=NEVER),
            "it is sent again for about 30 hours, so its retry= would be ignored; drop it",
        ),
        (post("shop", "/e", means={409: REFUSED_UNDO}), "its means= has REFUSED_UNDO, which is for the call of a"),
        (post("shop", "/e", means={202: ACCEPTED}), "its means= has ACCEPTED, and no answer to it comes later; use"),
        (post("mail", "/e"), "participant 'mail' is not registered; add it to participants="),
        (post("shop", "e"), "path 'e' must begin with a slash"),
        (post("shop", "/e", who="who"), "'who' is no field of data;"),
        (post("shop", "/e", who="hold.name"), "'hold.name' is not kept of the reply to hold;"),
        (post("shop", "/e", to="saga.reply_to"), "'saga.reply_to' is known in the call of a step with later="),
    ],
)
def test_call_that_could_not_be_sent_as_written_is_refused(refusal, call, said):
    assert problem(refusal, call).startswith(f"sale v1: at_end= 'DONE': {said}")


@pytest.mark.parametrize(
    ("at_end", "said"),
    [
        ([DO], "at_end= is a list, no dict; write {'SENT': post('participant', '/path')}"),
        ({5: DO}, "at_end= names 5 is no text; write a name in quotes"),
        ({"DONE": "POST /x"}, "at_end= 'DONE' is 'POST /x', no call; write post('participant', '/path')"),
        ({"DONE": post("shop")}, "at_end= 'DONE': post() lacks"),
        ({"HELD": DO}, "at_end= names 'HELD', which is no end; name 'DONE' or 'CANCELLED'"),
        ({"CANCELED": DO}, "at_end= names 'CANCELED', which is no end; did you mean 'CANCELLED'? or name 'DONE' or"),
    ],
)
def test_at_end_takes_the_ends_of_the_table_and_calls(refusal, at_end, said):
    assert refusal(hold(done="HELD"), sell(), at_end=at_end).startswith(f"sale v1: {said}")


def test_reply_may_be_missing_at_the_compensated_end(refusal):
    said = problem(refusal, post("shop", "/e", place="hold.place"), "CANCELLED")
    assert said.startswith("sale v1: at_end= 'CANCELLED': 'hold.place' may be missing; write maybe('hold.place')")
    unknown = problem(refusal, post("shop", "/e", place="sell.place"), "CANCELLED")
    assert "'sell.place' may be missing" in unknown
    steps = hold(done="HELD", call=KEPT), sell()
    body = {"place": maybe("hold.place"), "who": fallback("sell.who", "client_id")}
    saga(*steps, at_end={"CANCELLED": post("shop", "/e", body=body), "DONE": post("shop", "/e", place="hold.place")})


def test_secret_is_not_sent_in_the_path_of_a_call_at_an_end(refusal):
    steps = read("look", LOOK, done="SEEN", refused="NONE"), sell()
    data = saga(*steps).data | {"card": secret(text())}
    said = refusal(*steps, data=data, at_end={"DONE": post("shop", "/{card}")})
    assert said.startswith("sale v1: at_end= 'DONE': 'card' is secret, and would be sent in a path")


def test_participant_may_be_called_at_an_end_alone():
    saga(hold(done="HELD"), sell(), participants=("shop", "crm"), at_end={"DONE": post("crm", "/ended")})


def test_at_end_may_change_under_running_sagas():
    old = saga(hold(done="HELD"), sell())
    new = saga(hold(done="HELD"), sell(), at_end={"DONE": post("shop", "/ended")})
    assert old.digest == new.digest
    assert compare(old, new).effect is Effect.WORDING
    assert [each.text for each in compare(old, new).differences] == ["at_end was nothing and is DONE: POST shop/ended"]


def test_reply_that_only_an_end_refers_to_does_not_decide_a_step():
    table = saga(hold(done="HELD"), sell(), at_end={"DONE": post("shop", "/ended", place="sell.place")})
    assert table.needed_fields["sell"] == frozenset()
