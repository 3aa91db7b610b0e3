"""`make bench-pages` is run by hand; this tests its preparation."""

import sqlite3
from contextlib import closing

from benchmarks.admin_pages import prepare


def test_the_benchmark_of_the_pages_prepares_a_database_of_its_own(tmp_path):
    prepare(f"sqlite:///{tmp_path / 'bench.db'}")
    with closing(sqlite3.connect(tmp_path / "bench.db")) as database:
        assert database.execute("SELECT name, role FROM user_account").fetchall() == [("bench", "operator")]
