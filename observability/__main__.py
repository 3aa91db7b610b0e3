"""Write the dashboards and rules into deploy/: `python -m observability`.

`--check` writes nothing, and fails when a file differs.
"""

import argparse
import sys
from pathlib import Path

from machines.registry import discover
from observability.files import differences, files, write

ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m observability", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    options = parser.parse_args(arguments)
    expected = files(discover())
    if options.check:
        found = differences(options.root, expected)
        sys.stderr.writelines(f"{line}\n" for line in found)
        return 1 if found else 0
    sys.stdout.write(f"{write(options.root, expected)} files written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
