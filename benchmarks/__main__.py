"""`python -m benchmarks [NAME …]`: run benchmarks (default: all) and write their tables to docs/performance.md."""

import sys

from benchmarks import (
    asynchronous,
    branches,
    breakdown,
    comparison,
    concurrency,
    cpu,
    growth,
    health,
    in_flight,
    observability,
    public_api,
    recovery,
    replicas,
    waiting,
    workloads,
)
from benchmarks.harness import open_harness

BENCHMARKS = {
    "comparison": comparison.measure,
    "workloads": workloads.measure,
    "breakdown": breakdown.measure,
    "cpu": cpu.measure,
    "observability": observability.measure,
    "replicas": replicas.measure,
    "concurrency": concurrency.measure,
    "in-flight": in_flight.measure,
    "public-api": public_api.measure,
    "asynchronous": asynchronous.measure,
    "growth": growth.measure,
    "recovery": recovery.measure,
    "health": health.measure,
    "waiting": waiting.measure,
    "polling": waiting.measure_polls,
    "branches": branches.measure,
    "lines": branches.measure_lines,
    "slow-lines": branches.measure_slow_lines,
}


def main(names: list[str]) -> int:
    if unknown := set(names) - BENCHMARKS.keys():
        sys.stderr.write(f"unknown benchmark: {', '.join(sorted(unknown))}; available: {', '.join(BENCHMARKS)}\n")
        return 2
    for name in names or BENCHMARKS:
        sys.stderr.write(f"{name} …\n")
        with open_harness() as bench:
            table = BENCHMARKS[name](bench)
        sys.stdout.write(f"\n{table}\n\n")
        sys.stdout.flush()
        table.publish()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
