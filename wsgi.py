"""The WSGI application of one process of the service, which also recovers sagas and carries events.

`python -m app` serves it.
"""

from app import create_app
from app.stopping import on_end

application = create_app()
_runner = application.extensions["runner"]
on_end(_runner.stopping.set)
_runner.start()
application.extensions["post"].start()
