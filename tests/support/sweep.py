"""The part of a list of crash boundaries that one run tests."""

import os
from typing import Any

DATABASES = ("sqlite", "postgresql")


def swept(boundaries: list[Any]) -> list[Any]:
    """Return the boundaries to test on each database: one third on each, or with CHAOS=full all of them on both."""
    return [
        (database, *boundary)
        for turn, database in enumerate(DATABASES)
        for number, boundary in enumerate(boundaries)
        if os.environ.get("CHAOS") == "full" or number % 3 == turn
    ]
