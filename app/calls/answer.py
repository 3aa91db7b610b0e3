"""The answer to one request. httptools parses it; this module decodes its body."""

import zlib
from contextlib import suppress

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.values import UnreadableError

#: Largest reply that is read to its end, in bytes, including its head. The limit bounds the memory of a call. A
#: decompressed body has the same limit.
LARGEST_REPLY_BYTES = 1 << 20
LARGEST = f"{LARGEST_REPLY_BYTES:,} bytes"
FINAL = 200  # lowest status of a reply; a lower status is informational, and the reply follows it
_UNCODED = "send it without a content coding"
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})
_MOST_CODINGS = 3  # largest number of content codings of one body; each costs a decompression
_DETECT = zlib.MAX_WBITS | 32  # for zlib: the data has a gzip header or a zlib header
_RAW = -zlib.MAX_WBITS  # for zlib: the data has no header; several servers send such data as "deflate"


class LostError(Exception):
    """The connection ended, or the answer is not HTTP. The request may have arrived. The text is the reason."""


class TooLargeError(UnreadableError):
    """The reply is too large. A retry is useless, because the participant would send the same reply again."""

    def __init__(self, phrase: str = f"larger than {LARGEST}") -> None:
        super().__init__(phrase, "send less")


class Answer:
    """An answer, which may be only partly read.

    complete: the answer was read to its end. keep_alive: the connection can be used again. headers: by name in lower
    case.
    """

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, dict[bytes, bytes](), b""
        self.received_bytes = 0
        self.complete = self.keep_alive = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # Old servers continue a header on the next line, or end lines with LF alone. It is safe to accept both here:
        # the danger exists only where several senders share a connection, as in a proxy.
        self._parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)

    def feed(self, data: bytes) -> None:
        """Parse received data; b"" means the end of the connection. Raise LostError for an answer that is not HTTP."""
        assert self._parser
        self.received_bytes += len(data)
        if data:
            try:
                self._parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                if not self.complete:
                    raise LostError("the answer is not HTTP") from error
                self.keep_alive = False
        elif self.status >= FINAL and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.complete, self.keep_alive = True, False
        else:
            raise LostError("closed by the participant")
        if self.complete:
            self._parser = None  # breaks a reference cycle, which the garbage collector would have to find

    def content(self) -> bytes:
        """Return the body. Decode a content coding, which a participant may use although no request asks for it.

        Raise UnreadableError for an unknown coding, and for a body that cannot be decoded or is too large.
        """
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
            # A second reply begins, but a request has one reply. The error stops the parser.
            raise LostError("more data than one reply was received")

    def on_message_complete(self) -> None:
        if self.status < FINAL:
            self.headers = {}
        else:
            self.complete = self.received_bytes <= LARGEST_REPLY_BYTES


def _unpacked(packed: bytes, coding: str) -> bytes:
    """Return the content of a gzip or deflate body. Raise UnreadableError for a broken body, and TooLargeError."""
    content = _inflated(packed, _DETECT)
    if content is None and coding == "deflate":
        content = _inflated(packed, _RAW)
    if content is None:
        raise UnreadableError(f"its {coding} body is broken", _UNCODED)
    return content


def _inflated(packed: bytes, window: int) -> bytes | None:
    """Return the decompressed data of one or several gzip members; None for broken data.

    window: wbits for zlib. Raise TooLargeError when the result is larger than LARGEST_REPLY_BYTES.
    """
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
