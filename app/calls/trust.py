"""The certificates of TLS connections: those that are trusted, and the one that this service shows."""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The certificates of connections to one participant, as files in PEM form."""

    #: File or folder with the public CAs; None: those of the library requests.
    public_cas: str | None = None
    #: Files with private CAs, which are trusted besides the public ones.
    ca_files: tuple[str, ...] = ()
    #: File with the certificate of this service, for a participant that requires one (mTLS); None: no certificate.
    cert_file: str | None = None
    #: File with the key of `cert_file`; None: `cert_file` contains the key, too.
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return the TLS context. Equal `Trust`s share a context, because reading the public CAs takes 10 ms."""
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
