"""`saga verify` finds a call, a child or a kept reply with other values than the table says."""

import pytest

from machines import (
    Retry,
    at,
    boolean,
    call,
    cents,
    compensatable,
    computed,
    const,
    each,
    each_item,
    exact,
    fallback,
    families,
    get,
    header,
    history,
    integer,
    join,
    list_of,
    maybe,
    money,
    optional,
    pivot,
    poll,
    post,
    read,
    references,
    restoring,
    retriable,
    sub,
    templates,
    text,
    text_of,
    together,
    total,
    upper,
)
from machines import attempts as attempts_module
from machines import keeps as keeps_module
from machines import saga as definitions
from machines.attempts import Attempts
from machines.call import Call
from machines.groups import Branches
from machines.registry import Registry
from machines.verify import process, verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)
LINES = list_of({"sku": text(), "price": money()}, low=2)
DATA = {
    "who": text(), "number": integer(low=7), "none": integer(high=0), "gift": boolean(), "note": optional(text()),
    "lines": LINES, "names": list_of(text(), low=2),
}  # fmt: skip


def double(value):
    return 2 * value


LOOK = read(
    "look",
    get("shop", "/look/{who}", query={"who": "who", "names": "names", "note": maybe("note")},
        headers={"X-Who": "who", "X-Gift": text_of("gift")},
        keeps={"price": at("offer.price", money()), "id": header("Location", last_segment=True),
               "tag": at("tag", text(), otherwise="label"), "size": integer(default=3)}),
    done="SEEN", refused="NO_LOOK",
)  # fmt: skip


def calls():
    return saga(
        LOOK,
        compensatable(
            "hold",
            post("shop", "/hold/{look.id}", price=cents("look.price"), who=upper("who"), size="look.size",
                 lines=each_item("lines", {"sku": "item.sku"}), sum=total("lines.price"),
                 named=join("-", "who", "number"), key="saga.key", twice=computed(double, "number"),
                 none=maybe("none"), other=fallback("none", const(1)), second="lines.1.sku",
                 every="lines.*.sku", keeps={"id": text()}),
            undo=post("shop", "/undo/{hold.id}", who="who"), probe=get("shop", "/hold/{saga.id}", query={"who": "who"}),
            done="HELD", refused="NO_HOLD", retry=TWICE,
        ),
        pivot("pay", post("shop", "/pay", id="hold.id"), done="DONE", refused="NO_PAY", retry=TWICE),
        data=DATA,
    )  # fmt: skip


def sums():
    """Return a table whose samples hide what a careless template drops or rounds."""
    made = post("shop", "/a", price=cents("price"), less=maybe("less"), more=fallback("less", const(5)),
                sum=total("lines.price"), keeps={"left": optional(integer()), "due": money()})  # fmt: skip
    sold = post("shop", "/b", left=maybe("a.left"), due=cents("a.due"), named=join("-", maybe("a.left")))
    return saga(
        compensatable("a", made, undo=post("shop", "/a/undo"), done="A", refused="NO_A", retry=TWICE),
        pivot("b", sold, done="DONE", refused="NO_B", retry=TWICE),
        data={"price": money(), "less": optional(integer()), "lines": list_of({"price": money()}, low=0)},
    )  # fmt: skip


def later():
    asked = poll(get("shop", "/jobs/{a.job}", query={"who": "who"}), every_s=5, within_s=60)
    start = post("shop", "/a", who="who", keeps={"job": text()})
    return saga(
        compensatable("a", start, undo=post("shop", "/a/undo", who="who"), later=asked, done="DONE", refused="NO_A"),
        data=DATA,
        at_end={"DONE": post("shop", "/done", job="a.job", size="number")},
    )


def items():
    take = post("shop", "/take/{item.sku}", number="index", seen="look.id", keeps={"id": text()})
    tell = post("shop", "/tell", ids="take.*.id")
    return saga(
        LOOK, each("lines", retriable("take", take, done="TAKEN", retry=TWICE), done="ALL"),
        retriable("tell", tell, done="DONE", retry=TWICE), data=DATA,
    )  # fmt: skip


def branches():
    both = (retriable(name, post("shop", f"/{name}", who="who", keeps={"id": text()}), done=name.upper(), retry=TWICE)
            for name in "ab")  # fmt: skip
    return saga(LOOK, together(*both, name="both", done="DONE"), data=DATA)


def child():
    keeps = {"id": at("charge.id", text()), "code": at("charge.code", text())}
    return saga(
        sub("pay", saga="payment", data={"who": "who", "order": "saga.id"}, keeps=keeps, done="DONE", refused="NO_PAY"),
        data=DATA, participants=(),
    )  # fmt: skip


