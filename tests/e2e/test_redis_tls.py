"""Redis over TLS: the service speaks only to a server whose certificate it trusts, as a cache and as a broker."""

from pathlib import Path

import pytest
import redis
import trustme
from kombu import Connection
from kombu.exceptions import KombuError

from app.broker import connection_options
from app.config import from_environment
from app.shared_cache import SharedCache
from tests.e2e.servers import Program, running
from tests.support.waiting import free_port

pytestmark = pytest.mark.programs


class TlsRedis(Program):
    """Redis that answers over TLS only. ca: file of the CA of its certificate. other_ca: file of another CA."""

    def __init__(self, folder: Path) -> None:
        port, ca = str(free_port()), trustme.CA()
        self.ca, self.other_ca, key, certificate = (folder / name for name in ("ca", "other_ca", "key", "certificate"))
        ca.cert_pem.write_to_path(self.ca)
        trustme.CA().cert_pem.write_to_path(self.other_ca)
        issued = ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(key)
        issued.cert_chain_pems[0].write_to_path(certificate)
        tls = ["--tls-port", port, "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        trusted = ["--tls-ca-cert-file", str(self.ca), "--tls-auth-clients", "no"]
        super().__init__(
            folder, f"rediss://localhost:{port}/0", ["redis-server", "--port", "0", "--save", "", *tls, *trusted]
        )

    def answers(self) -> bool:
        try:
            return redis.Redis.from_url(f"{self.url}?ssl_ca_certs={self.ca}", socket_timeout=2).ping()
        except redis.RedisError:
            return False


@pytest.fixture(scope="module")
def server():
    with running(TlsRedis) as found:
        yield found


def test_cache_is_used_only_with_a_certificate_that_is_trusted(server):
    found = {}
    for name, query in (("ca", f"?ssl_ca_certs={server.ca}"), ("other", f"?ssl_ca_certs={server.other_ca}"), ("", "")):
        cache = SharedCache(server.url + query, "s" * 40)
        cache.put("a", b"1", 60)
        found[name] = cache.get("a")
    assert found == {"ca": b"1", "other": None, "": None}


def connects(server, query):
    """Return True when the broker of this BROKER_URL can be used."""
    url = from_environment({"DATABASE_URL": "postgresql://h/d", "BROKER_URL": server.url + query}).broker_url
    with Connection(url, transport_options=connection_options(url), connect_timeout=2) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
            connection.SimpleQueue("trial").put("hello")
        except (KombuError, OSError):
            return False
    return True


def test_broker_is_used_only_with_a_certificate_that_is_trusted(server):
    assert connects(server, f"?ssl_ca_certs={server.ca}")
    assert not connects(server, f"?ssl_ca_certs={server.other_ca}")
    assert not connects(server, ""), "no CA of the system has signed its certificate"


def test_a_ca_in_ssl_cert_file_is_trusted(server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    cache = SharedCache(server.url, "s" * 40)
    cache.put("a", b"2", 60)
    assert (cache.get("a"), connects(server, "")) == (b"2", True)
