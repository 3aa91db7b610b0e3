"""Scrapes of /metrics take a bounded part of the CPU, however many come."""

import pytest

from app.api.metrics import AT_ONCE_S, SHARE, Answers, _format
from app.errors import BusyError

COST_S = 0.25


class Machine:
    """A clock, the CPU time of this thread, and answers that each take COST_S of it."""

    def __init__(self):
        self.now, self.cpu, self.made = 0.0, 0.0, 0
        self.answers = Answers(lambda: self.now, lambda: self.cpu)

    def make(self):
        self.cpu += COST_S
        self.made += 1
        return f"answer {self.made}"

    def scrape(self, **how):
        return self.answers.text(self.make, **how)


@pytest.fixture
def machine():
    return Machine()


def test_scrapes_of_a_prometheus_are_always_new(machine):
    for number in range(100):
        assert machine.scrape() == f"answer {number + 1}"
        machine.now += COST_S / SHARE


def test_a_flood_of_scrapes_shares_answers_and_takes_its_part_of_the_cpu(machine):
    for _ in range(6_000):
        machine.scrape()
        machine.now += 0.01
    most = AT_ONCE_S + 60 * SHARE + COST_S
    assert AT_ONCE_S < machine.cpu <= most
    assert machine.scrape() == f"answer {machine.made}"


def test_a_flood_of_selected_metrics_is_refused(machine):
    for _ in range(round(AT_ONCE_S / COST_S)):
        machine.scrape(shared=False)
    with pytest.raises(BusyError):
        machine.scrape(shared=False)
    machine.now += COST_S / SHARE
    assert machine.scrape(shared=False) == f"answer {machine.made}"


@pytest.mark.parametrize(
    ("accept", "begins"),
    [
        ("", ""),
        ("text/plain; version=1.0.0; escaping=values", ""),
        ("application/openmetrics-text", "application/openmetrics-text"),
        (
            "application/openmetrics-text; version=9.9.9; escaping=allow-utf-8, text/plain",
            "application/openmetrics-text",
        ),
        ("application/openmetrics-text; version=abc", ""),
    ],
)
def test_every_accept_header_leads_to_one_of_two_formats(accept, begins):
    assert _format(accept).partition(";")[0] == begins
