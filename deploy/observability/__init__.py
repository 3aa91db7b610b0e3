"""What an operator looks at and is woken by: dashboards, recording rules and alerts, made from the tables.

Every query reads metrics by the names that /metrics gives them, and takes from the tables what only they know: the
order of the steps, and how long each state may last.
"""
