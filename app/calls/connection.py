"""A connection to a participant. It is opened within the time of a call, and reused unless it was idle too long."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from select import POLLIN, poll

from urllib3.connection import HTTPConnection, HTTPSConnection

from app.calls.answer import LostError
from app.calls.trust import Trust
from app.dialing import CONNECT_TIMEOUT_S, Dialer, UnreachableError
from app.participant_settings.proxies import Proxy
from app.server_urls import bracketed

#: A connection that was idle for longer than this many seconds is not used again. NAT gateways and load balancers drop
#: an idle connection without a notice: Azure after 4 minutes, AWS after 350 s, many proxies after 60 s.
IDLE_S = 30.0
#: Largest answer of a proxy to CONNECT that is read, in bytes; it bounds the memory of a call.
_LARGEST_TUNNEL_REPLY = 65_536

#: OpenSSL's verify codes (X509_V_ERR_… in x509_vfy.h).
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
#: TLS alerts by which a server refuses our certificate. With TLS 1.3 an alert comes after the client has finished the
#: handshake, in place of the answer to the request.
_REFUSED_CERTIFICATE = frozenset({
    "TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_ACCESS_DENIED",
})  # fmt: skip
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


class NotSentError(Exception):
    """The participant did not receive the request. The text is the reason in plain words."""


@dataclass(frozen=True)
class Route:
    """How sockets to a participant are opened: directly or through a proxy."""

    dialer: Dialer
    proxy: Proxy | None = None

    def open(self, host: str, port: int, tunnel: bool, deadline: float, clock: Callable[[], float]) -> socket.socket:
        """Return a connected socket. tunnel: let the proxy, if any, connect the socket to the host with CONNECT.

        Raise OSError when no connection is made before the deadline.
        """
        if self.proxy is None:
            return self.dialer.connect(host, port, deadline)
        try:
            opened = self.dialer.connect(self.proxy.host, self.proxy.port, deadline)
        except UnreachableError as error:
            raise UnreachableError(f"the proxy on the way: {error}") from error
        if tunnel:
            try:
                _open_tunnel(opened, self.proxy, f"{bracketed(host)}:{port}", deadline, clock)
            except BaseException:
                opened.close()
                raise
        return opened


def _open_tunnel(opened: socket.socket, proxy: Proxy, target: str, deadline: float, clock: Callable[[], float]) -> None:
    """Ask the proxy to connect the socket to the target. Raise UnreachableError when it fails or the time is over."""
    credential = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    reply, end = b"", b"\r\n\r\n"
    try:
        opened.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credential}\r\n".encode("ascii"))
        while end not in reply and len(reply) < _LARGEST_TUNNEL_REPLY:
            left = deadline - clock()
            if left <= 0:
                raise TimeoutError  # noqa: TRY301  treated like a read that takes too long
            opened.settimeout(left)
            piece = opened.recv(4096)
            if not piece:
                break
            reply += piece
    except TimeoutError:
        raise UnreachableError(f"the proxy {proxy} did not answer in time") from None
    except OSError as error:
        raise UnreachableError(f"the proxy {proxy} ended the connection ({error.strerror or error})") from None
    status = reply.split(b"\r\n", 1)[0].partition(b" ")[2].decode("ascii", "replace")[:80]
    # Over TLS the client sends first, so more bytes after the head mean that there is no tunnel.
    if not status.startswith("2") or not reply.endswith(end):
        raise UnreachableError(f"the proxy {proxy} makes no connection to {target}: {status or 'it hung up'}")


class Connection(HTTPConnection):
    """urllib3's connection, with a socket that a Route opens."""

    #: When the last answer was read, in seconds on the clock that `ExchangePool.exchange` gets.
    idle_since = 0.0
    _tunnels = False  # without TLS a proxy needs no tunnel: it forwards the request
    _new_socket: Callable[[], socket.socket]

    @property
    def is_connected(self) -> bool:
        """True unless the participant has closed the idle connection. urllib3's check takes five times as long."""
        if self.sock is None:
            return False
        readable = poll()
        readable.register(self.sock, POLLIN)
        return not readable.poll(0)

    def open(self, route: Route, trust: Trust, deadline: float, clock: Callable[[], float]) -> None:
        """Connect before the deadline, including the TLS handshake. Raise NotSentError when that fails."""
        self._use(trust, clock)

        def new_socket() -> socket.socket:
            opened = route.open(self._dns_host.strip("[]"), self.port, self._tunnels, deadline, clock)
            # The TLS handshake may last until the deadline, but at most CONNECT_TIMEOUT_S.
            opened.settimeout(max(min(CONNECT_TIMEOUT_S, deadline - clock()), 0.001))
            return opened

        self._new_socket = new_socket
        try:
            self.connect()
        except UnreachableError as error:
            raise NotSentError(str(error)) from error
        except (OSError, ValueError) as error:  # ValueError: a host name that TLS cannot use
            raise NotSentError(f"{bracketed(self.host)}:{self.port} {_why(error)}") from error

    def _new_conn(self) -> socket.socket:
        return self._new_socket()

    def _use(self, trust: Trust, clock: Callable[[], float]) -> None:
        """Do nothing: a connection without TLS uses no certificates."""


class SecureConnection(Connection, HTTPSConnection):
    """A Connection over TLS."""

    _tunnels = True

    def _use(self, trust: Trust, clock: Callable[[], float]) -> None:
        try:
            self.ssl_context = trust.context(clock())
        except OSError as error:
            raise NotSentError(f"a file of a CA or of our certificate cannot be used ({error})") from error


def lost(error: OSError, *, first: bool) -> Exception:
    """Return the exception for an error after a request was sent. first: it was the connection's first request."""
    if isinstance(error, TimeoutError):
        return error
    if first and isinstance(error, ssl.SSLError) and error.reason in _REFUSED_CERTIFICATE:
        return NotSentError(f"the participant refused our certificate in the TLS handshake ({error.reason})")
    return LostError("reset by the participant" if isinstance(error, ConnectionError) else str(error.strerror or error))


def _why(error: Exception) -> str:
    """Return why a TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error)
    if isinstance(error, TimeoutError):
        return "did not finish the TLS handshake in time"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "closed the connection during the TLS handshake"
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "does not speak TLS; is its URL http:// instead of https://?"
    return f"failed in the TLS handshake ({getattr(error, 'reason', None) or error})"


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code in _UNKNOWN_CA:
        return "has a certificate of an unknown CA; a private CA is named with PARTICIPANTS_CA_FILE"
    if code in {_OTHER_NAME, _OTHER_ADDRESS}:
        return "has a certificate for another host name"
    if code == _EXPIRED:
        return "has an expired certificate"
    if code == _NOT_YET:
        return "has a certificate that is not valid yet"
    return f"has a certificate that cannot be trusted ({error.verify_message})"
