"""Messages to people, against real local servers: once for each new cause, outage and threshold, by all processes."""

import json
import threading
from datetime import UTC, datetime
from email import message_from_string, policy

import pytest
from sqlalchemy import select, update

from app import create_app
from app.calls.client import HttpClient
from app.config import from_environment
from app.notice_settings import Channel
from app.notices.channels import Channels
from app.notices.notifier import Notifier
from app.notices.subjects import Subject, subjects
from app.participant_settings.model import ParticipantSettings
from app.participant_settings.secret_files import SecretFiles
from app.services import services
from app.store.console_models import NoticeRow
from app.store.database import db, in_seconds
from app.store.instance import Instance
from app.store.notices import Notices
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.views.participants import pause
from machines.discovery import discover
from tests.support.applications import opened
from tests.support.mail_server import mail_server
from tests.support.moves import move
from tests.support.scripted_server import http, serving
from tests.support.webhooks import OLD, verified

CAUSE = Subject(key="cause:1", title="checkout: 3 sagas are stuck", text="503 <closed>", path="/admin/stuck?cause=503")
OUTAGE = Subject(key="participant:ventes:paused", title="ventes is paused by ada", text="", path="/admin/participants")
MANY = Subject(key="stuck", title="101 sagas are stuck.", text="", path="/admin/stuck?status=stuck", stuck=101)
NOON, NIGHT = datetime(2026, 11, 28, 12, tzinfo=UTC), datetime(2026, 11, 28, 23, tzinfo=UTC)


@pytest.fixture
def hook():
    with serving() as server:
        server.answers = [http(b"ok")] * 20
        yield server


@pytest.fixture
def mails():
    with mail_server() as server:
        yield server


@pytest.fixture
def app(store_url, tmp_path, hook, mails):
    """Return the service with a channel of each kind."""
    for name, secret in (("hook", OLD), ("slack", f"{hook.url}/services/T0/s3cret"), ("password", "letmein")):
        (tmp_path / name).write_text(secret)
    (tmp_path / "notify.toml").write_text(f"""
[pager]
kind = "webhook"
url = "{hook.url}/notices"
secret_file = "{tmp_path}/hook"
stuck_over = 100
[chat]
kind = "slack"
url_file = "{tmp_path}/slack"
[mail]
kind = "mail"
host = "127.0.0.1"
port = {mails.port}
tls = "none"
user = "sagas"
password_file = "{tmp_path}/password"
sender = "sagas@shop.test"
to = ["oncall@shop.test", "lead@shop.test"]
quiet = "22:00-07:00"
""")
    settings = {
        "DATABASE_URL": store_url,
        "PUBLIC_URL": "https://sagas.test",
        "NOTIFY_FILE": str(tmp_path / "notify.toml"),
    }
    with opened(create_app(from_environment({**settings, "PARTICIPANTS_URL": "http://127.0.0.1:9"}))) as app:
        yield app


class Process:
    """One process of the service, which looks when the test says so."""

    def __init__(self, app, found):
        own = services(app).notifier
        self.found, self.now = found, NOON
        self.notices = Notices(db.engine)
        self.notifier = Notifier(
            own._channels, own._sender, self.notices, lambda: self.found, context=app.app_context,
            now=lambda: self.now, stopping=threading.Event(),
        )  # fmt: skip

    def step(self):
        """Look once, also when another process has looked a moment ago."""
        change(due_at=in_seconds(-1), channel="")
        return self.notifier.step()


def change(channel=None, **values):
    where = [] if channel is None else [NoticeRow.channel == channel]
    with db.engine.connect() as connection:
        connection.execute(update(NoticeRow).where(*where).values(**values))


def rows(channel):
    with db.engine.connect() as connection:
        return connection.execute(select(NoticeRow.__table__).where(NoticeRow.channel == channel)).all()


def paths(hook):
    return [request.split(b" ")[1].decode() for request in hook.received]


def test_each_channel_gets_one_message_with_a_deep_link(app, hook, mails):
    Process(app, [CAUSE]).step()
    assert paths(hook) == ["/notices", "/services/T0/s3cret"]
    webhook, slack = (json.loads(hook.body(number)) for number in (0, 1))
    link = "https://sagas.test/admin/stuck?cause=503"
    assert (webhook["title"], webhook["text"], webhook["link"]) == (CAUSE.title, CAUSE.text, link)
    assert verified(hook.headers(0), hook.body(0), OLD)
    assert slack == {"text": f"{CAUSE.title}\n503 &lt;closed&gt;\n{link}"}
    mail = message_from_string(mails.messages[0], policy=policy.default)
    assert (mail["Subject"], mail["To"]) == (CAUSE.title, "oncall@shop.test, lead@shop.test")
    assert link in mail.get_content()
    assert len(mails.recipients) == 2
    assert mails.logins == [("sagas", "letmein")]


def test_message_is_sent_once_whatever_processes_look(app, hook, mails):
    processes = [Process(app, [CAUSE, OUTAGE]) for _ in range(3)]
    for process in [*processes, *processes]:
        change(due_at=in_seconds(-1))  # no lease holds it back
        process.step()
    assert len(hook.received) == 4
    assert len(mails.messages) == 2


def test_two_processes_that_look_at_once_send_one_message(app, hook):
    first, second = (Process(app, [CAUSE]) for _ in range(2))
    first.step()
    assert not second.notifier.step(), "it is not its turn"
    assert second.notices.claim("pager", CAUSE.key, 60) is None


