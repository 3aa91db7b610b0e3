"""An event of the search, and the state that follows."""

from typing import NamedTuple

from machines.verify.properties import Broken
from machines.verify.world import World


class Event(NamedTuple):
    """What happens: its kind, and the words that describe it."""

    kind: str
    step: str = ""
    what: str = ""
    reply: str = ""
    #: Commits that follow at once, each as the state of the saga; a commit that releases the saga begins with "-".
    commits: tuple[str, ...] = ()
    #: True: the process dies before the commit that would follow.
    dies: bool = False


class Edge(NamedTuple):
    """An event with the state that follows."""

    event: Event
    world: World
    #: Property that the event itself breaks; None: none.
    broken: Broken | None = None
    #: False: the event need not happen for ever, so a cycle with it is no livelock.
    forever: bool = True
