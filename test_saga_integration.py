"""`python test_saga_integration.py`: the integration tests of the order saga.

The reference documents use this file name. The tests start the orchestrator and its participants themselves.
They run a success, and every failure that must be compensated.
"""

import subprocess
import sys

if __name__ == "__main__":
    sys.exit(subprocess.call(["make", "test", "PYTEST_ARGS=-v tests/e2e/test_commandes.py"]))  # noqa: S607
