"""Keys for HMACs, derived from SECRET_KEY. Each purpose has a key of its own."""

import hmac


def derived_key(secret_key: str, purpose: bytes) -> bytes:
    """Return the key of a purpose, 32 bytes."""
    return hmac.digest(secret_key.encode(), purpose, "sha256")
