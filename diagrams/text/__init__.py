"""Renderers that write a saga's table, a lifecycle or a sequence as text."""
