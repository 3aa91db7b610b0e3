"""One order of four calls, each contender in its own way; every one is a WSGI application on the same server."""
