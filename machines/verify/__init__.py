"""An exhaustive search of one table: everything that the network, crashes, time and people may do to one saga.

The search runs the engine's own loop (`machines.loop`) and decisions (`machines.progress`) against models of the three
kinds of participant. It needs no database and no server. docs/verify.md describes what it tries and what it proves.
"""

from machines.verify.design import acceptable
from machines.verify.following import follow
from machines.verify.properties import PROPERTIES
from machines.verify.proving import NotExploredError, Proofs, verify
from machines.verify.sayable import UnsayableError
from machines.verify.search import Finding, Result

__all__ = [
    "PROPERTIES",
    "Finding",
    "NotExploredError",
    "Proofs",
    "Result",
    "UnsayableError",
    "acceptable",
    "follow",
    "verify",
]
