from sqlalchemy import create_engine

from app.store.database import SQLITE_BUSY_MS, make_durable


def test_sqlite_keeps_a_commit_through_a_power_cut(sqlite_url):
    engine = create_engine(sqlite_url)
    make_durable(engine)
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": SQLITE_BUSY_MS}
