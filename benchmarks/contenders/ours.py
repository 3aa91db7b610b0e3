"""The orchestrator, as its own server starts it."""

import os

from app.stopping import on_end
from benchmarks.contenders.saga import make_application

application = make_application(os.environ)
on_end(application.extensions["runner"].stopping.set)
application.extensions["runner"].start()
application.extensions["post"].start()
