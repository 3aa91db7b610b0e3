"""`python -m benchmarks.before [REVISION]`: compare orders per second of this tree with those of an earlier revision.

The default is the last revision without steps that start other sagas. The tables of the benchmark have none, so they
should cost what they cost then. Both trees serve the same order in turn, in pairs; the median of the ratios counts.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import ROOT, Harness, open_harness, settings

#: The revision before `sub()`.
BEFORE = "dd9bb483^"
PAIRS, SECONDS, CONNECTIONS, ENOUGH = 20, 5.0, 16, 0.98


def main(revision: str) -> int:
    with tempfile.TemporaryDirectory(prefix="before") as folder, open_harness() as now:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", str(tree), revision)
        try:
            with open_harness(tree) as before:
                ratios = _ratios({"now": now, "before": before})
        finally:
            _git("worktree", "remove", "--force", str(tree))
    middle = statistics.median(ratios)
    low, high = min(ratios), max(ratios)
    sys.stdout.write(f"now / {revision}: median {middle:.3f} of {len(ratios)} pairs, {low:.3f} to {high:.3f}\n")
    return 0 if middle >= ENOUGH else 1


def _ratios(benches: dict[str, Harness]) -> list[float]:
    """Return the orders per second of `now` divided by those of `before`, for each pair of measurements."""
    environments = {name: settings(bench.database(), bench.responder()) for name, bench in benches.items()}
    with (
        benches["now"].server("ours", 2, **environments["now"]) as now,
        benches["before"].server("ours", 2, **environments["before"]) as before,
    ):
        servers, found = {"now": now, "before": before}, []
        for name, server in servers.items():
            benches[name].load(server.url, CONNECTIONS, SECONDS)
        for pair in range(PAIRS):
            rates = {}
            for name in ("now", "before") if pair % 2 else ("before", "now"):
                rates[name] = len(benches["now"].load(servers[name].url, CONNECTIONS, SECONDS)) / SECONDS
            found.append(rates["now"] / rates["before"])
            sys.stderr.write(f"  {rates['now']:,.0f} and {rates['before']:,.0f} orders/s, {found[-1]:.3f}\n")
    return found


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True)  # noqa: S603, S607  fixed arguments


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [BEFORE]))
