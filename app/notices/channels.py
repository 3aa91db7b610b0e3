"""Sends one message to one channel: a signed webhook, a webhook that understands Slack's messages, or mail."""

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from app.calls.request import Request, Sender
from app.events.webhook_event import signed_headers
from app.notice_settings import Channel
from app.notices.subjects import Subject
from app.values import written
from app.webhook_settings.model import decoded
from machines.lines import one_line

#: Longest duration of one attempt, in seconds.
TIMEOUT_S = 10.0
_OK, _REDIRECT = 200, 300
#: Characters with a meaning in Slack's messages.
_SLACK = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


class NotSentError(Exception):
    """A message was not sent. The text has no secret."""


class Channels:
    """Sends messages. link: returns the address of a page; "" when PUBLIC_URL is not set."""

    def __init__(
        self, sender: Sender, link: Callable[[str], str], *, ca_file: str | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._sender, self._link, self._ca_file, self._wall_clock = sender, link, ca_file, wall_clock

    def send(self, channel: Channel, subject: Subject, message_id: str) -> None:
        """Send a message once. Raise NotSentError. message_id: the same for each attempt."""
        if channel.kind == "mail":
            self._mail(channel, subject)
        elif channel.kind == "slack":
            lines = [subject.title, subject.text, self._link(subject.path)]
            text = "\n".join(line.translate(_SLACK) for line in lines if line)
            self._post(channel, channel.secret, {"text": text}, {"Content-Type": "application/json"})
        else:
            body = {
                "type": "saga.notice", "id": message_id, "title": subject.title, "text": subject.text,
                "link": self._link(subject.path),
            }  # fmt: skip
            key = decoded(channel.secret)
            headers = signed_headers(message_id, written(body), [key], self._wall_clock())
            self._post(channel, channel.url, body, {**headers, "Content-Type": "application/json"})

    def _post(self, channel: Channel, url: str, body: dict[str, str], headers: dict[str, str]) -> None:
        request = Request(
            participant=channel.name, method="POST", url=url, headers=headers, body=body, timeout_s=TIMEOUT_S
        )
        reply = self._sender.send(request)
        if reply.status is None:
            raise NotSentError(one_line(str(reply.error).replace(url, "***")))
        if not _OK <= reply.status < _REDIRECT:
            raise NotSentError(f"the receiver answered {reply.status}")

    def _mail(self, channel: Channel, subject: Subject) -> None:
        message = EmailMessage()
        message["From"], message["To"] = channel.sender, ", ".join(channel.to)
        message["Subject"] = one_line(subject.title)
        message["Date"] = formatdate(self._wall_clock())
        message["Message-ID"] = make_msgid(domain=channel.sender.partition("@")[2])
        lines = [subject.title, subject.text, self._link(subject.path)]
        message.set_content("\n\n".join(line for line in lines if line))
        try:
            with self._server(channel) as server:
                if channel.user:
                    server.login(channel.user, channel.secret)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            secret = channel.secret
            text = str(error).replace(secret, "***") if secret else str(error)
            raise NotSentError(one_line(f"{type(error).__name__}: {text}")) from None

    def _server(self, channel: Channel) -> smtplib.SMTP:
        if channel.tls == "tls":
            context = self._context()
            return smtplib.SMTP_SSL(channel.host, channel.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(channel.host, channel.port, timeout=TIMEOUT_S)
        if channel.tls == "starttls":
            server.starttls(context=self._context())
        return server

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context
