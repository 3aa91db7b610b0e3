"""`saga user`, `saga key` and `saga audit`. They need no secret: access to the database is enough."""

import json
import re
import shutil

import pytest
import structlog
from click.testing import CliRunner
from flask.cli import ScriptInfo
from sqlalchemy import text

from app.cli import saga as group
from app.services import services
from tests.integration.access.conftest import PASSWORD


@pytest.fixture
def store_url(sqlite_url, sqlite_template, tmp_path):
    """Use SQLite only; tests/contract/store covers both databases."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return sqlite_url


@pytest.fixture
def saga(admin_service, monkeypatch):
    monkeypatch.setattr("app.cli.arguments.login_name", lambda: "ada")
    monkeypatch.setitem(admin_service.app.config, "SECRET_KEY", None)
    logging = structlog.get_config()

    def run(*arguments, code=0, stdin=""):
        done = CliRunner().invoke(group, arguments, stdin, obj=ScriptInfo(create_app=lambda: admin_service.app))
        assert done.exit_code == code, done.output
        return done

    yield run
    structlog.configure(**logging)


def test_user_add_makes_the_first_admin(admin_service, saga):
    done = saga("user", "add", "eve", "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert done.stdout == "eve may sign in as admin.\n"
    assert admin_service.trail()[-1] == ("cli:ada", "user.add", "eve")
    assert [line.split()[:2] for line in saga("user", "list").stdout.splitlines()[1:]] == [
        ["admin", "admin"], ["eve", "admin"], ["operator", "operator"], ["viewer", "viewer"],
    ]  # fmt: skip
    assert json.loads(saga("user", "list", "--json").stdout.splitlines()[1])["name"] == "eve"
    saga("user", "remove", "eve")
    assert admin_service.trail()[-1] == ("cli:ada", "user.remove", "eve")


def test_user_add_prompts_twice_for_the_password(saga):
    done = saga("user", "add", "eve", "--role", "viewer", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    assert PASSWORD not in done.output
    assert "eve may sign in" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "ends"),
    [
        (["user", "add", "viewer", "--role", "admin", "--password-stdin"], PASSWORD, (7, "there is a user viewer")),
        (["user", "add", "eve", "--role", "admin", "--password-stdin"], "short", (2, "password: Give 12 to 256")),
        (["user", "add", "E e", "--role", "admin", "--password-stdin"], PASSWORD, (2, "name: Give 1 to 64")),
        (["user", "add", "eve", "--role", "god", "--password-stdin"], PASSWORD, (2, "'god' is not one of")),
        (["user", "add", "eve", "--password-stdin"], PASSWORD, (2, "Missing option '--role'")),
        (["user", "remove", "eve"], "", (6, "there is no user eve")),
        (["user", "remove", "admin"], "", (7, "admin is the last admin")),
        (["key", "add", "shop"], "", (2, "Missing option '--scope'")),
        (["key", "add", "a shop", "--scope", "read"], "", (2, "name: Give 1 to 64")),
        (["key", "add", "shop", "--scope", "read", "--days", "0"], "", (2, "0 is not in the range")),
        (["key", "revoke", "saga_x"], "", (6, "there is no key saga_x")),
        (["audit", "list", "--saga", "x"], "", (2, "is no id of a saga")),
    ],
)
def test_invalid_arguments_are_reported_in_one_line(admin_service, saga, arguments, stdin, ends):
    before, (code, said) = admin_service.trail(), ends
    done = saga(*arguments, code=code, stdin=stdin)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert admin_service.trail() == before


def test_key_is_printed_once(admin_service, saga):
    done = saga("key", "add", "shop", "--scope", "start", "--scope", "read")
    key = done.stdout.strip()
    assert services(admin_service.app).api_keys.principal(key).scopes == {"read", "start"}
    listed = saga("key", "list").stdout
    prefix = "_".join(key.split("_")[:2])
    assert re.search(rf"shop +{prefix} +read start +works for 89d", listed)
    assert key not in listed + saga("key", "list", "--json").stdout
    saga("key", "revoke", prefix)
    assert re.search(rf"shop +{prefix} +read start +revoked \ds ago", saga("key", "list").stdout)
    assert saga("key", "revoke", prefix, code=7).stderr.endswith("revoked or has expired\n")


def test_audit_list_shows_a_move_with_its_reason(admin_service, saga):
    with admin_service.app.app_context():
        begun = services(admin_service.app).sagas.start("checkout", {"client_id": 4, "magasin_id": 1}, wait_s=0)
    saga_id = str(begun.id)
    saga("compensate", saga_id, "--reason", "ordered twice", code=3)
    assert admin_service.trail()[-1] == ("cli:ada", "saga.cancel", "checkout")
    (row,) = map(json.loads, saga("audit", "list", "--saga", saga_id[-8:], "--json").stdout.splitlines())
    assert row["reason"] == "ordered twice"
    assert row["after"]["version"] == row["before"]["version"] + 1
    assert "ordered twice" in saga("audit", "list", "--actor", "cli:ada").stdout
    assert "No actions match these filters." in saga("audit", "list", "--actor", "cli:eve").stdout


def test_audit_verify_prints_the_last_hash_or_the_first_broken_row(admin_service, saga):
    output = saga("audit", "verify").stdout
    assert re.fullmatch("3 rows, each as it was written; the last one's hash is [0-9a-f]{64}\n", output)
    admin_service.run(text("DROP TRIGGER audit_no_update"))
    admin_service.run(text("UPDATE audit SET reason = 'because' WHERE seq = 2"))
    done = saga("audit", "verify", code=1)
    assert done.stderr == (
        "saga: the audit trail is broken at row 2: its content is not what its hash was made of; "
        "if AUDIT_KEY seals the trail, set it here\n"
    )


def test_audit_anchor_and_verify_find_rows_that_were_cut_off(admin_service, saga, tmp_path):
    file = tmp_path / "anchors"
    assert saga("audit", "anchor", str(file)).stdout == f"row 3 is anchored in {file}\n"
    assert "3 rows" in saga("audit", "verify", "--anchors", str(file)).stdout
    admin_service.run(text("DROP TRIGGER audit_no_delete"))
    admin_service.run(text("DELETE FROM audit WHERE seq = 3"))
    admin_service.run(text("UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)"))
    assert "2 rows, each as it was written" in saga("audit", "verify").stdout
    assert "the end was cut off" in saga("audit", "verify", "--anchors", str(file), code=1).stderr


def test_audit_seal_needs_the_key(saga):
    assert "AUDIT_KEY is not set" in saga("audit", "seal", code=2).stderr
