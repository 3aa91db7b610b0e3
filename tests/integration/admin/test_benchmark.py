"""The database that `make bench-pages` prepares. A person runs the benchmark itself."""

import sqlite3
from contextlib import closing

from benchmarks.admin_pages import prepare


def test_page_benchmark_prepares_its_own_database(tmp_path):
    prepare(f"sqlite:///{tmp_path / 'bench.db'}")
    with closing(sqlite3.connect(tmp_path / "bench.db")) as database:
        assert database.execute("SELECT name, role FROM user_account").fetchall() == [("bench", "operator")]
