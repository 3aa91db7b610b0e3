"""The site of this service: under which names a request may come, and from the pages of which origins.

Both checks are for browsers. A page of another site can send a request that needs no key (API_AUTH=off). With DNS
rebinding, the page's own name leads to the address of this service, and the page can also read the answer: then the
Host header has a foreign name.
"""

import ipaddress
from urllib.parse import urlsplit

from flask import request

from app.config import Config
from app.errors import ForgedError

#: Values of Sec-Fetch-Site for a request of this service's own pages, and of a person who enters an address.
_OWN = ("same-origin", "none")


class Site:
    """The names and the origins of this service."""

    def __init__(self, config: Config) -> None:
        public = urlsplit(config.public_url or "")
        self._names = {*config.trusted_hosts, public.hostname, "localhost"}
        #: True where a request with any name is answered: it needs a key or a cookie, which no other name has.
        self._any_name = config.api_auth and not config.trusted_hosts
        #: A `*` in CORS_ORIGINS lets pages of every site read, and is no origin here.
        self._origins = {*config.cors_origins, f"{public.scheme}://{public.netloc}"}

    def check_host(self) -> None:
        """Raise ForgedError when the Host header has a name that is not one of this service."""
        if self._any_name:
            return
        host = urlsplit(f"//{request.host}").hostname or ""
        if host not in self._names and not _is_address(host):
            raise ForgedError(
                f"this service does not answer under the name {host[:80]!r}; if the name is its own, add it to "
                "TRUSTED_HOSTS"
            )

    def check_origin(self) -> None:
        """Raise ForgedError when a page of another origin sent the request. Pages of CORS_ORIGINS may send it."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin in self._origins:
            return
        # Browsers send no Sec-Fetch-Site to http:// addresses other than those of their own machine.
        own = site in _OWN if site else origin is None or urlsplit(origin).netloc == request.host
        if not own:
            raise ForgedError(
                "a page of another site sent this; send it from a page of this service, or from a program"
            )


def _is_address(host: str) -> bool:
    """Return True for an IP address. A page of another site has a name, so no address can lead to its Host header."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
