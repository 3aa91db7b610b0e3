"""The limit of requests per address (RATE_LIMIT), counted in Redis where there is one, else in each process."""

from typing import cast

from flask import Flask
from flask_limiter import Limiter

from app.access.address import counted_address
from app.config import Config
from app.shared_cache import TIMEOUT_S

#: Endpoints of probes and of Prometheus, which have no limit.
_EXEMPT = ("health.live", "health.ready", "prometheus_metrics")


def install(app: Flask, config: Config) -> None:
    """Answer 429 with Retry-After to requests beyond the limit."""
    assert config.rate_limit
    timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    url = config.redis_url or "memory://"
    limiter = Limiter(
        counted_address,
        app=app,
        application_limits=[config.rate_limit],
        storage_uri=f"redis+{url}" if url.startswith("unix") else url,
        storage_options=cast("dict[str, str | int]", timeouts if config.redis_url else {}),
        in_memory_fallback_enabled=True,
        # When Redis fails, one request switches to the memory; requests at the same moment would fail otherwise.
        swallow_errors=True,
        headers_enabled=True,
        key_prefix="saga/limit",
    )
    for endpoint in _EXEMPT:
        limiter.exempt(app.view_functions[endpoint])
