"""The check whether this process can do its work. /ready runs the check, and every command runs it first."""

from functools import cache
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from app.errors import NotReadyError
from app.services import services
from app.store.database_errors import Meaning, meaning

_MIGRATE = "run `flask --app app db upgrade`"
#: Folder of the migrations, also of an installed service.
MIGRATIONS = Path(__file__).parents[1] / "migrations"


def check_ready() -> None:
    """Raise NotReadyError when this process cannot do its work.

    The database must answer, have the tables of this release or of a later one, and accept writes of this process.
    Every service thread of this process must work.
    """
    try:
        found = services().schema()
    except SQLAlchemyError as error:
        if meaning(error) is Meaning.NOT_MIGRATED:
            raise NotReadyError(f"the database has no tables; {_MIGRATE}") from error
        raise NotReadyError("the database cannot be read; check DATABASE_URL and that it runs") from error
    # A later migration has a larger number. It only adds tables and columns, so this release works with it, too.
    if found.migration is None or found.migration < _newest_migration():
        raise NotReadyError(f"the database is at migration {found.migration}, not {_newest_migration()}; {_MIGRATE}")
    if found.encoding != "UTF8":
        raise NotReadyError(f"the database is encoded in {found.encoding}, and must be in UTF8 to keep every text")
    if found.missing_right:
        raise NotReadyError(f"the database user lacks the right {found.missing_right}; grant it to the role")
    if error_text := services().runner.heartbeat.last_error:
        raise NotReadyError(f"the database does not take writes: {error_text}")
    if error_text := services().threads.failure:
        raise NotReadyError(f"{error_text}; the log says why, and a restart may help")


@cache
def _newest_migration() -> str:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  takes 0.2 s, so it is imported only when needed

    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""
