"""How much one address may ask: RATE_LIMIT, counted in Redis where there is one, else in each process."""

from typing import cast

from flask import Flask
from flask_limiter import Limiter

from app.access.address import counted_address
from app.config import Config
from app.fleeting import TIMEOUT_S

#: Those who watch the service are never turned away.
_WATCHES = ("health.live", "health.ready", "prometheus_metrics")


def install(app: Flask, config: Config) -> None:
    """Answer 429 with Retry-After beyond the limit."""
    assert config.rate_limit
    waits = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    url = config.redis_url or "memory://"
    limiter = Limiter(
        counted_address,
        app=app,
        application_limits=[config.rate_limit],
        storage_uri=f"redis+{url}" if url.startswith("unix") else url,
        storage_options=cast("dict[str, str | int]", waits if config.redis_url else {}),
        in_memory_fallback_enabled=True,
        # Of the requests that find Redis gone at the same moment only one falls back, and the others would fail.
        swallow_errors=True,
        headers_enabled=True,
        key_prefix="saga/limit",
    )
    for endpoint in _WATCHES:
        limiter.exempt(app.view_functions[endpoint])
