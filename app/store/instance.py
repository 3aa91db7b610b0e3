"""One running saga in memory: its state machine, its data, the replies so far, and the moves since its last commit."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any
from uuid import UUID

from app.store.audit import Entry
from app.store.data_keys import Sealer
from app.store.saga_ids import new_id
from machines.groups import NewChild
from machines.references import FillError, look_up
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.transitions import NOWHERE

#: Longest stored client, store or business reference, in characters. Each has an index, and PostgreSQL refuses an index
#: entry over 2,704 bytes.
LONGEST_REFERENCE = 200
#: Prefix of a written-out Idempotency-Key (app.engine.idempotency). No client can send it: keys are ASCII.
WRITTEN_OUT = "\N{KEY} "


# not frozen: a frozen dataclass takes three times as long to build, and each call builds several
@dataclass(kw_only=True)
class SagaSnapshot:
    """The state of a saga at its last commit."""

    id: UUID
    state: str
    status: str
    #: Why the saga failed; None: it has not failed.
    error: str | None
    #: True when a request with the same idempotency key found the saga.
    replayed: bool = False
    #: When the saga is to start; None: it has started, or waits for a request to execute it.
    start_at: datetime | None = None


def search_text(value: object) -> str | None:
    """Return a value of a saga's data as the text that is stored for searches, cut to LONGEST_REFERENCE characters."""
    return None if value is None else str(value)[:LONGEST_REFERENCE]


def tag_text(value: object) -> str | None:
    """Return the value of a tag as the text that is stored and searched for; None for a value that is missing."""
    return str(value).lower() if isinstance(value, bool) else search_text(value)


