"""Compare this tree with an earlier revision: orders per second, times, and CPU per order, in turns on one machine.

`python -m benchmarks.releases REVISION [CONNECTIONS …] [--sqlite]`. The tables of the benchmark have four steps with an
effect and nothing else, so they should cost no more than before.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks import harness
from benchmarks.harness import Harness, Server, open_harness, settings

ROUNDS, SECONDS, WARM_UP_S = 7, 4.0, 2.0
COLUMNS = ("orders/s", "p50 ms", "p99 ms", "service µs of CPU", "PostgreSQL µs of CPU")


def cpu_s(process: psutil.Process | None) -> float:
    """Return the CPU time of a process and of its children, also of those that have ended, in seconds."""
    if process is None:
        return 0.0
    family = [process, *process.children(recursive=True)]
    return float(sum(sum(each.cpu_times()[:4]) for each in family if each.is_running()))


def postgres_of(bench: Harness) -> psutil.Process | None:
    """Return the main process of the benchmark's PostgreSQL."""
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if "postgres" in command and str(bench.folder) in command:
            return process
    return None


def measured(bench: Harness, server: Server, postgres: psutil.Process | None, connections: int) -> tuple[float, ...]:
    """Return the values of COLUMNS for one round."""
    bench.settle()
    before = cpu_s(server.process), cpu_s(postgres)
    began = time.monotonic()
    times = sorted(bench.load(server.url, connections, SECONDS))
    took_s = time.monotonic() - began
    used = (cpu_s(server.process) - before[0]) / len(times), (cpu_s(postgres) - before[1]) / len(times)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return len(times) / took_s, p50 * 1e3, p99 * 1e3, used[0] * 1e6, used[1] * 1e6


def compare(bench: Harness, trees: Mapping[str, Path], connections: list[int], *, sqlite: bool) -> None:
    """Print the median of each column for each tree, and the median of the ratios of each round."""
    responder, found = bench.responder(), defaultdict(list)
    with ExitStack() as stack:
        servers = {}
        for name, folder in trees.items():
            bench.root = folder
            environment = settings(bench.file() if sqlite else bench.database(), responder)
            servers[name] = stack.enter_context(bench.server("ours", 1 if sqlite else 2, 64, **environment))
        bench.root = harness.ROOT
        postgres = None if sqlite else postgres_of(bench)
        for count in connections:
            for server in servers.values():
                bench.load(server.url, count, WARM_UP_S)
            for number in range(ROUNDS):
                for name in list(trees)[:: 1 if number % 2 else -1]:
                    found[name, count].append(measured(bench, servers[name], postgres, count))
            _print(count, *(found[name, count] for name in trees))


def _print(count: int, before: list[tuple[float, ...]], now: list[tuple[float, ...]]) -> None:
    sys.stdout.write(f"\n{count} connections{'before':>18}{'now':>10}{'ratio':>8}\n")
    for column, name in enumerate(COLUMNS):
        old, new = [each[column] for each in before], [each[column] for each in now]
        if not any(old):
            continue
        ratio = statistics.median(after / earlier for earlier, after in zip(old, new, strict=True) if earlier)
        line = f"{name:22}{statistics.median(old):10.1f}{statistics.median(new):10.1f}{ratio:8.3f}\n"
        sys.stdout.write(line)
    sys.stdout.flush()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("before", help="a revision of git, as a commit, a tag or a branch")
    arguments.add_argument("connections", type=int, nargs="*", default=[1, 16, 64])
    arguments.add_argument("--sqlite", action="store_true")
    given = arguments.parse_args()
    with open_harness() as bench, tree_of(given.before) as before:
        trees = {"before": before, "now": harness.ROOT}
        compare(bench, trees, given.connections or [1, 16, 64], sqlite=given.sqlite)


@contextmanager
def tree_of(revision: str) -> Iterator[Path]:
    """Check the revision out into a folder of its own, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="before") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=harness.ROOT, check=True, capture_output=True)  # noqa: S603, S607  fixed words


if __name__ == "__main__":
    main()
