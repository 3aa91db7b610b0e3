"""The answer to one request, as httptools parses it, and its body without its content coding."""

import zlib
from contextlib import suppress

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.values import UnreadableError

#: Largest reply that is read to its end, with its head, in bytes. A body is also this long at most when unpacked.
LARGEST_REPLY_BYTES = 1 << 20
LARGEST = f"{LARGEST_REPLY_BYTES:,} bytes"
FINAL = 200  # a status below is informational: the reply follows
_UNCODED = "send it without a content coding"
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})
_MOST_CODINGS = 3  # one after the other; every further one would be a way to keep this process busy
_DETECT = zlib.MAX_WBITS | 32  # a gzip header or a zlib header
_RAW = -zlib.MAX_WBITS  # what several servers call deflate: no header at all


class LostError(Exception):
    """The connection ended, or the answer is not HTTP: the request may have arrived. The text says which."""


class TooLargeError(UnreadableError):
    """A reply is larger than can be kept. The participant repeats it for the same request."""

    def __init__(self, phrase: str = f"larger than {LARGEST}") -> None:
        super().__init__(phrase, "send less")


class Answer:
    """The answer, as far as the parser has read it.

    complete: it was read to its end. keep_alive: the connection can be used again. headers: by name in lower case.
    """

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, dict[bytes, bytes](), b""
        self.received_bytes = 0
        self.complete = self.keep_alive = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # Old servers fold headers, or end lines with LF alone. It is dangerous where several senders share a
        # connection; here a participant could only deceive itself.
        self._parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)

    def feed(self, data: bytes) -> None:
        """Parse received data; b"" means the end of the connection. Raise LostError."""
        assert self._parser
        self.received_bytes += len(data)
        if data:
            try:
                self._parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                if not self.complete:
                    raise LostError("what came is no HTTP") from error
                self.keep_alive = False
        elif self.status >= FINAL and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.complete, self.keep_alive = True, False
        else:
            raise LostError("closed by the participant")
        if self.complete:
            self._parser = None  # breaks a reference cycle: thousands a second would keep the collector busy

    def content(self) -> bytes:
        """Return the body, decoded if it has a content coding, although none was requested. Raise UnreadableError."""
        if not self.complete:
            raise TooLargeError
        coding = self.headers.get(b"content-encoding")
        if not coding or not self.body:
            return self.body
        codings = [name for part in coding.lower().split(b",") if (name := part.strip()) != b"identity"]
        if len(codings) > _MOST_CODINGS or not _ZLIB.issuperset(codings):
            raise UnreadableError(f"its Content-Encoding is {coding[:40].decode('ascii', 'replace')}", _UNCODED)
        content = self.body
        for name in reversed(codings):
            content = _unpacked(content, name.decode())
        return content

    def on_header(self, name: bytes, value: bytes) -> None:
        name, headers = name.lower(), self.headers
        headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        assert self._parser
        self.status, self.keep_alive = self._parser.get_status_code(), self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_begin(self) -> None:
        if self.complete:
            # This stops the parser: only one reply was expected.
            raise LostError("more came than one reply")

    def on_message_complete(self) -> None:
        if self.status < FINAL:
            self.headers = {}
        else:
            self.complete = self.received_bytes <= LARGEST_REPLY_BYTES


def _unpacked(packed: bytes, coding: str) -> bytes:
    """Return the content of a gzip or deflate body. Raise UnreadableError."""
    content = _inflated(packed, _DETECT)
    if content is None and coding == "deflate":
        content = _inflated(packed, _RAW)
    if content is None:
        raise UnreadableError(f"its {coding} body is broken", _UNCODED)
    return content


def _inflated(packed: bytes, window: int) -> bytes | None:
    """Return the content of all members, one after the other; None for a broken one. Raise TooLargeError."""
    content = b""
    with suppress(zlib.error):
        while packed:
            decoder = zlib.decompressobj(window)
            content += decoder.decompress(packed, LARGEST_REPLY_BYTES + 1 - len(content))
            if len(content) > LARGEST_REPLY_BYTES:
                raise TooLargeError(f"larger than {LARGEST} when unpacked")
            if not decoder.eof:
                return None
            packed = decoder.unused_data.lstrip(b"\0") if window == _DETECT else decoder.unused_data
        return content
    return None
