"""The dashboards. Each module has a title and the panels from top to bottom."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.observability.dashboards import errors, golden_signals, observabilite, overview, performance, throughput
from deploy.observability.frame import framed
from machines.facts import Facts


def dashboards(known: Facts) -> list[Dashboard]:
    boards = (observabilite, overview, performance, errors, throughput, golden_signals)
    return [framed(board.UID, board.TITLE, board.panels(known)) for board in boards]
