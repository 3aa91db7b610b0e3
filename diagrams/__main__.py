"""`python -m diagrams` writes the diagrams of every table; `--check` only compares, and fails when one differs."""

import argparse
import sys
from pathlib import Path

from diagrams.files import differences, files, write
from machines.registry import discover

ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m diagrams", description=__doc__)
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
