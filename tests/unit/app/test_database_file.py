import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from app.settings import ConfigError
from app.store.database import database_options, make_durable
from app.store.sqlite_file import check_database_file


def refusal(url: str, *, writes: bool = True) -> str:
    with pytest.raises(ConfigError) as refused:
        check_database_file(url, writes=writes)
    return str(refused.value)


@pytest.fixture
def may_not_write(monkeypatch):
    """Return a function that makes a path appear as not writable, even when the tests run as root."""

    def forbid(path: Path) -> None:
        monkeypatch.setattr(os, "access", lambda asked, _mode: Path(asked) != path)

    return forbid


@pytest.mark.parametrize("writes", [True, False])
def test_a_missing_folder_is_refused(tmp_path, writes):
    assert refusal(f"sqlite:///{tmp_path}/no/x.db", writes=writes) == (
        f"DATABASE_URL names a file in {tmp_path}/no, which does not exist; create that folder, or name another file"
    )


@pytest.mark.parametrize("writes", [True, False])
def test_a_folder_is_not_a_database(tmp_path, writes):
    assert refusal(f"sqlite:///{tmp_path}?timeout=5", writes=writes) == (
        f"DATABASE_URL names the folder {tmp_path}; name a file in it, such as sqlite:///{tmp_path}/saga.db"
    )


def test_a_file_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "/file, which is not a folder; name another file" in refusal(f"sqlite:///{tmp_path}/file/x.db")


def test_a_name_that_is_too_long_is_refused(tmp_path):
    assert "which cannot be used (File name too long); name " in refusal(f"sqlite:///{tmp_path}/{'x' * 300}.db")


def test_folder_without_write_permission_is_refused_for_writing(tmp_path, may_not_write):
    may_not_write(tmp_path)
    url = f"sqlite:///{tmp_path}/x.db"
    assert refusal(url) == (
        f"DATABASE_URL names a file in {tmp_path}, where this process may not write; allow it, or name another file"
    )
    check_database_file(url, writes=False)


def test_file_without_write_permission_is_refused_for_writing(tmp_path, may_not_write):
    (tmp_path / "x.db").touch()
    may_not_write(tmp_path / "x.db")
    url = f"sqlite:///{tmp_path}/x.db"
    assert "/x.db, which this process may not write; allow it, or name another file" in refusal(url)
    check_database_file(url, writes=False)


@pytest.mark.parametrize("url", ["sqlite:///{}/new.db", "postgresql://h/d", "sqlite:///file:/no/such/x.db?uri=true"])
def test_usable_file_or_other_database_is_accepted(tmp_path, url):
    check_database_file(url.replace("{}", str(tmp_path)), writes=True)


def test_a_file_with_two_names_is_refused(tmp_path):
    (tmp_path / "saga.db").touch()
    os.link(tmp_path / "saga.db", tmp_path / "other.db")
    assert refusal(f"sqlite:///{tmp_path}/other.db") == (
        f"DATABASE_URL names {tmp_path}/other.db, a file with several names (hard links), which SQLite damages; "
        "keep one of them"
    )
    check_database_file(f"sqlite:///{tmp_path}/other.db", writes=False)


def test_a_new_database_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "saga.db"
    database = create_engine(f"sqlite:///{path}", **database_options(f"sqlite:///{path}", 1))
    make_durable(database)
    with database.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
    path.chmod(0o640)
    database.dispose()
    with database.connect():
        assert path.stat().st_mode & 0o777 == 0o640
    database.dispose()
