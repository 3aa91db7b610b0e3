"""A connection to a participant: made within the deadline of its call, and reused only for a while."""

import socket
import ssl
from collections.abc import Callable

from urllib3.connection import HTTPConnection, HTTPSConnection

from app.dialing import CONNECT_TIMEOUT_S, Dialer, UnreachableError

#: Longest idle time, in seconds, after which a connection is still reused. NAT gateways and load balancers forget an
#: idle connection without a notice: Azure after 4 minutes, AWS after 350 s, many proxies after 60 s.
IDLE_S = 30.0

#: OpenSSL's verify codes (X509_V_ERR_… in x509_vfy.h).
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})


class NotSentError(Exception):
    """Nothing has left this process. The text says why, in plain words."""


class Connection(HTTPConnection):
    """urllib3's connection, made by a Dialer."""

    #: When the last answer was read, on the caller's clock.
    idle_since = 0.0
    _new_socket: Callable[[], socket.socket]

    def open(self, dialer: Dialer, deadline: float, clock: Callable[[], float]) -> None:
        """Connect before the deadline, including the TLS handshake. Raise NotSentError."""

        def new_socket() -> socket.socket:
            opened = dialer.connect(self._dns_host.strip("[]"), self.port, deadline)
            # The handshake gets the rest of the call's time, but at most the time that one address has to accept.
            opened.settimeout(max(min(CONNECT_TIMEOUT_S, deadline - clock()), 0.001))
            return opened

        self._new_socket = new_socket
        try:
            self.connect()
        except UnreachableError as error:
            raise NotSentError(str(error)) from error
        except (OSError, ValueError) as error:  # ValueError: a host name that TLS cannot use
            raise NotSentError(f"{self.host}:{self.port} {_why(error)}") from error

    def _new_conn(self) -> socket.socket:
        return self._new_socket()


class SecureConnection(Connection, HTTPSConnection):
    """A Connection over TLS."""


def _why(error: Exception) -> str:
    """Return why a TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error)
    if isinstance(error, TimeoutError):
        return "did not finish the TLS handshake in time"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "closed the connection during the TLS handshake"
    if isinstance(error, ssl.SSLError) and error.reason in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
    }:
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
