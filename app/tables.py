"""The tables of machines/, read when a process starts: one that is wrong is a setting that is wrong."""

from app.settings import ConfigError
from machines.registry import BadTablesError, Registry, discover


def read_tables() -> Registry:
    """Return all definitions, or raise ConfigError with one line that names the table, its mistake and the remedy."""
    try:
        return discover()
    except BadTablesError as error:
        raise ConfigError(str(error)) from error
