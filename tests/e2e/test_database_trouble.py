"""When the database is read-only, full or away, /ready reports this, requests get 503, and nothing is lost."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests.support.databases import execute, own_database
from tests.support.waiting import eventually

CART = {"client_id": 4, "magasin_id": 1}


def buy(server, key):
    headers = {"Idempotency-Key": key, "Prefer": "wait=5"}
    return requests.post(f"{server.url}/api/commande/checkout", json=CART, headers=headers, timeout=120)


def ready(server):
    return requests.get(f"{server.url}/ready", timeout=10)


def takes_no_writes(server) -> bool:
    """Return True when the service reports that the database refuses writes.

    A 503 because of a late heartbeat does not count, because it soon ends by itself.
    """
    answer = ready(server)
    return answer.status_code == 503 and "does not take writes" in answer.json()["detail"]


def refused(server, times) -> bool:
    """Return True when `times` starts in a row are refused with 503."""
    return all(buy(server, str(uuid4())).status_code == 503 for _ in range(times))


def assert_trouble_loses_nothing(server, participants, ends: Callable[[], None]) -> None:
    """Check that no saga starts while writes are refused, and that the service recovers after `ends()` is called."""
    eventually(lambda: takes_no_writes(server), "it says that it is not ready, and why")
    assert requests.get(f"{server.url}/health", timeout=5).ok, "its process is well"
    key = str(uuid4())
    refused = buy(server, key)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "with the same Idempotency-Key" in refused.json()["detail"]
    ends()
    eventually(lambda: ready(server).ok, "it is ready again")
    assert buy(server, key).status_code == 201
    listed = requests.get(f"{server.url}/api/v1/sagas", timeout=5).json()["sagas"]
    assert {saga["status"] for saga in listed} == {"completed"}
    for saga in listed:
        assert set(participants.effects(saga["id"]).values()) == {"done"}
    participants.assert_balanced()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_read_only_server_starts_no_saga_and_loses_none(orchestrator, participants, store_url):
    server = orchestrator()
    assert buy(server, "before").status_code == 201
    name = store_url.split("/")[3].split("?")[0]
    only = "ALTER DATABASE {} SET default_transaction_read_only = {}"
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    def read_only(switch: str) -> None:
        admin = store_url.replace(f"/{name}?", "/%s?")
        execute(admin, only.format(name, switch))
        # The setting applies to new sessions only, so the old sessions are ended. The service opens new ones.
        execute(admin, ended)

    read_only("on")
    assert_trouble_loses_nothing(server, participants, lambda: read_only("off"))


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of 24 MB, but not below pytest's folder, which only root can enter."""
    folder = Path(tempfile.mkdtemp(prefix="small"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass
    return filler


def test_sqlite_with_a_full_disk_starts_no_saga_and_loses_none(small_disk, request, orchestrator_at, participants):
    shutil.copy(request.getfixturevalue("sqlite_template"), small_disk / "saga.db")
    server = orchestrator_at(f"sqlite:///{small_disk / 'saga.db'}")
    assert buy(server, "before").status_code == 201
    filler = fill(small_disk)
    assert_trouble_loses_nothing(server, participants, filler.unlink)


def test_postgresql_with_a_full_disk_starts_no_saga_and_loses_none(small_disk, request, orchestrator_at, participants):
    admin = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("postgres_template")
    data = Path(admin.split("host=")[1])
    shutil.chown(small_disk, data.owner(), data.group())
    execute(admin, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    for url in own_database(admin, f"{template} TABLESPACE small"):
        server = orchestrator_at(url)
        assert buy(server, "before").status_code == 201
        filler = fill(small_disk)
        try:
            # Some pages of the database are still free, and each refused start frees a few more. Use these pages up
            # first.
            eventually(partial(refused, server, times=8), "its pages are full")
            assert_trouble_loses_nothing(server, participants, filler.unlink)
        finally:
            filler.unlink(missing_ok=True)  # without free space the PostgreSQL server could not drop this database
            server.kill()
    execute(admin, "DROP TABLESPACE small")
