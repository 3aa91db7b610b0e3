import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def _close_connections():
    """Close the sockets of the clients of one module. A client refers to itself, so only the collector frees it.

    Without this, one test process had more than 1,000 open sockets, the limit of many machines.
    """
    yield
    gc.collect()
