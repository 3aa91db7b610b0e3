"""The WSGI application of one process. The process also claims due sagas, and publishes and receives events.

`python -m app` serves it.
"""

import os
import sys

from app import create_app
from app.config import ConfigError, check_serving, from_environment
from app.service_threads import on_stop_signal
from app.services import services
from app.store.sqlite_file import announce_ending, check_database_file, hold

try:
    _config = from_environment(os.environ)
    check_serving(_config)
    check_database_file(_config.database_url, writes=True)
    _alone = hold(_config.database_url)
    application = create_app(_config)
except ConfigError as error:
    sys.stderr.write(f"saga: {error}\n")
    sys.exit(2)
_services = services(application)
_runner = _services.runner


def _stop() -> None:
    _runner.stopping.set()
    announce_ending(_alone)


on_stop_signal(_stop, _services.threads, _runner.stopping)
try:
    _runner.start()
except ConfigError as error:  # sagas that run by another table
    sys.stderr.write(f"saga: {error}\n")
    sys.exit(2)
_services.sagas.early_commits.start()
_services.events.start()
_services.bulk_thread.start()
if _services.notifier_thread:
    _services.notifier_thread.start()
if _services.retention_thread:
    _services.retention_thread.start()
