"""Redis and RabbitMQ as processes that a test can kill, freeze, empty and restart."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError

from app.broker import QUEUE, make_celery
from tests.support.waiting import eventually, free_port

#: The users of Redis in the stack.
ACL = Path(__file__).parents[2] / "deploy" / "demo" / "redis.acl"


class Program:
    """A server process at `url`. Its data are in `folder`, so they survive a restart."""

    def __init__(self, folder: Path, url: str, command: list[str], **environment: str) -> None:
        self.folder, self.url, self._command = folder, url, command
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.begin()
        self.wait()

    def wait(self) -> None:
        eventually(self.answers, f"{self._command[0]} answers; see {self.folder / 'log'}")

    def begin(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )

    def answers(self) -> bool:
        raise NotImplementedError

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Pause the process: its connections stay open, but get no answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        self.kill()

    def purge(self) -> None:
        """Delete every message of the queue of wake-ups."""
        with Connection(self.url) as connection:
            queue = Queue(QUEUE, Exchange(QUEUE), QUEUE)(connection.default_channel)
            queue.declare()
            queue.purge()

    def send(self, task: str, *arguments: object, times: int = 1) -> None:
        """Send a Celery message `times` times, as any program with access to the broker can."""
        with Connection(self.url) as connection, make_celery(self.url) as celery:
            for _ in range(times):
                celery.send_task(task, args=arguments, connection=connection)

    def _signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)


class Redis(Program):
    """Redis with the users of docker-compose.yml. url, cache_url: what BROKER_URL and REDIS_URL are in the stack."""

    def __init__(self, folder: Path) -> None:
        port = str(free_port())
        users = folder / "redis.acl"
        users.write_text(f"{ACL.read_text()}user test on nopass ~* &* +@all\n")
        keep_nothing = ["--save", "", "--appendonly", "no", "--aclfile", str(users)]
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", *keep_nothing]
        self._address = f"127.0.0.1:{port}"
        self.cache_url = f"redis://cache:redis-cache-pass@{self._address}"
        super().__init__(folder, f"redis://broker:redis-broker-pass@{self._address}", command)

    def answers(self) -> bool:
        try:
            return self.asked("PING")
        except redis.RedisError:
            return False

    def asked(self, *command: str | bytes) -> object:
        return self.asked_as("test:any", *command)

    def asked_as(self, user: str, *command: str | bytes) -> object:
        """Run a command. user: `name:password`."""
        with redis.Redis.from_url(f"redis://{user}@{self._address}", socket_timeout=2) as client:
            return client.execute_command(*command)


class RabbitMQ(Program):
    """RabbitMQ with its own epmd (Erlang's name server), because an epmd that RabbitMQ starts outlives the tests."""

    def __init__(self, folder: Path) -> None:
        port, names = str(free_port()), str(free_port())
        super().__init__(
            folder,
            f"amqp://guest:guest@127.0.0.1:{port}//",
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
            HOME=str(folder),  # RabbitMQ writes its Erlang cookie there
            ERL_EPMD_PORT=names,
            RABBITMQ_CONF_ENV_FILE=str(folder / "none"),
            RABBITMQ_CONFIG_FILE=str(folder / "none"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "none"),
            RABBITMQ_MNESIA_BASE=str(folder / "data"),
            RABBITMQ_LOG_BASE=str(folder),
            RABBITMQ_NODENAME=f"test{port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=port,
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none",  # its threads do not busy-wait
        )
        self._names = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", names], start_new_session=True)

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
        except (KombuError, OSError):
            return False
        return True

    def end(self) -> None:
        super().end()
        self._names.kill()
        self._names.wait()


@contextmanager
def running(kind: type[Program]) -> Iterator[Program]:
    """Start a server and wait until it serves."""
    with begun(kind) as server:
        server.wait()
        yield server


@contextmanager
def begun(kind: type[Program]) -> Iterator[Program]:
    """Start a server in its own folder, and delete both at the end."""
    folder = Path(tempfile.mkdtemp(prefix="saga"))
    server = kind(folder)
    try:
        server.begin()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder)
