"""The settings of the tests that remove a guard and expect a property to fail."""

from hypothesis import HealthCheck, Phase, settings


def stable(examples: int) -> settings:
    """Return settings with which each run has the same examples.

    A failing example is not made shorter, because the test expects a failure.
    """
    return settings(
        max_examples=examples,
        stateful_step_count=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
