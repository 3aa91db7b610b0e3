"""The chain that sends the calls of sagas: pauses, limits, breakers, records, and the client at its end."""

from collections.abc import Callable
from dataclasses import dataclass

from app.assembly.base import Base
from app.breaker import BreakerPolicy
from app.calls.breakers import GuardedSender
from app.calls.client import HttpClient
from app.calls.health import RecordingSender
from app.calls.limits import LimitedSender
from app.calls.pauses import PausingSender
from app.config import Config
from app.engine.pauses import Pauses
from app.store.participants import ParticipantStore


@dataclass(frozen=True)
class Senders:
    """The parts of the chain that others need."""

    #: The beginning of the chain.
    first: PausingSender
    pauses: Pauses
    #: Has the circuit breakers.
    guarded: GuardedSender
    #: Records how each participant does.
    recorder: RecordingSender
    client: HttpClient


def make_senders(base: Base, on_due: Callable[[], None]) -> Senders:
    """Build the chain. on_due: called when a pause has ended or a breaker has closed, so that sagas are due."""
    config, participants = base.config, base.participants
    pauses = Pauses(ParticipantStore(base.database), on_end=on_due)
    client = HttpClient(config.requests + config.threads, participants=participants)
    recorder = RecordingSender(client, participants)
    guarded = GuardedSender(recorder, participants, _breaker_policy(config), base.shared_cache, on_close=on_due)
    return Senders(PausingSender(LimitedSender(guarded, participants), pauses.holds), pauses, guarded, recorder, client)


def _breaker_policy(config: Config) -> BreakerPolicy:
    return BreakerPolicy(
        failures=config.breaker_failures, open_s=config.breaker_open_s, window_s=config.breaker_window_s
    )
