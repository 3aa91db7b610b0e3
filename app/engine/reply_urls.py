"""The URL at which a participant answers a step later. It contains an unguessable token, so it needs no API key.

The token is an HMAC over the idempotency key of the step's call, which names the saga and the step. The token is the
same at each attempt and in each process, and is not stored. The key of the HMAC is derived from SECRET_KEY.
"""

import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

from app.config import Config
from app.derived_keys import derived_key
from machines.references import idempotency_key
from machines.transitions import Direction

#: Path of the answers; the saga's id, the step's name and the token follow.
PATH = "/api/v1/replies"
_PURPOSE = b"saga-reply-to"


def reply_url(config: Config, saga_id: UUID, step: str) -> str:
    """Return the URL of a step. PUBLIC_URL and SECRET_KEY must be set, see `app.config.check_callbacks`."""
    return f"{config.public_url}{PATH}/{saga_id}/{step}/{_token(config, saga_id, step)}"


def is_token(config: Config, saga_id: UUID, step: str, token: str) -> bool:
    """Return True when this is the token of the step. The comparison takes the same time for each wrong token."""
    return config.secret_key is not None and hmac.compare_digest(
        _token(config, saga_id, step).encode(), token.encode("utf-8", "replace")
    )


def _token(config: Config, saga_id: UUID, step: str) -> str:
    assert config.secret_key is not None
    key = derived_key(config.secret_key, _PURPOSE)
    code = hmac.digest(key, idempotency_key(str(saga_id), step, Direction.DO).encode(), "sha256")
    return urlsafe_b64encode(code).decode().rstrip("=")
