"""The orchestrator, as its own server starts it."""

import os

from app.stopping import on_end
from benchmarks.contenders.saga import make_application

application = make_application(os.environ)
_runner = application.extensions["runner"]
on_end(_runner.stopping.set, application.extensions["threads"], _runner.stopping)
application.extensions["runner"].start()
application.extensions["sagas"].early.start()
application.extensions["post"].start()
