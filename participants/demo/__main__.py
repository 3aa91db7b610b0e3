"""`python -m participants.demo`: run the demo.

Exit code 0: every result was as expected. 1: a result was not. 2: a setting or a port cannot be used.
"""

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import requests

from participants.demo.checkouts import CHECKOUTS, Checkout
from participants.demo.course import Show
from participants.demo.processes import ProgramError, Programs, StoppableClock, StoppedError
from participants.demo.settings import SettingError, from_environment


def main(arguments: Sequence[str] | None = None, checkouts: Sequence[Checkout] = CHECKOUTS) -> int:
    parser = argparse.ArgumentParser(prog="python -m participants.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the checkouts instead of staying up")
    once = parser.parse_args(arguments).once
    try:
        settings = from_environment(os.environ)
    except SettingError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a symbol shows ? instead
    clock = StoppableClock()
    try:
        with tempfile.TemporaryDirectory(prefix="saga-demo-") as folder, Programs(Path(folder), clock) as programs:
            return Show(settings, Path(folder), programs, clock).run(checkouts, once=once)
    except StoppedError as stopped:
        sys.stderr.write("\ndemo: stopped before its end\n")
        return stopped.exit_code
    except (ProgramError, requests.RequestException) as error:
        sys.stderr.write(f"\ndemo: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
