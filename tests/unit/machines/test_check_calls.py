import pytest

from machines.call import get, post
from machines.fields import amount, boolean, choice, integer, list_of, text, uuid
from machines.keeps import at
from machines.outcomes import REFUSED
from machines.retry import Retry
from tests.unit.machines.tables import UNDO, hold, look, saga, sell


def test_a_participant_that_is_not_registered_is_refused_with_the_name_that_was_meant(refusal):
    text = refusal(look(call=get("shpo", "/")))
    assert text.startswith("sale v1: step look: participant 'shpo' is not registered; ")
    assert text.endswith("did you mean 'shop'? or add it to participants=")


def test_an_undo_may_only_call_a_registered_participant(refusal):
    text = refusal(hold(undo=post("bank", "/undo")))
    assert text.startswith("sale v1: step hold: participant 'bank' is not registered; ")
    assert "did you mean" not in text
    assert text.endswith("add it to participants=")


@pytest.mark.parametrize("path", ["", "do", "{client_id}", "http://shop/do"])
def test_a_path_without_a_slash_in_front_is_refused(refusal, path):
    assert refusal(look(call=get("shop", path))) == f"sale v1: step look: path {path!r} must begin with a slash"


@pytest.mark.parametrize("path", ["/a b", "/caf\u00e9", "/a\r\nHost: b", "/\t"])
def test_a_path_that_cannot_be_sent_is_refused(refusal, path):
    text = refusal(look(call=get("shop", path)))
    assert text == f"sale v1: step look: path {path!r} has a character that no URL has; write it percent-encoded"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/a#b", "a #, and what follows it is never sent; write it %23, or take it out"),
        ("/a?b=c#d", "a #, and what follows it is never sent; write it %23, or take it out"),
        ("/50%", "a % that encodes nothing; write it %25"),
        ("/a?b=%zz", "a % that encodes nothing; write it %25"),
        ("/%{client_id}", "a % that encodes nothing; write it %25"),
        ("/a?", "a ? that begins no query; write it %3F, or take it out"),
        ("/a?b=c?d", "a ? that begins no query; write it %3F, or take it out"),
        ("//", "an empty segment, which many servers drop; write one slash for each //"),
        ("//shop/do", "an empty segment, which many servers drop; write one slash for each //"),
        ("/a//{client_id}", "an empty segment, which many servers drop; write one slash for each //"),
        ("/.", "a segment . or .., which leads to another path; write that path"),
        ("/a/./b", "a segment . or .., which leads to another path; write that path"),
        ("/{client_id}/../b", "a segment . or .., which leads to another path; write that path"),
        ("/a/%2E%2e", "a segment . or .., which leads to another path; write that path"),
    ],
)
@pytest.mark.parametrize("column", ["call", "undo", "probe"])
def test_a_path_that_is_read_as_another_one_is_refused(refusal, column, path, wrong):
    call = get("shop", path) if column == "probe" else post("shop", path)
    assert refusal(hold(**{column: call})) == f"sale v1: step hold: path {path!r} has {wrong}"


@pytest.mark.parametrize(
    "path",
    ["/", "/a/", "/a/{client_id}.json", "/.well-known/a", "/a..b", "/...", "/a?b=//&c=../d", "/50%25", "/a%2Fb",
     "/a:b@c", "/a?of={client_id}&in=%3F%23"],
)  # fmt: skip
def test_any_other_path_is_legal(path):
    assert saga(look(call=get("shop", path)))


@pytest.mark.parametrize("call", [get("shop", "/{clientid}"), get("shop", "/a/{client_id}/{clientid}")])
def test_a_misspelled_field_of_data_in_a_path_is_refused_with_the_one_that_was_meant(refusal, call):
    text = refusal(look(call=call))
    assert text.startswith("sale v1: step look: 'clientid' is no field of data; did you mean 'client_id'? ")
    assert "add it to data=, or write step.field for a field of an earlier reply" in text


def test_a_misspelled_field_of_data_in_a_body_is_refused(refusal):
    text = refusal(sell(call=post("shop", "/do", client="client_di")))
    assert text.startswith("sale v1: step sell: 'client_di' is no field of data; did you mean 'client_id'? ")


IN_PATH = get("shop", "/{client_id}/{f}")
LIST = list_of({"c": text()})


@pytest.mark.parametrize(
    "step", [look(call=IN_PATH), hold(call=post("shop", "/{f}")), hold(undo=post("shop", "/{f}")), sell(probe=IN_PATH)]
)
def test_a_list_in_a_path_is_refused(refusal, step):
    assert refusal(step, data={"client_id": integer(), "f": LIST}) == (
        f"sale v1: step {step.name}: 'f' is a list, which is no part of a path; name a field of one value, or use a "
        "body"
    )


def test_a_text_in_a_path_may_not_be_empty(refusal):
    told = refusal(look(call=IN_PATH), data={"client_id": integer(), "f": text(low=0)})
    assert told == "sale v1: step look: 'f' may be empty, which is no part of a path; give the field low=1"


@pytest.mark.parametrize("field", [integer(-5), amount(), text(), uuid()])
def test_any_one_value_may_stand_in_a_path(field):
    assert saga(look(call=IN_PATH), data={"client_id": integer(), "f": field})


def test_a_list_may_stand_in_a_body():
    assert saga(sell(call=post("shop", "/do", f="f")), data={"client_id": integer(), "f": LIST})


def test_a_placeholder_without_a_name_is_refused(refusal):
    assert refusal(look(call=get("shop", "/{}"))).startswith("sale v1: step look: '' is no field of data; add it ")


