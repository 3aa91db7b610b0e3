"""The way of a request to the application in `python -m app`.

bodies          the bodies of requests, with a limit on the time that they may take
front_door      receives each request, and runs it when there is room
worker_process  connects granian's RSGI server with the front door, in each worker process

granian's WSGI server waits for a body in the request's thread, without a time limit (upstream issue 728 is closed as
"won't fix"). Its RSGI server can abandon a body, so its connections are used here, with WSGI threads. A request runs
only when there is room for it, and otherwise waits without a thread. A body that does not come in time, or that blocks
others, is answered with 408. ADR 28 has the reasons and the measurements.
"""

from app.serving.front_door import MAX_CONNECTIONS
from app.serving.worker_process import serve_in_threads, threads_of

__all__ = ["MAX_CONNECTIONS", "serve_in_threads", "threads_of"]
