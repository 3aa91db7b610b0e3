"""Generate the dashboards, recording rules and alerts from the saga definitions.

Every query reads metrics by their names in /metrics. The order of the steps and the time limit of each state come from
the definitions.
"""
