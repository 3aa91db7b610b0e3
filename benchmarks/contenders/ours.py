"""The orchestrator as a contender. It starts the same threads as in production (wsgi.py)."""

import os

from app.service_threads import on_stop_signal
from app.services import services
from benchmarks.contenders.saga import make_application

application = make_application(os.environ)
_runner = services(application).runner
on_stop_signal(_runner.stopping.set, services(application).threads, _runner.stopping)
services(application).runner.start()
services(application).sagas.early_commits.start()
services(application).events.start()
