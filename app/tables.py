"""Reads the tables of machines/ at process start; an illegal table is reported like an illegal setting."""

from app.settings import ConfigError
from machines.registry import BadTablesError, Registry, discover


def read_tables() -> Registry:
    """Return all definitions. Raise ConfigError with one line that names the table, its problem and the remedy."""
    try:
        return discover()
    except BadTablesError as error:
        raise ConfigError(str(error)) from error
