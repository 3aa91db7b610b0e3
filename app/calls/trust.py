"""What a TLS connection trusts, and which certificate it shows."""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The certificates of connections to one participant, as files in PEM form."""

    #: The public CAs: a file or a folder; None for those that requests brings along.
    public_cas: str | None = None
    #: Private CAs, trusted besides the public ones.
    ca_files: tuple[str, ...] = ()
    #: Our own certificate, for a participant that asks for one (mTLS).
    cert_file: str | None = None
    #: The key of `cert_file`; None when that file holds it too.
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return the TLS context. Reading the public certificates takes 10 ms, so equal ones share a context."""
        return _context(self)


@cache
def _context(trust: Trust) -> ssl.SSLContext:
    context = create_urllib3_context()
    public = trust.public_cas or DEFAULT_CA_BUNDLE_PATH
    if Path(public).is_dir():
        context.load_verify_locations(capath=public)
    else:
        context.load_verify_locations(public)
    for file in trust.ca_files:
        context.load_verify_locations(file)
    if trust.cert_file:
        context.load_cert_chain(trust.cert_file, trust.key_file)
    return context
