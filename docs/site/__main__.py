"""`python -m docs.site`: build the documentation as a site. Each broken link or anchor is listed, and is an error."""

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Build the site and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument("--source", type=Path, default=_ROOT, help="the repository (default: this one)")
    parser.add_argument(
        "--to", type=Path, default=_ROOT / "var" / "docs", help="folder of the site (default: var/docs)"
    )
    options = parser.parse_args(arguments)
    strict = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env")
    failed = build_main([*strict, "--conf-dir", str(_HERE), "-b", "html", str(options.source), str(options.to)])
    if not failed:
        sys.stdout.write(f"open {options.to / 'index.html'}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
