"""Disaster drills on this machine: `python -m deploy.drill [failover] [restore] [upgrade]`, all three by default.

Each drill starts a PostgreSQL, the participants and an orchestrator of its own, places orders all the time, and breaks
something. It prints how long no order ended (RTO) and how many answered orders the database has lost (RPO).

    failover  the primary is killed, and its synchronous standby is promoted
    restore   server and data are lost; a base backup and the WAL that pg_receivewal has kept are restored
    upgrade   the orchestrator is killed, and the database moves to a server of another major version by pg_dump and
              pg_restore. --old names the older version's folder of programs, such as /usr/lib/postgresql/15/bin

Exit code 0: every order ended, no answered order is lost, and no unit and no cent is missing at the participants.
"""

import argparse
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import trial
from deploy.drill_stack import USER, DrillError, Server, Stack, end, open_stack, server, wait_until, wheel_programs

#: What a person needs to know of each saga that has not ended.
NOT_ENDED = """
    SELECT concat_ws(' ', id, status, state, error, 'due', due_at - clock_timestamp()) FROM saga
    WHERE status NOT IN ('completed', 'compensated')
"""
#: Length of the key of an order (a UUID). The database keeps the sender before it.
KEY_LENGTH = 36


def failover(stack: Stack, options: argparse.Namespace) -> list[str]:
    with server(stack, options.programs, "primary") as primary, server(stack, options.programs, "standby") as standby:
        primary.create()
        primary.start()
        primary.query("CREATE DATABASE saga", "postgres")
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=standby"
        standby.run("pg_basebackup", "-c", "fast", "-D", standby.data, "-R", "-d", source)
        # A promoted standby must not wait for a standby of its own.
        standby.set(synchronous_standby_names="")
        standby.start()
        primary.set(synchronous_standby_names="standby")
        primary.reload()
        stack.start_service(primary.address, standby.address)

        def fail() -> None:
            primary.kill()
            standby.promote()

        return _under_load(stack, options, fail, standby)


def restore(stack: Stack, options: argparse.Namespace) -> list[str]:
    with server(stack, options.programs, "primary") as primary, server(stack, options.programs, "restored") as restored:
        primary.create(synchronous_standby_names="archive")
        primary.start()
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=archive"
        archive = stack.folder / "archive"
        primary.run("/bin/mkdir", archive)
        with _received(primary, archive, source):
            primary.query("CREATE DATABASE saga", "postgres")
            primary.run("pg_basebackup", "-c", "fast", "-D", stack.folder / "base", "-d", source)
            stack.start_service(primary.address, restored.address)

            def recover() -> None:
                primary.kill()
                shutil.rmtree(primary.data)
                for part in archive.glob("*.partial"):  # the segment that was being written
                    part.rename(part.with_suffix(""))
                restored.run("/bin/cp", "-r", stack.folder / "base", restored.data)
                restored.set(synchronous_standby_names="", restore_command=f"cp {archive}/%f %p")
                (restored.data / "recovery.signal").touch()
                restored.start()
                wait_until(lambda: restored.query("SELECT pg_is_in_recovery()", "postgres") == ["False"])

            return _under_load(stack, options, recover, restored)


@contextmanager
def _received(primary: Server, archive: Path, source: str) -> Iterator[None]:
    """Run pg_receivewal as the synchronous standby: a commit is answered when the archive has it."""
    receive = [str(primary.programs / "pg_receivewal"), "-D", str(archive), "-d", source]
    primary.run("pg_receivewal", *receive[1:], "--slot", "archive", "--create-slot")
    process = subprocess.Popen([*receive, "--slot", "archive", "--synchronous"], user=USER, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        yield
    finally:
        end(process)


def upgrade(stack: Stack, options: argparse.Namespace) -> list[str]:
    if not (options.old / "pg_ctl").exists():
        raise DrillError(f"--old {options.old} has no PostgreSQL of an older version")
    with server(stack, options.old, "old") as old, server(stack, options.programs, "new") as new:
        old.create()
        old.start()
        old.query("CREATE DATABASE saga", "postgres")
        stack.start_service(old.address)
        new.create()
        new.start()
        new.query("CREATE DATABASE saga", "postgres")

        def upgraded() -> None:
            stack.kill_service()
            dump = stack.folder / "saga.dump"
            old.run("pg_dump", "-Fc", "-f", dump, "-h", "127.0.0.1", "-p", old.port, "-U", "postgres", "saga")
            old.stop()
            new.run("pg_restore", "-e", "-d", f"postgresql://postgres@{new.address}/saga", dump)
            stack.start_service(new.address)

        return _under_load(stack, options, upgraded, new)


def _under_load(stack: Stack, options: argparse.Namespace, disaster: Callable[[], None], after: Server) -> list[str]:
    """Place orders, let the disaster happen in the middle, and return what is wrong afterwards."""
    results = trial.Results()
    orders = threading.Thread(target=lambda: trial.load(stack.service, 4, options.seconds, results))
    orders.start()
    time.sleep(options.seconds / 3)
    began = time.monotonic()
    disaster()
    took_s = time.monotonic() - began
    orders.join()
    before = {key for key, at in results.answered.items() if at <= began}
    first_s = min((at for at in results.answered.values() if at > began + took_s), default=float("inf")) - began
    kept = {key[-KEY_LENGTH:] for key in after.query("SELECT key FROM request_key")}
    lost = results.answered.keys() - kept
    longest_s = max(results.seconds, default=0.0)
    sys.stdout.write(
        f"{len(before)} orders before, {len(results.answered) - len(before)} after; the database was away for "
        f"{took_s:.1f} s, the first order ended after {first_s:.1f} s (RTO); answered orders that are lost (RPO): "
        f"{len(lost)}; longest order {longest_s:.1f} s\n"
    )
    wrong = [*stack.complaints(), *(f"order {key} never ended" for key in results.unfinished)]
    wrong += [f"saga not ended: {line}" for line in after.query(NOT_ENDED)]
    wrong += [f"{len(lost)} answered orders are lost"] if lost else []
    return wrong + ([] if before else ["no order had ended before the disaster"])


DRILLS = {drill.__name__: drill for drill in (failover, restore, upgrade)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drills", nargs="*", choices=[*DRILLS, []], metavar="drill")
    parser.add_argument("--seconds", type=float, default=15, help="how long orders are placed")
    parser.add_argument("--programs", type=Path, help="folder of PostgreSQL's programs (default: those of the wheel)")
    parser.add_argument("--old", type=Path, default=Path("/usr/lib/postgresql/15/bin"))
    options = parser.parse_args()
    wrong = []
    try:
        options.programs = options.programs or wheel_programs()
        for name in options.drills or DRILLS:
            sys.stdout.write(f"{name}: ")
            sys.stdout.flush()
            with open_stack() as stack:
                wrong += [f"{name}: {line}" for line in DRILLS[name](stack, options)]
    except DrillError as error:
        sys.stderr.write(f"drill: {error}\n")
        return 2
    sys.stdout.writelines(f"wrong: {line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