class Instance(RunningSaga):
    """A saga that one process runs. After an exception the process forgets it and reads it from the store again."""

    def __init__(
        self, definition: Saga, saga_id: UUID, data: Mapping[str, Any], state: str | None = None,
        clock: Callable[[], float] = time.monotonic, *, in_doubt: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(definition, saga_id, data, state, clock, in_doubt=in_doubt)
        #: Idempotency-Key in the form in which it is stored, see app.engine.idempotency.
        self.key: str | None = None
        #: Digest of the start request as releases before migration 0006 made it, see `SagaRow`.
        self.fingerprint: str | None = None
        #: Idempotency-Key as the client sent it.
        self.sent_key: str | None = None
        #: Digest of the start request, see `SagaRow`.
        self.sent_digest: str | None = None
        #: When the saga is to start; None: at once, or when a person requests it.
        self.start_at: datetime | None = None
        #: Principal that started the saga, see `SagaRow`.
        self.started_by: str | None = None
        #: Tenant that the saga belongs to; None: none.
        self.tenant: str | None = None
        #: Webhook that the start named, see `SagaRow`.
        self.webhook: str | None = None
        #: Seals the secret values of this saga before they are stored; None: they are stored in clear.
        self.sealer: Sealer | None = None
        self.epoch = 1
        self.version = 0
        #: True: this process has sent, or may have sent, a call of the saga since it created or claimed the saga.
        self.called = False
        #: True: a process held the saga when it was read.
        self.held = False
        #: When the lease of this process ends, on the store's clock, in seconds.
        self.lease_end = inf
        #: Children that the last commit has inserted.
        self.born: Sequence[Instance] = ()
        #: When the saga started, on the clock of this process, in seconds; None: another process started it.
        self.started_here_at: float | None = None
        #: State at the last commit; people see only this one. None: the saga is not durable and has had no effect yet.
        self.committed_snapshot: SagaSnapshot | None = None
        #: Audit row of an operator action; the next commit also writes the row. None: no such action.
        self.audit_entry: Entry | None = None
        #: The attempt that an operator has made at once, in the form of `next_attempt`; None: no such attempt.
        self.sent_now: tuple[str, int] | None = None
        #: The moves that created the saga; an early insert stores only these.
        self.start_moves: tuple[Move, ...] = ()
        #: Held by the thread that makes the saga durable.
        self.first_commit = threading.Lock()
        #: Copy of this saga that another thread has inserted in the initial state; None: there was no early insert.
        self.early_copy: Instance | None = None
        #: insert_tried: an early insert may have succeeded. key_taken: another saga has the key, so each insert fails.
        self.insert_tried = self.key_taken = False

    @classmethod
    def new(
        cls, definition: Saga, data: Mapping[str, Any], actor: str, clock: Callable[[], float] = time.monotonic,
        saga_id: UUID | None = None,
    ) -> "Instance":  # fmt: skip
        """Return a new saga before its first call. saga_id: its id; None: a new one."""
        saga = cls(definition, saga_id or new_id(), data, NOWHERE, clock)
        saga.started_here_at = clock()
        saga.create(actor=actor)
        saga.start_moves = tuple(saga.unsaved)
        return saga

    @classmethod
    def child(cls, parent: "Instance", new: NewChild, saga_id: UUID) -> "Instance":
        """Return a new saga that the present step of `parent` starts."""
        child = cls.new(new.definition, new.data, f"saga:{parent.id_text}", parent.clock, saga_id)
        assert parent.current.step is not None
        child.parent_id, child.parent_step, child.child_number = parent.id, parent.current.step.name, new.number
        # Who may use the parent as "its own" may use the whole tree.
        child.started_by, child.tenant, child.webhook = parent.started_by, parent.tenant, parent.webhook
        return child

    def as_started(self) -> "Instance":
        """Return a copy of the saga in its initial state, for an early insert while another thread moves the saga."""
        first = Instance(self.definition, self.id, self.data, self.start_moves[-1].dest, self.clock)
        first.sent_key, first.key, first.started_by = self.sent_key, self.key, self.started_by
        first.fingerprint, first.sent_digest, first.tenant = self.fingerprint, self.sent_digest, self.tenant
        first.started_here_at, first.webhook = self.started_here_at, self.webhook
        first.unsaved, first.next_seq = list(self.start_moves), len(self.start_moves) + 1
        return first

    def adopt(self, first: "Instance") -> None:
        """Take over version, snapshot, deadline and lease of `first`, which was inserted early. Drop its moves."""
        self.early_copy = first
        self.sealer = first.sealer
        self.version, self.committed_snapshot, self.deadline = first.version, first.committed_snapshot, first.deadline
        self.lease_end = first.lease_end
        self.unsaved = [move for move in self.unsaved if move.seq >= first.next_seq]

    @property
    def durable(self) -> SagaSnapshot | None:
        """The state at the last commit, including an early insert; None before the first commit."""
        return self.committed_snapshot or (self.early_copy.committed_snapshot if self.early_copy else None)

    @property
    def next_attempt(self) -> tuple[str, int]:
        """The saga's state, and how often its call has failed or was deferred there."""
        return self.state, self.failed_attempts + self.deferrals

    @property
    def started_at(self) -> float:
        """When the saga started, in seconds on the store's clock; infinite while it is not known."""
        return self.started_here_at if self.started_here_at is not None else self.deadline - self.definition.deadline_s

    @property
    def reference(self) -> str | None:
        """The number by which people know the saga, such as an order's; None while it is not known."""
        try:
            known = look_up(self.definition.order, self.data, self.results) if self.definition.order else None
        except (FillError, TypeError):  # TypeError: a step that was resolved by hand, without a reply
            known = None
        return search_text(known)

    @property
    def tags(self) -> list[tuple[str, str]]:
        """Name and value of each tag that the data has a value for."""
        named = ((name, tag_text(self.data.get(name))) for name in self.definition.tags)
        return [(name, value) for name, value in named if value is not None]

    def start_pending(self) -> None:
        super().start_pending()
        self.start_at, self.started_here_at = None, self.entered

    def prepare_audit(self, action: str, actor: str, reason: str) -> None:
        """Prepare the audit row of an operator action, before its move; the next commit writes the row."""
        before = self.committed_snapshot
        assert before is not None, "an operator sees only durable sagas"
        self.audit_entry = Entry(
            actor=actor,
            action=f"saga.{action}",
            saga_id=self.id,
            target=self.definition.name,
            reason=reason,
            before={"state": before.state, "status": before.status, "version": self.version},
        )

    def committed(self) -> None:
        """Record that the unsaved moves and the audit row are committed."""
        self.version += 1
        self.unsaved, self.audit_entry, self.missing_children = [], None, None
        self.committed_snapshot = SagaSnapshot(
            id=self.id, state=self.state, status=self.status, error=self.error, start_at=self.start_at
        )
