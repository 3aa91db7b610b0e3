"""Benchmarks of the service. Each module measures one subject and returns a table for docs/performance.md."""
