"""The language of saga tables, and the sample tables, which the service runs while the setting SAGAS is not set.

A table needs one import line, `from machines import …`; docs/tables.md describes every word.

Read the files in this order: `table` (the columns of a table), `transitions` (the states and transitions derived from
a table), `machine` (the state machine of one saga), `progress` (what an outcome or a request does to a saga), `history`
(what a journal says), `checkout` (a complete saga).
"""

from machines.amounts import paid, taken
from machines.branching import branch, each, sub, together
from machines.call import delete, get, patch, post, put
from machines.check import TableError
from machines.conditions import above, all_of, any_of, below, between, equal, is_true, not_, one_of, present
from machines.fields import (
    amount,
    anything,
    boolean,
    choice,
    date,
    datetime,
    decimal,
    integer,
    list_of,
    money,
    nullable,
    number,
    object_of,
    optional,
    personal,
    secret,
    text,
    uuid,
)
from machines.keeps import at, header
from machines.later import callback, poll
from machines.outcomes import ACCEPTED, IN_DOUBT, NOT_SENT, REFUSED, REFUSED_UNDO, SUCCEEDED
from machines.retry import NEVER, PERSISTENT, Retry
from machines.saga import Saga
from machines.step import approval, compensatable, pause, pivot, read, retriable, wait
from machines.templates import (
    cents,
    computed,
    const,
    each_item,
    fallback,
    join,
    lower,
    maybe,
    number_of,
    text_of,
    total,
    upper,
)

__all__ = [
    "ACCEPTED",
    "IN_DOUBT",
    "NEVER",
    "NOT_SENT",
    "PERSISTENT",
    "REFUSED",
    "REFUSED_UNDO",
    "SUCCEEDED",
    "Retry",
    "Saga",
    "TableError",
    "above",
    "all_of",
    "amount",
    "any_of",
    "anything",
    "approval",
    "at",
    "below",
    "between",
    "boolean",
    "branch",
    "callback",
    "cents",
    "choice",
    "compensatable",
    "computed",
    "const",
    "date",
    "datetime",
    "decimal",
    "delete",
    "each",
    "each_item",
    "equal",
    "fallback",
    "get",
    "header",
    "integer",
    "is_true",
    "join",
    "list_of",
    "lower",
    "maybe",
    "money",
    "not_",
    "nullable",
    "number",
    "number_of",
    "object_of",
    "one_of",
    "optional",
    "paid",
    "patch",
    "pause",
    "personal",
    "pivot",
    "poll",
    "post",
    "present",
    "put",
    "read",
    "retriable",
    "secret",
    "sub",
    "taken",
    "text",
    "text_of",
    "together",
    "total",
    "upper",
    "uuid",
    "wait",
]
