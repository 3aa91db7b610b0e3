"""Secrets of webhooks, a settings file, and the check of a signature as a receiver does it."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

OLD = "whsec_" + base64.b64encode(b"the old secret of the shop").decode()
NEW = "whsec_" + base64.b64encode(b"the new secret of the shop").decode()


def verified(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Return True when one of the message's signatures was made with this secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return expected in headers["webhook-signature"].split(" ")


def webhooks_file(folder: Path, text: str, secret: str = OLD) -> Path:
    """Write WEBHOOKS_FILE, and the file `secret` beside it. In `text`, SECRET stands for the path of `secret`."""
    (folder / "secret").write_text(secret)
    file = folder / "webhooks.toml"
    file.write_text(text.replace("SECRET", f'"{folder / "secret"}"'))
    return file
