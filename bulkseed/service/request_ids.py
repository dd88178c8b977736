"""Request ids, and refusals that carry one."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.storage.randomness import random_bytes
from bulkseed.wire.fault import respond
from bulkseed.wire.message import Response


def new_request_id() -> str:
    """Return a request id in the form of a UUID."""
    text = random_bytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def refuse(refusal: Fault, format: str = "JSON") -> Response:  # noqa: A002  # the parameter's name in the API
    """Return the response that tells `refusal`, with a request id of its own."""
    named = Fault(refusal.code, refusal.status, refusal.message, new_request_id(), refusal.retry_after)
    return respond(named, format)
