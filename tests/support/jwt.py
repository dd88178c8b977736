"""Tokens that say whose they are, which nobody has signed."""

from __future__ import annotations

import base64
import json


def jwt(head: str, **claims: object) -> str:
    """Return a token of three parts, the second of which has claims."""
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"
