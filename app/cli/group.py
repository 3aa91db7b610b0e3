"""The command group `saga`: exit codes, errors in one line, and the checks before every command."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
import structlog
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from app.cli.output import printable
from app.errors import InvalidError, NotReadyError, ProblemError
from app.readiness import check_ready
from app.settings import ConfigError
from app.store.database_errors import Meaning, in_one_line, meaning
from app.store.sqlite_file import check_database_file
from app.version import VERSION
from machines.statuses import Status

FAULT, BAD_INPUT, NOT_FOUND, CONFLICT, UNREACHABLE, INTERRUPTED = 1, 2, 6, 7, 8, 130

#: Status of a saga → exit code of a command that started, moved or watched the saga.
EXIT_CODES: Mapping[str, int] = {
    Status.COMPLETED: 0,
    Status.COMPENSATED: 3,
    Status.PENDING: 4,
    Status.RUNNING: 4,
    Status.COMPENSATING: 4,
    Status.WAITING: 4,
    Status.STUCK: 5,
}

_PROBLEMS = {400: BAD_INPUT, 404: NOT_FOUND, 409: CONFLICT, 422: CONFLICT, 503: BAD_INPUT}
#: A log level that no log line of this service has, so that nothing is logged.
_SILENT = 50
_CHECK = "check DATABASE_URL and that it runs"
_REMEDIES = {
    Meaning.NOT_MIGRATED: "run `flask --app app db upgrade`",
    Meaning.FORBIDDEN: "run this as the owner of the tables, or grant it to the role of DATABASE_URL",
    Meaning.UNSTORABLE: "change the value",
    Meaning.BUSY: "try again",
}

#: Commands of the program `saga` that `flask --app app saga` does not have, because they need no service, or start one.
PROGRAM_ONLY = frozenset({
    "beat", "check", "client-types", "conform", "diff", "draw", "migrate", "new", "serve", "verify", "worker",
})  # fmt: skip

EPILOG = """\b
Exit codes of start, retry, compensate and watch, by the saga's status:
    0  completed
    3  compensated: everything that was done is undone
    4  not finished within the wait; it is durable, a service continues it
    5  stuck: a person must decide
\b
Exit codes of every command:
    0  done                        6  there is no such saga
    1  an error in this program     7  not possible in this state
    2  bad input or no database    8  a participant fails its check
                               130  interrupted
\b
An ID may be cut to its last 8 digits. DATABASE_URL and PARTICIPANTS_URL
must be those of the service. NO_COLOR=1 turns colours off.
"""


class SagaGroup(AppGroup):
    """Ends every command with an exit code. An error is one line on stderr, without a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with one_line(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with one_line(ctx):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:  # fmt: skip
        """Return the command of a command line. Name the program of a command that this group does not have."""
        if args[0] in PROGRAM_ONLY and args[0] not in self.commands:
            instead = f"write `saga {args[0]}`, or `python -m app.cli {args[0]}` in a clone"
            raise click.ClickException(f"{args[0]} is a command of the program `saga`; {instead}.")
        return super().resolve_command(ctx, args)

    def command(  # type: ignore[override]  # as in AppGroup
        self, *names: Any, **options: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Register a command. The command first checks that the service is ready."""
        register = super().command(*names, **options)

        def registered(body: Callable[..., Any]) -> click.Command:
            command: click.Command = register(_after_checks(body))
            return command

        return registered


@click.group(cls=SagaGroup, epilog=EPILOG)
@click.version_option(VERSION, prog_name="saga", message="%(prog)s %(version)s")
@click.option("--verbose", is_flag=True, help="Log lines on stderr (from LOG_LEVEL on), and a fault's traceback.")
def saga(verbose: bool) -> None:
    """Show sagas, start them, and decide about stuck ones.

    The commands use the service's database directly, so they also work while the service does not run.
    """


def _verbose(ctx: click.Context) -> bool:
    return bool(ctx.params.get("verbose")) or (ctx.parent is not None and _verbose(ctx.parent))


def _after_checks(body: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(body)
    def prepared(*arguments: Any, **options: Any) -> Any:
        _log_to_stderr(verbose=_verbose(click.get_current_context()))
        check_database_file(current_app.config["SQLALCHEMY_DATABASE_URI"], writes=False)
        check_ready()
        return body(*arguments, **options)

    return prepared


def _log_to_stderr(*, verbose: bool) -> None:
    """Send the log to stderr if `verbose`; otherwise discard it, because the journal records the same moves."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if not verbose:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_SILENT))


@contextmanager
def one_line(ctx: click.Context) -> Iterator[None]:
    """Turn an error into one line on stderr and an exit code."""
    try:
        yield
        sys.stdout.flush()  # a reader that has ended is noticed here, and not at the end of the process
    except (click.exceptions.Exit, click.Abort, click.exceptions.NoArgsIsHelpError):
        raise
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of the output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        ctx.exit(0)
    except Exception as error:
        text, code = _text_and_code(error)
        if code == FAULT and _verbose(ctx):
            raise
        if isinstance(error, click.UsageError):
            text += f"{'' if text.endswith(('.', '?')) else '.'} See {(error.ctx or ctx).command_path} --help."
        click.echo(f"saga: {printable(text)}", err=True)
        ctx.exit(code)


def _text_and_code(error: Exception) -> tuple[str, int]:
    """Return the line for stderr and the exit code."""
    match error:
        case NotReadyError(__cause__=SQLAlchemyError() as cause):
            return f"{error.detail} ({in_one_line(cause)})", BAD_INPUT
        case ProblemError():
            return _detail(error), _PROBLEMS.get(error.status, FAULT)
        case click.ClickException():
            return error.format_message(), BAD_INPUT
        case ConfigError() | UnicodeEncodeError():  # UnicodeEncodeError: an argument is not UTF-8
            return str(error), BAD_INPUT
        case SQLAlchemyError():
            return f"the database failed: {in_one_line(error)}; {_REMEDIES.get(meaning(error), _CHECK)}", BAD_INPUT
        case _:
            return f"an error in this program: {type(error).__name__}: {error}; --verbose shows more", FAULT


def _detail(error: ProblemError) -> str:
    if not isinstance(error, InvalidError):
        return error.detail
    return "; ".join(f"{wrong['pointer'].strip('/')}: {wrong['detail']}" for wrong in error.members["errors"])
