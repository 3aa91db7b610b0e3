"""Recording rules that give Prometheus constants from the definitions: the order of the steps and the time limits."""

from typing import Any

from deploy.observability.facts import Facts


def table_rules(known: Facts) -> list[dict[str, Any]]:
    """Return one series per step, with its place in its saga, and one per state, with its time limit."""
    places = [_constant("saga_step_info", 1, saga=fact.saga, step=fact.step, place=fact.place) for fact in known.steps]
    limits = [
        _constant(
            "saga_dwell_limit_seconds",
            fact.dwell_s,
            saga=fact.saga,
            state=fact.state,
            step=fact.step,
            participant=fact.participant,
            phase=fact.phase.value,
        )
        for fact in known.states
    ]
    return places + limits


def _constant(name: str, value: float, **labels: str) -> dict[str, Any]:
    return {"record": name, "expr": f"vector({value:g})", "labels": labels}