@pytest.mark.parametrize("column", ["client", "store"])
def test_whose_saga_it_is_must_be_a_field_of_data(refusal, column):
    text = refusal(look(), **{column: "clientid"})
    assert text.startswith(f"sale v1: {column}='clientid' is no field of data; did you mean 'client_id'? ")
    assert text.endswith(f"or leave {column}= out")


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        ("clientid", "is no field of data; did you mean 'client_id'? or write step.field for one of a reply"),
        ("lok.number", "names no step; did you mean 'look'? or leave order= out"),
        ("look.", "names no field; write step.field"),
    ],
)
def test_an_order_that_nothing_answers_is_refused(refusal, order, wrong):
    assert refusal(look(), order=order) == f"sale v1: order={order!r} {wrong}"


def test_an_order_is_a_field_of_any_reply_or_of_data():
    assert {saga(look(), order=order).order for order in ("client_id", "look.number", None)} == {
        "client_id", "look.number", None,
    }  # fmt: skip


@pytest.mark.parametrize("columns", [{}, {"client": "client_id"}, {"store": "client_id"}])
def test_whose_saga_it_is_may_be_left_out(columns):
    table = saga(look(), **columns)
    assert (table.client, table.store) == (columns.get("client"), columns.get("store"))


def test_a_misspelled_step_is_refused_with_the_one_that_was_meant(refusal):
    text = refusal(look(done="LOOKED"), sell(call=post("shop", "/do", price="lok.price")))
    unknown = "'lok.price' begins with 'lok', which is no earlier step and no field of data"
    assert text.startswith(f"sale v1: step sell: {unknown}; did you mean 'look'? ")


def test_a_reference_to_a_later_step_is_refused(refusal):
    text = refusal(look(done="LOOKED", call=get("shop", "/{sell.number}")), sell())
    assert text.startswith("sale v1: step look: 'sell.number' refers to no earlier step; ")
    assert text.endswith("move step sell up")


def test_a_call_cannot_refer_to_its_own_reply(refusal):
    text = refusal(sell(call=post("shop", "/do", number="sell.number")))
    assert text.startswith("sale v1: step sell: 'sell.number' refers to no earlier step; ")


def test_an_undo_that_refers_to_its_own_reply_says_how_a_lost_one_is_recovered(refusal):
    text = refusal(hold(undo=post("shop", "/undo/{hold.number}")))
    assert text.startswith(
        "sale v1: step hold: 'hold.number' refers to the step's own reply, which may be lost; say how"
    )


def test_a_call_and_its_undo_may_refer_to_any_earlier_reply_and_to_data():
    price = post("shop", "/{client_id}", price="look.price", client="client_id")
    back = post("shop", "/back/{client_id}", price="look.price")
    table = saga(look(done="LOOKED"), hold(call=price, undo=back, done="HELD"), sell(call=price))
    assert table.needed_fields == {"look": {"price"}, "hold": frozenset(), "sell": frozenset()}


def test_what_only_an_undo_refers_to_is_needed_too():
    release = post("shop", "/undo/{look.basket}")
    assert saga(look(done="LOOKED"), hold(undo=release)).needed_fields["look"] == {"basket"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "basket is null, which is no part of a path"),
        ({}, "basket is an object, which is no part of a path"),
        ("..", "basket is '..', which is no part of a path"),
    ],
)
def test_a_reply_lacks_a_field_that_is_missing_or_fits_into_no_later_path(value, reason):
    table = saga(look(done="LOOKED"), hold(call=post("shop", "/{look.basket}", price="look.price")))
    assert table.lacking("look", {"basket": value, "price": None}) == {"basket": reason}
    assert table.lacking("look", {"basket": "b", "price": None}) == {}
    assert table.lacking("look", {}) == {"basket": "", "price": ""}


def test_an_undo_whose_path_lacks_the_slash_is_refused(refusal):
    path = UNDO.path.removeprefix("/")
    text = refusal(hold(undo=post("shop", path)))
    assert text == f"sale v1: step hold: path {path!r} must begin with a slash"


def test_field_of_a_get_is_refused_with_the_query_as_the_remedy(refusal):
    text = refusal(look(call=get("shop", "/x", client_id="client_id")))
    assert "a GET has no body, so client_id= would be ignored; write query={'client_id': …}, or use post()" in text


def test_repeatable_call_that_may_be_sent_once_is_refused(refusal):
    text = refusal(hold(undo=post("shop", "/undo/{hold.id}"), repeatable=True, retry=Retry(attempts=1)))
    assert "repeatable= sends the call again, and its retry= lets it be sent once" in text


@pytest.mark.parametrize(
    ("keeps", "means", "problem"),
    [
        (
            {"free": boolean()},
            {"free": {"false": REFUSED}},
            "names the value 'false', which a field of",
        ),
        (
            {"size": choice("S", "L")},
            {"size": {"XL": REFUSED}},
            "names the value 'XL', which a field of",
        ),
        ({"count": integer()}, {"count": {True: REFUSED}}, "names the value True, which a field of"),
        (
            {"free": at("available", boolean())},
            {"free": {False: REFUSED}},
            "not its place in the reply",
        ),
    ],
)
def test_meaning_that_no_reply_can_have_is_refused(refusal, keeps, means, problem):
    assert problem in refusal(look(call=get("shop", "/x", keeps=keeps, means=means)))


def test_meaning_of_a_value_that_the_field_has_is_legal():
    keeps = {"free": at("available", boolean())}
    saga(look(call=get("shop", "/x", keeps=keeps, means={"available": {False: REFUSED, None: REFUSED}}), done="DONE"))
