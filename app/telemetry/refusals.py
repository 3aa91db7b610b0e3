"""The metric of people and programs that could not say who they are."""

from prometheus_client import CollectorRegistry, Counter

#: Values of the label.
PERSON, PROGRAM = "person", "program"


class RefusedSenders:
    """Counts failed sign-ins of people, and requests of programs with a key that is not valid."""

    def __init__(self, registry: CollectorRegistry) -> None:
        text = "Refused sign-ins (person), and requests with an API key that is not valid (program)"
        counter = Counter("saga_refused_senders", text, ["kind"], registry=registry)
        # Both series exist from the start, so that an increase can be seen at the first failure.
        self._of = {kind: counter.labels(kind) for kind in (PERSON, PROGRAM)}

    def count(self, kind: str) -> None:
        self._of[kind].inc()
