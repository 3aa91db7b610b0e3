"""Write one run of a saga as a sequence diagram, for PlantUML and for Mermaid."""

from diagrams.descriptions import POINT_OF_NO_RETURN
from diagrams.sequence import Asks, Exchange, Run
from diagrams.text import mermaid, plantuml
from machines.step import Kind
from machines.transitions import Trigger

_CLIENT, _SAGA = "_client", "_saga"


def plantuml_sequence(run: Run) -> str:
    text = plantuml.text
    lines = ["@startuml", "skinparam shadowing false", "hide footbox", f"title {text(f'{run.saga}: {run.says}')}"]
    lines += [f"actor client as {_CLIENT}", f'participant "{text(str(run.saga))}" as {_SAGA}']
    lines += [f'participant "{text(name)}" as {_alias(name)}' for name in _called(run)]
    lines.append(f"{_CLIENT} -> {_SAGA} : start")
    for exchange in run.exchanges:
        other = _alias(exchange.call.participant)
        lines += [f"note over {_SAGA} : {text(words)}" for words in exchange.decided]
        if exchange.asks is Asks.ANSWER:
            lines += [f"{other} -> {_SAGA} : {_asks(exchange)}", f"note over {_SAGA} : {text(exchange.then)}"]
            if _no_return(exchange):
                lines.append(f"== {POINT_OF_NO_RETURN} ==")
            continue
        lines += [
            f"{_SAGA} -> {other} : {text(_asks(exchange))}",
            f"{other} {'-->' if _well(exchange) else '--x'} {_SAGA} : {_answers(exchange)}",
            f"note over {_SAGA} : {text(exchange.then)}",
        ]
        if _no_return(exchange):
            lines.append(f"== {POINT_OF_NO_RETURN} ==")
        if exchange.outcome in (Trigger.REFUSED, Trigger.EXHAUSTED):
            lines.append("== the way back ==")
    lines += [f"note over {_SAGA} : {text(words)}" for words in run.decided]
    return "\n".join([*lines, f"{_SAGA} --> {_CLIENT} : {text(run.end)}", "@enduml", ""])


def mermaid_sequence(run: Run) -> str:
    text = mermaid.text
    lines = ["sequenceDiagram", f"  actor {_CLIENT} as client", f"  participant {_SAGA} as {text(str(run.saga))}"]
    lines += [f"  participant {_alias(name)} as {text(name)}" for name in _called(run)]
    lines.append(f"  {_CLIENT}->>{_SAGA}: start")
    for exchange in run.exchanges:
        other = _alias(exchange.call.participant)
        lines += [f"  Note over {_SAGA}: {text(words)}" for words in exchange.decided]
        if exchange.asks is Asks.ANSWER:
            lines += [f"  {other}->>{_SAGA}: {_asks(exchange)}", f"  Note over {_SAGA}: {text(exchange.then)}"]
            if _no_return(exchange):
                lines.append(f"  Note over {_CLIENT},{_SAGA}: {POINT_OF_NO_RETURN}")
            continue
        lines += [
            f"  {_SAGA}->>{other}: {text(_asks(exchange))}",
            f"  {other}{'-->>' if _well(exchange) else '--x'}{_SAGA}: {_answers(exchange)}",
            f"  Note over {_SAGA}: {text(exchange.then)}",
        ]
        if _no_return(exchange):
            lines.append(f"  Note over {_CLIENT},{_SAGA}: {POINT_OF_NO_RETURN}")
    lines += [f"  Note over {_SAGA}: {text(words)}" for words in run.decided]
    return "\n".join([*lines, f"  {_SAGA}-->>{_CLIENT}: {text(run.end)}", ""])


def _called(run: Run) -> list[str]:
    """Return the called participants in the order of their first call."""
    return list(dict.fromkeys(exchange.call.participant for exchange in run.exchanges))


def _alias(participant: str) -> str:
    return f"p_{''.join(sign if sign.isalnum() else '_' for sign in participant)}"


def _asks(exchange: Exchange) -> str:
    if exchange.asks is Asks.ANSWER:
        return f"callback of {exchange.step.name}"
    words = {
        Asks.DO: exchange.step.name,
        Asks.RECOVER: f"the lost reply of {exchange.step.name}",
    }.get(exchange.asks, f"{exchange.asks} {exchange.step.name}")
    return f"{words}: {exchange.call.method} {exchange.call.path}"


def _answers(exchange: Exchange) -> str:
    if exchange.outcome in (Trigger.RETRY, Trigger.EXHAUSTED):
        return "no answer"
    return f"{exchange.outcome}{', but it left something behind' if exchange.leaves_something else ''}"


def _well(exchange: Exchange) -> bool:
    return exchange.outcome in (Trigger.SUCCEEDED, Trigger.ACCEPTED)


def _no_return(exchange: Exchange) -> bool:
    return exchange.step.kind is Kind.PIVOT and exchange.outcome is Trigger.SUCCEEDED
