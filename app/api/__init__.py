"""The HTTP API: each contract translates its own names to the same service."""
