"""Overlays: numbers, texts and highlights that are added to the picture of a table."""
