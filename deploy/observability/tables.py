"""The rules that merge what the tables of all processes say. They are the same for every set of sagas.

While two releases run side by side, both may describe one state or one step. Alerts and panels need one series of each,
so the larger of the limits counts.
"""

from typing import Any


def table_rules() -> list[dict[str, Any]]:
    return [
        _merged("saga_step_info", "saga_table_step", each="saga, step", labels="place"),
        _merged(
            "saga_dwell_limit_seconds",
            "saga_table_dwell_limit_seconds",
            each="saga, state",
            labels="step, participant, phase",
        ),
        _merged("saga_wait_info", "saga_table_wait", each="saga, state", labels="waits_for"),
    ]


def _merged(record: str, gauge: str, *, each: str, labels: str) -> dict[str, Any]:
    return {"record": record, "expr": f"topk by ({each}) (1, max by ({each}, {labels}) ({gauge}))"}
