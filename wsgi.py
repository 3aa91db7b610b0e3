"""The WSGI application of one process of the service, which also recovers sagas: `python -m app` serves it."""

from app import create_app

application = create_app()
application.extensions["runner"].start()
