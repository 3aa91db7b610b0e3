"""Diagrams as text: each module writes a saga's table, a lifecycle or a run in one or more languages."""
