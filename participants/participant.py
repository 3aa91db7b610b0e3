"""What each reference participant is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy

from participants.barrier import Barrier


@dataclass(frozen=True, kw_only=True)
class Participant:
    """`balance` sums up the business tables, so that anyone can check that the books agree."""

    name: str
    db: SQLAlchemy
    barrier: Barrier
    routes: Blueprint
    balance: Callable[[], dict[str, Any]]
