"""Who works on the command line, as the journal and the audit trail name it."""

import getpass
import os

from marshmallow import ValidationError

from app.errors import MalformedError
from app.views.validation import storable


def who(actor: str | None = None) -> str:
    """Give `cli:NAME`; by default the login name."""
    try:
        name = getpass.getuser() if actor is None else actor
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    try:
        storable(name)
    except ValidationError as error:
        raise MalformedError(f"--actor: {error}") from None
    if not name.strip():
        raise MalformedError("--actor: it is empty; give a name")
    return f"cli:{name}"
