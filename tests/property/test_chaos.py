"""Never an effect that nobody undoes, never an undone pivot, always an end or stuck: whatever befalls a saga.

CHAOS=full runs 3,000 examples. A failure prints the rules that led to it, which can be typed in again as a test.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = 3_000 if os.environ.get("CHAOS") == "full" else 200


def test_the_properties_hold_whatever_befalls_a_saga(chaos):
    many = settings(
        max_examples=EXAMPLES,
        stateful_step_count=10,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(chaos, settings=many)
