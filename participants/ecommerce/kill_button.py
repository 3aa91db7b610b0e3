"""The button that kills the orchestrator, in a shop that names the orchestrator's process group, as the demo does."""

import os
import signal
from http import HTTPStatus
from pathlib import Path

from flask import Response
from werkzeug.exceptions import Conflict, NotFound

from participants.ecommerce.routes import routes, shop

#: A process group that no system has: the largest process id of Linux is 4,194,304.
_NONE = 2**31 - 1


@routes.post("/kill")
def kill() -> Response:
    """Kill the orchestrator. The browser stays on its page, which shows that the orchestrator is away."""
    file = shop().settings.group_file
    if file is None:
        raise NotFound("This shop kills nothing.")
    group = _group(file)
    try:
        # 0 and 1 would name the group of the shop and that of all processes.
        os.killpg(group if group > 1 else _NONE, signal.SIGKILL)
    except (OSError, OverflowError):
        raise Conflict("The orchestrator does not run at the moment; wait until it is back.") from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _group(file: Path) -> int:
    """Return the process group in the file; _NONE when there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return _NONE
