"""The command line of `python -m participants`: its error messages, and what it does before it serves."""

import socket
import sys
from pathlib import Path

import pytest

from participants import __main__ as command
from participants.settings import NAMES, Settings
from participants.wsgi import create_application
from tests.support.waiting import free_port


def complaint(monkeypatch, capsys, *options, database_url=""):
    """Run the command in this process and return its error message. The command must stop before it serves."""
    monkeypatch.setattr(sys, "argv", ["participants", *options])
    monkeypatch.setenv("PARTICIPANTS_DATABASE_URL", database_url)
    monkeypatch.setattr(command, "Granian", None)
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--prot", "1"], "--prot"),
        (["--port", "0"], "0 is not a port"),
        (["--port", "many"], "many is not a port"),
        (["--only", "caisse"], "caisse"),
        (["--data", "/proc/nowhere"], "/proc/nowhere"),
        (["--data", __file__], "File exists"),
        (["--host", "256.0.0.1"], "256.0.0.1"),
        (["--restock", "often"], "often is not a number of seconds"),
        (["--restock", "-1"], "-1 is not a number of seconds"),
        (["--restock", "inf"], "inf is not a number of seconds from 0 to 86400"),
        (["--restock", "nan"], "nan is not a number of seconds from 0 to 86400"),
        (["--restock", "1e12"], "1e12 is not a number of seconds from 0 to 86400"),
        (["--restock", "1_0"], "1_0 is not a number of seconds from 0 to 86400"),
        (["--port", "\u0668\u0660"], "is not a port (1 to 65535)"),
    ],
)
def test_bad_option_is_reported_in_one_line(monkeypatch, capsys, options, words):
    port = [] if "--port" in options else ["--port", str(free_port())]
    assert words in complaint(monkeypatch, capsys, *port, *options)


def test_port_in_use_is_reported_in_one_line_and_leaves_no_data(monkeypatch, capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = complaint(monkeypatch, capsys, "--port", port, "--data", str(tmp_path / "data"))
    assert line == f"participants: cannot listen on 127.0.0.1:{port}: [Errno 98] Address already in use"
    assert not (tmp_path / "data").exists()


def test_the_port_of_a_running_server_is_in_use(monkeypatch, capsys, tmp_path):
    """granian opens its port with SO_REUSEPORT, so a second server could bind the same port without an error."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        assert "already in use" in complaint(monkeypatch, capsys, "--port", port, "--data", str(tmp_path))


@pytest.mark.parametrize(
    ("database_url", "words"),
    [
        ("postgresql://localhost/shop", "must contain {name}"),
        ("postgresql://127.0.0.1:1/{name}", "refused"),
        ("postgresql://127.0.0.1:port/{name}", "not the URL of a database"),
        ("nonsense/{name}", "not the URL of a database"),
        ("oracle://x/{name}", "must begin with"),
    ],
)
def test_bad_database_url_is_reported_in_one_line(monkeypatch, capsys, database_url, words):
    assert words in complaint(monkeypatch, capsys, "--port", str(free_port()), database_url=database_url)


def test_file_that_is_not_a_database_is_reported_in_one_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "stock.db").write_text("not a database at all, " * 100)
    line = complaint(monkeypatch, capsys, "--port", str(free_port()), "--only", "stock", "--data", str(tmp_path))
    assert "file is not a database" in line


@pytest.mark.parametrize("name", ["STOCK_URL", "ORCHESTRATOR_URL", "ORCHESTRATOR_PUBLIC_URL", "PARTICIPANTS_URL"])
@pytest.mark.parametrize(
    "url", ["stock:8010", "http://h:99999", "http://h:abc", "http://:80", "http://[::1", "http://h?a"]
)
def test_invalid_url_is_reported_in_one_line(monkeypatch, capsys, name, url):
    monkeypatch.setenv(name, url)
    assert f"{name} must be a URL such as http://" in complaint(monkeypatch, capsys, "--port", str(free_port()))


def test_unknown_log_level_is_reported_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR" in complaint(monkeypatch, capsys)


@pytest.mark.parametrize("value", ["inf", "nan", "1e12", "-1", "often", "1_0", "+5", " 5 ", "\u0665"])
def test_pause_too_long_for_the_clock_is_refused_under_wsgi_too(monkeypatch, capsys, value):
    monkeypatch.setenv("PARTICIPANTS_RESTOCK_S", value)
    with pytest.raises(SystemExit) as ended:
        create_application()
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line == "participants: PARTICIPANTS_RESTOCK_S must be a number of seconds from 0 to 86400\n"


@pytest.mark.parametrize(
    ("host", "found"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("shop", "shop")],
)
def test_supply_chain_and_shop_call_their_own_server(host, found):
    assert command.own_url(host, 8010) == f"http://{found}:8010"


def test_no_database_is_open_when_the_worker_is_forked(tmp_path):
    """A fork does not copy file locks, so the child could not use an open SQLite connection safely."""
    command.prepare_databases(Settings(data=tmp_path))
    assert len(list(tmp_path.glob("*.db"))) == len(NAMES)
    opened = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()]
    assert [name for name in opened if name.startswith(str(tmp_path))] == []


def test_tables_and_first_rows_are_created_without_serving(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["participants", "--prepare", "--port", port, "--data", str(tmp_path)])
        monkeypatch.setattr(command, "Granian", None)
        command.main()
    assert {file.stem for file in tmp_path.glob("*.db")} == set(NAMES)
