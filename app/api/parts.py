"""What an answer has that every contract gives."""

from flask import Response


def pointing(answer: Response, where: str, *, replayed: bool) -> Response:
    """Tell where the saga is found, and whether its key had begun it before."""
    answer.headers["Location"] = where
    if replayed:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer
