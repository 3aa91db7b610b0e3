"""A mail server on a real socket: enough of SMTP for one client, with the log-in PLAIN."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class MailServer:
    """Keeps each message that it gets. refuses: the answer to a message instead of acceptance."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.messages: list[str] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.refuses: str | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")

        def say(text: str) -> None:
            connection.sendall(f"{text}\r\n".encode())

        say("220 mail.test ESMTP")
        for line in lines:
            word, _, rest = line.decode().strip().partition(" ")
            match word.upper():
                case "EHLO":
                    say("250-mail.test\r\n250 AUTH PLAIN")
                case "AUTH":
                    _, name, password = base64.b64decode(rest.split(" ")[1]).decode().split("\0")
                    self.logins.append((name, password))
                    say("235 welcome" if password == "letmein" else f"535 not with {password}")
                case "RCPT":
                    self.recipients.append(rest)
                    say("250 ok")
                case "DATA":
                    say("354 go on")
                    text = b"".join(iter(lines.readline, b".\r\n"))
                    if self.refuses:
                        say(self.refuses)
                    else:
                        self.messages.append(text.decode())
                        say("250 accepted")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 ok")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    try:
        yield server
    finally:
        server.listener.close()
