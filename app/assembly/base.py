"""What every part of the service is built from."""

import os
import secrets
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Flask
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database

from app.access.api_keys import KeyRing
from app.config import Config
from app.participant_settings.model import ParticipantSettings
from app.service_threads import ServiceThreads
from app.shared_cache import SharedCache
from app.store.data_keys import DataKeys
from app.telemetry.entry_queue import EntryQueue
from app.webhook_settings.model import Webhooks
from machines.registry import Registry


@dataclass(frozen=True)
class Committed:
    """Signals to threads of this process: it has committed an event of a saga, or a message to a webhook."""

    event: threading.Event = field(default_factory=threading.Event)
    delivery: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class Base:
    """Settings, tables, database, metrics and signals of one process."""

    app: Flask
    config: Config
    registry: Registry
    participants: Mapping[str, ParticipantSettings]
    webhooks: Webhooks
    database: Database
    data_keys: DataKeys
    api_keys: KeyRing
    shared_cache: SharedCache
    metrics: CollectorRegistry
    #: The metrics of other threads, on their way into `metrics`.
    queue: EntryQueue
    threads: ServiceThreads
    #: The name of this process, see `new_owner`.
    owner: str
    committed: Committed = field(default_factory=Committed)
    #: Set when the process begins to stop.
    stopping: threading.Event = field(default_factory=threading.Event)


def new_owner() -> str:
    """Return a name for this process. No other process of the same database has this name.

    The host name and the process id are for people. They can be equal in two containers, so a random part follows.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