def test_message_that_another_process_has_claimed_is_not_sent(app, hook):
    process = Process(app, [CAUSE])
    process.notices.note("pager", [CAUSE.key], 900)
    assert process.notices.claim("pager", CAUSE.key, 60)
    process.step()
    assert paths(hook) == ["/services/T0/s3cret"]


def test_subject_that_was_gone_is_new_when_it_comes_again(app, hook):
    process = Process(app, [CAUSE])
    process.step()
    process.found = []
    change(seen_at=in_seconds(-1000))
    process.step()
    process.found = [CAUSE]
    process.step()
    assert len(hook.received) == 4
    first, again = (json.loads(hook.body(number))["id"] for number in (0, 2))
    assert first != again


def test_subject_that_was_gone_for_a_moment_is_not_new(app, hook):
    process = Process(app, [CAUSE])
    for found in ([CAUSE], [], [CAUSE]):
        process.found = found
        process.step()
    assert len(hook.received) == 2


def test_threshold_is_for_channels_that_name_one_and_only_when_it_is_passed(app, hook):
    process = Process(app, [Subject(**{**vars(MANY), "stuck": 100})])
    process.step()
    assert hook.received == []
    process.found = [MANY]
    process.step()
    assert paths(hook) == ["/notices"]


def test_quiet_hours_hold_a_message_back_until_they_end(app, mails):
    process = Process(app, [CAUSE])
    process.now = NIGHT
    process.step()
    assert mails.messages == []
    process.now = NOON
    process.step()
    assert len(mails.messages) == 1


def test_failed_message_is_sent_again_after_a_wait_with_the_same_id(app, hook):
    hook.answers = [http(b"no", "503 Busy"), http(b"ok"), http(b"ok")]
    process = Process(app, [CAUSE])
    process.step()
    (row,) = rows("pager")
    assert (row.attempts, row.sent_at, row.error) == (1, None, "the receiver answered 503")
    process.step()
    assert paths(hook) == ["/notices", "/services/T0/s3cret"], "not before the wait is over"
    change(due_at=in_seconds(-1))
    process.step()
    assert json.loads(hook.body(0))["id"] == json.loads(hook.body(2))["id"]
    (row,) = rows("pager")
    assert row.sent_at is not None
    assert row.error is None


def test_no_secret_is_in_an_error(app, hook, mails, tmp_path):
    hook.answers = [None] * 4
    mails.refuses = "554 no"
    Process(app, [CAUSE]).step()
    kept = " ".join(row.error for name in ("pager", "chat", "mail") for row in rows(name))
    assert "SMTPDataError" in kept
    assert "s3cret" not in kept


def test_password_that_a_mail_server_repeats_is_not_kept(app, mails, tmp_path):
    (tmp_path / "password").write_text("hunter2")
    app_mail = services(app).notifier._channels[2]
    app_mail.secrets.read()
    Process(app, [CAUSE]).step()
    (row,) = rows("mail")
    assert "535" in row.error
    assert "hunter2" not in row.error
    assert "hunter2" not in repr(app_mail)


def test_rows_of_a_channel_that_is_gone_are_deleted(app):
    process = Process(app, [CAUSE])
    process.notices.note("old", ["x"], 900)
    process.step()
    assert rows("old") == []
    assert len(rows("")) == 1


def test_stuck_sagas_of_the_database_are_one_message_for_each_cause(app, hook):
    store, counts = SagaStore(Connections(db.engine), discover(), "test"), []
    for reason in ("503 request 1", "503 request 2", "500 broken"):
        saga = Instance.new(discover().latest("checkout"), {"client_id": 4, "magasin_id": 1}, actor="test")
        store.insert(saga, None, owner=None)
        for trigger in ("succeeded", "succeeded", "succeeded", "exhausted"):
            move(saga, trigger, reason=reason, reply={}, duration_ms=5.0)
            store.save(saga, None, owner=None)
        *_, of_all = subjects(discover(), services(app).participant_store, services(app).redact)
        counts.append(of_all.title)
    assert counts == ["1 saga is stuck.", "2 sagas are stuck.", "3 sagas are stuck."]
    notifier = services(app).notifier
    assert notifier.step()
    titles = [json.loads(hook.body(n)) for n in range(len(hook.received)) if b"/notices" in hook.received[n][:40]]
    assert sorted(each["title"] for each in titles) == [
        "Checkout (checkout): 1 saga is stuck in Record the sale (enregistrer_vente) at ventes",
        "Checkout (checkout): 2 sagas are stuck in Record the sale (enregistrer_vente) at ventes",
    ]
    assert all(
        each["link"].startswith("https://sagas.test/admin/stuck?type=checkout&version=1&state=") for each in titles
    )


def test_paused_participant_is_a_message(app, hook):
    pause(services(app), "ventes", "user:ada", "they repair it")
    assert services(app).notifier.step()
    assert json.loads(hook.body(0))["title"] == "ventes is paused by ada: no saga waits."


def test_without_channels_nothing_runs_and_nothing_is_stored(store_url):
    with opened(create_app(from_environment({"DATABASE_URL": store_url}))) as app:
        assert services(app).notifier is None
        assert services(app).notifier_thread is None


def test_message_without_public_url_has_no_link(hook):
    client = HttpClient(1, participants={"pager": ParticipantSettings(url="")})
    channels = Channels(client, lambda _path: "", wall_clock=lambda: 0.0)
    pager = Channel(name="pager", kind="slack", secrets=SecretFiles({"": hook.url}, {}))
    channels.send(pager, OUTAGE, "1")
    assert json.loads(hook.body(0)) == {"text": OUTAGE.title}
