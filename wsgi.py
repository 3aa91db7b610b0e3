"""The WSGI application of one process of the service, which also recovers sagas and carries events.

`python -m app` serves it.
"""

import os
import sys

from app import create_app
from app.config import ConfigError, check_serving, from_environment
from app.database_file import check_database_file
from app.stopping import on_end
from app.store.alone import hold, tell_ending

try:
    _config = from_environment(os.environ)
    check_serving(_config)
    check_database_file(_config.database_url, writes=True)
    _alone = hold(_config.database_url)
    application = create_app(_config)
except ConfigError as error:
    sys.stderr.write(f"saga: {error}\n")
    sys.exit(2)
_runner = application.extensions["runner"]


def _stop() -> None:
    _runner.stopping.set()
    tell_ending(_alone)


on_end(_stop, application.extensions["threads"], _runner.stopping)
try:
    _runner.start()
except ConfigError as error:  # sagas run by another table
    sys.stderr.write(f"saga: {error}\n")
    sys.exit(2)
application.extensions["sagas"].early.start()
application.extensions["post"].start()
