"""Under every fault, a saga and its children end together: all effects of the whole tree are final, or none is.

CHAOS=full runs 3,000 examples. A failure prints the rules that led to it, and a new test can repeat them.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

FULL = os.environ.get("CHAOS") == "full"


def many(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=10,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_properties_hold_after_any_events_of_a_family(family_chaos):
    run_state_machine_as_test(family_chaos, settings=many(3_000 if FULL else 80))


def test_properties_of_families_hold_on_postgresql(family_chaos_on_postgresql):
    run_state_machine_as_test(family_chaos_on_postgresql, settings=many(300 if FULL else 10))
