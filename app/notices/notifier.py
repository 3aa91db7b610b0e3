"""The service thread that sends messages. One process looks at a time, and a row decides about each message."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha256

import structlog

from app.notice_settings import Channel
from app.notices.channels import Channels, NotSentError
from app.notices.subjects import Subject
from app.store.notices import Notices

_log = structlog.get_logger("notices")
#: Seconds between two looks of all processes together, and between two questions of one process whether it is to look.
EVERY_S, IDLE_S = 15.0, 5.0
#: A subject that has not stood for this long is new when it comes again.
FORGET_AFTER_S = 900.0
#: A message that was claimed and not sent, because its process died, is sent again after this time.
LEASE_S = 300.0
#: Wait before the next attempt of a message, in seconds. It doubles with each attempt, up to the maximum.
AGAIN_S, LONGEST_AGAIN_S = 30.0, 1_800.0


class Notifier:
    """Sends one message about each subject to each channel. now: the time of day is that of the database, in UTC."""

    def __init__(
        self,
        channels: Sequence[Channel],
        sender: Channels,
        notices: Notices,
        look: Callable[[], Iterable[Subject]],
        *,
        context: Callable[[], AbstractContextManager[object]],
        now: Callable[[], datetime],
        stopping: threading.Event,
    ) -> None:
        self._channels, self._sender, self._notices, self._look = channels, sender, notices, look
        self._context, self._now, self._stopping = context, now, stopping

    def run(self, progressed: Callable[[], None]) -> None:
        """Look and send until the process is to end."""
        while not self._stopping.is_set():
            self.step()
            progressed()
            self._stopping.wait(IDLE_S)

    def step(self) -> bool:
        """Look once, and send what is new. Return False when it is not this process's turn."""
        if not self._notices.claim_turn(EVERY_S):
            return False
        with self._context():
            found, now = list(self._look()), self._now().time()
        self._notices.forget_others([channel.name for channel in self._channels])
        for channel in self._channels:
            wanted = {each.key: each for each in found if _concerns(channel, each)}
            self._notices.note(channel.name, wanted, FORGET_AFTER_S)
            if not channel.is_quiet(now):
                for subject in wanted.values():
                    self._send(channel, subject)
        return True

    def _send(self, channel: Channel, subject: Subject) -> None:
        if self._stopping.is_set() or (row := self._notices.claim(channel.name, subject.key, LEASE_S)) is None:
            return
        message_id = sha256(f"{channel.name}:{subject.key}:{row.first_at}".encode()).hexdigest()[:32]
        try:
            self._sender.send(channel, subject, message_id)
        except NotSentError as error:
            again_s = min(AGAIN_S * 2 ** (row.attempts - 1), LONGEST_AGAIN_S)
            self._notices.failed(channel.name, subject.key, str(error), again_s)
            _log.warning("notice.failed", channel=channel.name, error=str(error), again_s=again_s)
        else:
            self._notices.sent(channel.name, subject.key)
            _log.info("notice.sent", channel=channel.name, title=subject.title)


def _concerns(channel: Channel, subject: Subject) -> bool:
    if subject.stuck is None:
        return True
    return channel.stuck_over is not None and subject.stuck > channel.stuck_over
