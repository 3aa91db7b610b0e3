"""The parts of a reference participant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy

from participants.barrier import Barrier


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A reference participant.

    balance: the function that returns the totals of the business tables. A client checks with them that the books
    agree.
    """

    name: str
    db: SQLAlchemy
    barrier: Barrier
    routes: Blueprint
    balance: Callable[[], dict[str, Any]]
