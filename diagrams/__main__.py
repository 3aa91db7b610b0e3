"""`python -m diagrams`: write the diagrams of every definition; `--check` compares them with the committed files."""

import sys

from diagrams.files import DIAGRAMS

if __name__ == "__main__":
    sys.exit(DIAGRAMS.main())
