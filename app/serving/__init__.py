"""How `python -m app` passes a request to the application. The HTTP server is the library granian.

bodies          the bodies of requests, with a limit of the time that they may take
front_door      receives each request, and runs it when a thread is free
large_answers   bounds the memory of large answers that their clients do not read
worker_process  connects granian's RSGI server with the front door, in each worker process

granian's WSGI server waits for a body in the request's thread, without a time limit (its issue 728 is closed as "won't
fix"). Its RSGI server can abandon a body. So this package uses the connections of the RSGI server, and runs the WSGI
application in threads. A request without a free thread waits in a queue. A request whose body does not come in time, or
whose body blocks other requests, gets 408. ADR 28 has the reasons and the measurements.
"""

from app.serving.front_door import CONNECTION_BUFFER_BYTES, MAX_CONNECTIONS
from app.serving.worker_process import serve_in_threads, threads_of

__all__ = ["CONNECTION_BUFFER_BYTES", "MAX_CONNECTIONS", "serve_in_threads", "threads_of"]
