"""`python -m docs.model`: check the models with SPIN, and that each guard is needed."""

import argparse
import sys

from docs.model import SearchError, check, missing


def main() -> int:
    """Print one line for each search. Return 0 when every line is as it must be."""
    words = "Check the models with SPIN, and that each guard is needed."
    argparse.ArgumentParser(prog="python -m docs.model", description=words).parse_args()
    if absent := missing():
        sys.stderr.write(f"the model check needs: apt-get install -y {' '.join(absent)}\n")
        return 2
    wrong = guards = found = 0
    try:
        for line, right in check():
            sys.stdout.write(f"{line}\n" if right else f"{line}  <-- wrong\n")
            sys.stdout.flush()
            wrong += not right
            guards += " without " in line
            found += right and " without " in line
    except SearchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"guards taken out: {guards}, found: {found}\n")
    return int(wrong > 0)


sys.exit(main())
