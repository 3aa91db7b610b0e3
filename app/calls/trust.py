"""The certificates of TLS connections: the CAs that are trusted, and the certificate of this service.

The files of the CAs, of our certificate and of its key follow the rule of `secret_files`: a new connection uses their
present contents.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from app.participant_settings.secret_files import LOOK_S


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

    def context(self, now: float) -> ssl.SSLContext:
        """Return the TLS context. now: the time, in seconds on a clock that never goes back.

        Equal `Trust`s share a context, because reading the public CAs takes 10 ms. Raise OSError when the files cannot
        be used and there is no earlier context.
        """
        last = _LAST.get(self)
        if last and now - last.looked_at < LOOK_S:
            return last.context
        try:
            # Read before OpenSSL reads the files: if they change in between, the next look finds the change.
            contents = tuple(Path(file).read_bytes() for file in self._files())
            context = last.context if last and contents == last.contents else self._new_context()
        except OSError:  # SSLError is a subclass
            if not last:
                raise
            # The files may be half replaced, for example the certificate but not yet its key.
            context, contents = last.context, last.contents
        _LAST[self] = _Last(context, contents, now)
        return context

    def _files(self) -> list[str]:
        named = (self.public_cas, *self.ca_files, self.cert_file, self.key_file)
        return [
            file for file in named if file and not Path(file).is_dir()
        ]  # OpenSSL reads a folder for each connection

    def _new_context(self) -> ssl.SSLContext:
        context = create_urllib3_context()
        public = self.public_cas or DEFAULT_CA_BUNDLE_PATH
        if Path(public).is_dir():
            context.load_verify_locations(capath=public)
        else:
            context.load_verify_locations(public)
        for file in self.ca_files:
            context.load_verify_locations(file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file, password=lambda: "")  # never asked on a terminal
        return context


class _Last(NamedTuple):
    """The last context of a `Trust`, the contents of its files, and when they were read."""

    context: ssl.SSLContext
    contents: tuple[bytes, ...]
    looked_at: float


_LAST: dict[Trust, _Last] = {}
