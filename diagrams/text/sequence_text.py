"""Write one run of a saga as a sequence diagram, for PlantUML and for Mermaid."""

from diagrams.descriptions import POINT_OF_NO_RETURN, named
from diagrams.sequence import Asks, Exchange, Run
from diagrams.text import mermaid, plantuml
from diagrams.text.group_sequence import Format, group_lines, participants_of
from machines.step import Kind
from machines.transitions import Trigger

_CLIENT, _SAGA = "_client", "_saga"


def plantuml_sequence(run: Run) -> str:
    text = plantuml.text
    lines = ["@startuml", "skinparam shadowing false", "hide footbox", f"title {text(f'{_name(run)}: {run.says}')}"]
    lines += [f"actor client as {_CLIENT}", f'participant "{text(_name(run))}" as {_SAGA}']
    lines += [f'participant "{text(name)}" as {_alias(name)}' for name in _called(run)]
    lines.append(f"{_CLIENT} -> {_SAGA} : start")
    for exchange in run.exchanges:
        other = _alias(exchange.call.participant)
        lines += [f"note over {_SAGA} : {text(words)}" for words in exchange.decided]
        if exchange.step.group is not None:
            lines += [*_branches(exchange, _PLANTUML), f"note over {_SAGA} : {text(_group_end(run, exchange))}"]
            continue
        if exchange.asks is Asks.ANSWER:
            lines += [
                f"{other} -> {_SAGA} : {_asks(exchange)}",
                f"note over {_SAGA} : {text(_state(run, exchange.then))}",
            ]
            if _no_return(exchange):
                lines.append(f"== {POINT_OF_NO_RETURN} ==")
            continue
        lines += [
            f"{_SAGA} -> {other} : {text(_asks(exchange))}",
            f"{other} {'-->' if _well(exchange) else '--x'} {_SAGA} : {_answers(exchange)}",
            f"note over {_SAGA} : {text(_state(run, exchange.then))}",
        ]
        if _no_return(exchange):
            lines.append(f"== {POINT_OF_NO_RETURN} ==")
        if exchange.outcome in (Trigger.REFUSED, Trigger.EXHAUSTED):
            lines.append("== the way back ==")
    lines += [f"note over {_SAGA} : {text(words)}" for words in run.decided]
    return "\n".join([*lines, f"{_SAGA} --> {_CLIENT} : {text(_state(run, run.end))}", "@enduml", ""])


def mermaid_sequence(run: Run) -> str:
    text = mermaid.text
    lines = ["sequenceDiagram", f"  actor {_CLIENT} as client", f"  participant {_SAGA} as {text(_name(run))}"]
    lines += [f"  participant {_alias(name)} as {text(name)}" for name in _called(run)]
    lines.append(f"  {_CLIENT}->>{_SAGA}: start")
    for exchange in run.exchanges:
        other = _alias(exchange.call.participant)
        lines += [f"  Note over {_SAGA}: {text(words)}" for words in exchange.decided]
        if exchange.step.group is not None:
            lines += [f"  {line}" for line in _branches(exchange, _MERMAID)]
            lines.append(f"  Note over {_SAGA}: {text(_group_end(run, exchange))}")
            continue
        if exchange.asks is Asks.ANSWER:
            lines += [
                f"  {other}->>{_SAGA}: {_asks(exchange)}",
                f"  Note over {_SAGA}: {text(_state(run, exchange.then))}",
            ]
            if _no_return(exchange):
                lines.append(f"  Note over {_CLIENT},{_SAGA}: {POINT_OF_NO_RETURN}")
            continue
        lines += [
            f"  {_SAGA}->>{other}: {text(_asks(exchange))}",
            f"  {other}{'-->>' if _well(exchange) else '--x'}{_SAGA}: {_answers(exchange)}",
            f"  Note over {_SAGA}: {text(_state(run, exchange.then))}",
        ]
        if _no_return(exchange):
            lines.append(f"  Note over {_CLIENT},{_SAGA}: {POINT_OF_NO_RETURN}")
    lines += [f"  Note over {_SAGA}: {text(words)}" for words in run.decided]
    return "\n".join([*lines, f"  {_SAGA}-->>{_CLIENT}: {text(_state(run, run.end))}", ""])


def _name(run: Run) -> str:
    return named(run.saga.title, str(run.saga))


def _state(run: Run, state: str) -> str:
    return named(run.saga.titles.get(state, ""), state)


def _called(run: Run) -> list[str]:
    """Return the called participants in the order of their first call."""
    every = [
        participants_of(exchange.step) if exchange.step.group else [exchange.call.participant]
        for exchange in run.exchanges
    ]
    return list(dict.fromkeys(name for names in every for name in names))


def _alias(participant: str) -> str:
    return f"p_{''.join(sign if sign.isalnum() else '_' for sign in participant)}"


def _branches(exchange: Exchange, form: Format) -> list[str]:
    """Return the lines of a group. The branches of a refused group are not drawn: how far they come is not known."""
    undo = exchange.asks is Asks.UNDO
    return list(group_lines(exchange.step, form, undo=undo)) if undo or _well(exchange) else []


def _group_end(run: Run, exchange: Exchange) -> str:
    name, then = named(exchange.step.title, exchange.step.name), _state(run, exchange.then)
    if exchange.asks is Asks.UNDO:
        return f"what the branches of {name} had done is undone, {then}"
    if _well(exchange):
        return then
    return f"a branch of {name} is refused and the others stop, {then}"


def _plantuml_call(participant: str, words: str) -> list[str]:
    other = _alias(participant)
    return [f"{_SAGA} -> {other} : {plantuml.text(words)}", f"{other} --> {_SAGA} : {Trigger.SUCCEEDED}"]


def _mermaid_call(participant: str, words: str) -> list[str]:
    other = _alias(participant)
    return [f"{_SAGA}->>{other}: {mermaid.text(words)}", f"{other}-->>{_SAGA}: {Trigger.SUCCEEDED}"]


_PLANTUML = Format(text=plantuml.text, beside="else", call=_plantuml_call)
_MERMAID = Format(text=mermaid.text, beside="and", call=_mermaid_call)


def _asks(exchange: Exchange) -> str:
    if exchange.asks is Asks.ANSWER:
        return f"callback of {named(exchange.step.title, exchange.step.name)}"
    name = named(exchange.step.title, exchange.step.name)
    words = {Asks.DO: name, Asks.RECOVER: f"the lost reply of {name}"}.get(exchange.asks, f"{exchange.asks} {name}")
    return f"{words}: {exchange.call.method} {exchange.call.path}"


def _answers(exchange: Exchange) -> str:
    if exchange.outcome in (Trigger.RETRY, Trigger.EXHAUSTED):
        return "no answer"
    return f"{exchange.outcome}{', but it left something behind' if exchange.leaves_something else ''}"


def _well(exchange: Exchange) -> bool:
    return exchange.outcome in (Trigger.SUCCEEDED, Trigger.ACCEPTED)


def _no_return(exchange: Exchange) -> bool:
    return exchange.step.kind is Kind.PIVOT and exchange.outcome is Trigger.SUCCEEDED
