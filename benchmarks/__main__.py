"""Every measurement, or those that are named: `python -m benchmarks [NAME …]`. Each ends up in docs/performance.md."""

import sys

from benchmarks import alive, apart, asynchronous, crowd, growth, observability, recovery, replicas, versus, workloads
from benchmarks.rig import rig

PARTS = {
    "versus": versus.measure,
    "workloads": workloads.measure,
    "apart": apart.measure,
    "observability": observability.measure,
    "replicas": replicas.measure,
    "crowd": crowd.measure,
    "asynchronous": asynchronous.measure,
    "growth": growth.measure,
    "recovery": recovery.measure,
    "alive": alive.measure,
}


def main(names: list[str]) -> int:
    if unknown := set(names) - PARTS.keys():
        sys.stderr.write(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}\n")
        return 2
    for name in names or PARTS:
        sys.stderr.write(f"{name} …\n")
        with rig() as bench:
            table = PARTS[name](bench)
        sys.stdout.write(f"\n{table}\n\n")
        sys.stdout.flush()
        table.publish()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
