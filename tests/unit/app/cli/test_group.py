import shutil

import pytest
import structlog
from click.testing import CliRunner
from flask.cli import ScriptInfo
from sqlalchemy.exc import ProgrammingError

from app import create_app
from app.cli import saga
from app.cli.__main__ import command_line
from app.cli.group import PROGRAM_ONLY
from app.config import from_environment
from app.store.database import db
from app.version import VERSION

LONG_AGO = "00000000-0000-4000-8000-000000000000"


def made(url):
    return create_app(from_environment({"DATABASE_URL": url, "PARTICIPANTS_URL": "http://127.0.0.1:9"}))


@pytest.fixture(scope="module")
def app(sqlite_template, tmp_path_factory):
    logging = structlog.get_config()
    file = shutil.copy(sqlite_template, tmp_path_factory.mktemp("cli"))
    app = made(f"sqlite:///{file}")
    yield app
    # The commands have configured the log to write to a stderr that is now closed.
    structlog.configure(**logging)
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["start", "checkout", "client_id=x"], 2, "client_id: Not a valid integer; magasin_id: Missing data"),
        (["start", "nothing"], 2, "there is no saga 'nothing'; take one of checkout"),
        (["start", "checkout", "--wait", "nan"], 2, "'nan' is no number"),
        (["start", "checkout", "client_id=4", "magasin_id=1", "--key", "é"], 2, "printable ASCII"),
        (["retry", LONG_AGO], 2, "Missing option '--reason'"),
        (["retry", LONG_AGO, "--reason", " "], 2, "--reason: Length must be between 1 and 500."),
        (["compensate", LONG_AGO, "--reason", "x", "--actor", ""], 2, "--actor: it is empty"),
        (["compensate", LONG_AGO, "--reason", "x"], 6, f"there is no saga {LONG_AGO}"),
        (["show", LONG_AGO], 6, f"there is no saga {LONG_AGO}"),
        (["watch", LONG_AGO, "--interval", "0"], 2, "'--interval'"),
        (["show", "x"], 2, "'x' is no id of a saga"),
        (["list", "--status", "x"], 2, "'x' is not one of 'pending'"),
        (["list", "--stuck", "--status", "running"], 2, "leave one out"),
        (["nothing"], 2, "No such command 'nothing'"),
        (
            ["new", "gift"],
            2,
            "new is a command of the program `saga`; write `saga new`, or `python -m app.cli new` in a",
        ),
        (["--nothing"], 2, "No such option '--nothing'"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(app, arguments, code, said):
    ended = CliRunner().invoke(saga, arguments, prog_name="saga", obj=ScriptInfo(create_app=lambda: app))
    assert ended.exit_code == code
    assert ended.stderr.startswith("saga: ")
    assert said in ended.stderr
    assert (ended.stderr.count("\n"), ended.stdout) == (1, "")


def test_commands_of_the_program_alone_are_those_that_are_named():
    assert set(command_line().commands) - set(saga.commands) == PROGRAM_ONLY
    ended = CliRunner().invoke(command_line(), ["verify"], prog_name="saga")
    assert ended.stderr == "saga: give the name of a saga, or --all. See saga verify --help.\n"


def test_version_needs_no_application():
    ended = CliRunner().invoke(command_line(), ["--version"], prog_name="saga")
    assert (ended.exit_code, ended.output) == (0, f"saga {VERSION}\n")


def test_fault_is_one_line_without_verbose(app, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("broken\nin two")

    monkeypatch.setattr("app.store.lists.page", fail)
    obj = ScriptInfo(create_app=lambda: app)
    ended = CliRunner().invoke(saga, ["list"], obj=obj)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == "saga: an error in this program: RuntimeError: broken in two; --verbose shows more\n"
    assert isinstance(CliRunner().invoke(saga, ["--verbose", "list"], obj=obj).exception, RuntimeError)


def test_missing_right_is_for_the_owner_before_it_is_granted(app, monkeypatch):
    class RefusedError(Exception):
        pgcode = "42501"

    def fail(*_, **__):
        raise ProgrammingError("DELETE", {}, RefusedError("permission denied for table saga"))

    monkeypatch.setattr("app.store.lists.page", fail)
    ended = CliRunner().invoke(saga, ["list"], obj=ScriptInfo(create_app=lambda: app))
    assert "run this as the owner of the tables, or grant it" in ended.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///{folder}/new.db", "flask --app app db upgrade"),
        ("sqlite:////nowhere/saga.db", "names a file in /nowhere, which does not exist"),
        ("postgresql://x@127.0.0.1:1/x", "refused"),
        ("x", "DATABASE_URL must begin"),
    ],
)
def test_unusable_database_is_one_line(app, tmp_path, url, said):
    obj = ScriptInfo(create_app=lambda: made(url.format(folder=tmp_path)))
    ended = CliRunner().invoke(saga, ["list"], obj=obj)
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert said in ended.stderr


def test_log_goes_to_stderr_with_verbose_only(app):
    start = ("start", "checkout", "client_id=4", "magasin_id=1", "--wait", "0")
    for options, logged in ((["--verbose"], True), ([], False)):
        obj = ScriptInfo(create_app=lambda: made(app.config["SQLALCHEMY_DATABASE_URI"]))
        ended = CliRunner().invoke(saga, [*options, *start], obj=obj)
        assert (ended.exit_code, '"event":"Saga démarrée"' in ended.stderr) == (4, logged)
        assert "Saga démarrée" not in ended.stdout
