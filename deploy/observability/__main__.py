"""`python -m deploy.observability`: write the dashboards and rules; `--check` compares them with those in deploy/."""

import sys

from deploy.observability.files import OBSERVABILITY

if __name__ == "__main__":
    sys.exit(OBSERVABILITY.main())
