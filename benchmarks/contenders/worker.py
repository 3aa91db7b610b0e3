"""A Celery worker that knows the order's definition: `celery -A benchmarks.contenders.worker worker`."""

import os
from functools import cache

from flask import Flask

from app import worker
from benchmarks.contenders.saga import make_application

celery = worker.celery


@cache
def application() -> Flask:
    return make_application(os.environ)


worker.application = application