PAYMENT = saga(
    compensatable("charge", post("shop", "/charge", who="who", keeps={"id": text(), "code": text()}),
                  undo=post("shop", "/undo"), done="DONE", refused="NO_CHARGE", retry=TWICE),
    name="payment", data={"who": text(), "order": text()},
)  # fmt: skip


class ValueGuard(Guard):
    """A guard in a function that a table of `machines.templates` names."""

    def remove(self, patch):
        changed = self._changed()
        for name in ("_SPECIAL", "_FUNCTIONS"):
            known = getattr(templates, name)
            original = getattr(self.owner, self.function)
            patch.setattr(templates, name, {key: changed if each is original else each for key, each in known.items()})


TABLES = {
    "calls": lambda: [calls()], "later": lambda: [later()], "sums": lambda: [sums()], "items": lambda: [items()],
    "branches": lambda: [branches()], "child": lambda: [child(), PAYMENT],
}  # fmt: skip
GUARDS = {
    # Children and what they have kept
    "each_item_of_each_has_its_own_values": Guard(
        owner=Branches, function="_child", table="items", text="ITEM: self._items[place]",
        without="ITEM: self._items[0]",
    ),
    "each_item_of_each_has_its_index": Guard(
        owner=Branches, function="_child", table="items", text="INDEX: place", without="INDEX: 0",
    ),
    "results_are_in_the_order_of_the_items": Guard(
        owner=Branches, function="result", table="items", text="for each in replies]",
        without="for each in reversed(replies)]",
    ),
    "newest_children_are_in_the_order_of_the_items": Guard(
        owner=Branches, function="newest", table="items", text="sorted(self._by_place(known).items())]",
        without="sorted(self._by_place(known).items(), reverse=True)]",
    ),
    "a_branch_has_its_own_result": Guard(
        owner=Branches, function="result", table="branches", text="result_of(branch, each) for branch, each in pairs",
        without="result_of(branch, replies[0]) for branch, each in pairs",
    ),
    "a_child_gets_the_id_of_its_parent": Guard(
        owner=families, function="_sub", table="child", text="roots_of(saga_id,", without='roots_of("parent",',
    ),
    # Calls
    "a_path_is_encoded": Guard(
        owner=references, function="segment", table="calls", users=(call,), text='quote(text, safe="")',
        without="text",
    ),
    "a_slash_in_a_path_is_encoded": Guard(
        owner=references, function="segment", table="calls", users=(call,), text='safe=""', without='safe="/"',
    ),
    "a_query_is_encoded": Guard(
        owner=Call, function="_parameters", table="calls",
        text='quote(scalar_text(described(value), each, "a query"), safe="")',
        without='scalar_text(described(value), each, "a query")',
    ),
    "each_item_of_a_list_is_a_parameter": Guard(
        owner=Call, function="_parameters", table="calls", text="filled if isinstance",
        without="filled[:1] if isinstance",
    ),
    "a_query_is_sent": Guard(
        owner=Call, function="filled_path", table="calls", text="if not self.query", without="if True",
    ),
    "headers_are_sent": Guard(
        owner=attempts_module, function="filled", users=(process,), table="calls", text="if call.headers",
        without="if False",
    ),
    "a_boolean_in_a_header_is_in_small_letters": Guard(
        owner=references, function="scalar_text", table="calls", users=(call, templates),
        text='return "true" if value else "false"', without="return str(value)",
    ),
    "an_undo_has_its_own_key": Guard(
        owner=attempts_module, function="filled", users=(process,), table="calls",
        text="call_headers(saga_id, name, direction)", without='call_headers(saga_id, name, "do")',
    ),
    "a_probe_has_the_key_of_its_call": Guard(
        owner=attempts_module, function="filled", users=(process,), table="calls",
        text="call_headers(saga_id, name, direction)",
        without='call_headers(saga_id, name, direction if call is not at.step.probe else "undo")',
    ),
    "the_key_in_a_body_is_that_of_the_call": Guard(
        owner=references, function="roots_of", table="calls", users=(attempts_module,),
        text="idempotency_key(saga_id, step, direction)", without='idempotency_key(saga_id, step, "undo")',
    ),
    "an_undo_is_the_undo_of_its_step": Guard(
        owner=Attempts, function="_make", table="calls", text="self._send(saga, at.call)",
        without="self._send(saga, at.step.call)",
    ),
    "a_poll_asks_by_the_reply_that_accepted_the_call": Guard(
        owner=Call, function="filled_path", table="later", text="look_up(found[1], data, results, roots)",
        without='look_up(found[1] if found[1] != "a.job" else "who", data, results, roots)',
    ),
    "an_answer_to_a_poll_is_kept": Guard(
        owner=definitions, function="_merged", table="later", text="return {**earlier, **{",
        without="return earlier or {**earlier, **{",
    ),
    "what_an_answer_lacks_is_kept_from_before": Guard(
        owner=definitions, function="_merged", table="later", text="return {**earlier, **{", without="return {**{",
    ),
    "a_call_at_the_end_has_its_values": Guard(
        owner=Call, function="filled_body", table="later", text="name: look_up(reference, data, results, roots)",
        without='name: look_up(reference if reference != "number" else "who", data, results, roots)',
    ),
    # Values
    "cents_are_hundredths": ValueGuard(
        owner=exact, function="cents_of", table="calls", text="Decimal(100)", without="Decimal(1000)",
    ),
    "a_total_has_every_item": ValueGuard(
        owner=templates, function="_total", table="calls", text="for value in values:",
        without="for value in values[1:]:",
    ),
    "each_item_fills_its_own_item": ValueGuard(
        owner=templates, function="_each_item", table="calls", text="ITEM: item}", without="ITEM: items[0]}",
    ),
    "maybe_sends_a_zero": ValueGuard(
        owner=templates, function="_maybe", table="calls", text="found is None", without="not found",
    ),
    "fallback_sends_a_zero": ValueGuard(
        owner=templates, function="_fallback", table="calls", text="if found is None", without="if not found",
    ),
    "maybe_sends_each_zero": ValueGuard(
        owner=templates, function="_maybe", table="sums", text="found is None", without="not found",
    ),
    "fallback_sends_each_zero": ValueGuard(
        owner=templates, function="_fallback", table="sums", text="if found is None", without="if not found",
    ),
    "maybe_sends_a_zero_of_a_reply": ValueGuard(
        owner=templates, function="_maybe", table="sums", text="found is None",
        without='found is None or (found == 0 and arguments[0] == "a.left")',
    ),
    "cents_are_exact": ValueGuard(
        owner=exact, function="cents_of", table="sums",
        text="_EXACTLY.multiply(exact_number(value), Decimal(100))", without="Decimal(int(float(value) * 100))",
    ),
    "cents_of_a_reply_are_exact": ValueGuard(
        owner=exact, function="cents_of", table="sums", text="return _integer(int(exact))",
        without='return _integer(int(float(value) * 100)) if value == "19.99" else _integer(int(exact))',
    ),
    "a_total_of_no_items_is_a_number": ValueGuard(
        owner=templates, function="_total", table="sums", text="if values and", without="if",
    ),
    "a_join_of_no_values_is_left_out": Guard(
        owner=templates, function="_computed", table="sums", text=" or len(arguments) == 1", without="",
    ),
    "join_puts_its_separator": ValueGuard(
        owner=templates, function="_joined", table="calls", text="separator.join", without='"".join',
    ),
    "an_index_counts_from_zero": Guard(
        owner=references, function="within", table="calls", users=(keeps_module,), text="value[int(name)]",
        without="value[int(name) - 1]",
    ),
    "a_star_means_every_item": Guard(
        owner=references, function="within", table="calls", users=(keeps_module,), text="for each in value]",
        without="for each in value[:1]]",
    ),
    "computed_gets_its_values": Guard(
        owner=templates, function="_computed", table="calls", text="function.own(*arguments)",
        without="function.own(*([1] * len(arguments)))",
    ),
    # Kept replies
    "a_kept_value_is_that_of_the_reply": Guard(
        owner=keeps_module, function="keep", users=(definitions,), table="calls",
        text="accept(kept.field, _found(kept, body, headers), strict=False)", without="kept.field.example",
    ),
    "the_last_segment_of_a_header_is_kept": Guard(
        owner=keeps_module, function="_in_header", table="calls", text="if not kept.last_segment", without="if True",
    ),
    "a_default_is_kept": Guard(
        owner=keeps_module, function="keep", users=(definitions,), table="calls",
        text="parts(name), kept.field.default", without="parts(name), 0",
    ),
    "a_process_that_takes_over_has_the_replies": Guard(
        owner=history, function="replies", table="calls", text='row.step or "": row.reply',
        without='row.step or "": {**row.reply, "id": "x"}', users=(restoring,),
    ),
}  # fmt: skip


def result(name, **options):
    tables = TABLES[name]()
    return tables, verify(tables[0], registry=Registry(tables), **options)


@pytest.mark.parametrize("name", TABLES)
def test_tables_with_every_guard_have_no_fault(name):
    _, found = result(name)
    assert (found.faults, found.complete) == ([], True)


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_value_that_the_table_does_not_say(guard):
    with pytest.MonkeyPatch.context() as patch:
        GUARDS[guard].remove(patch)
        tables, found = result(GUARDS[guard].table, most_states=60_000)
        assert [each.broken for each in found.faults] == ["as the table says"]
        assert len(found.faults[0].path) <= 6
        source = source_for(found, Registry(tables))
        assert not passes(source, Registry(tables))
    assert passes(source, Registry(TABLES[GUARDS[guard].table]()))
