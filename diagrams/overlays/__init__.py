"""Overlays: figures and highlights drawn over the picture of a table."""
