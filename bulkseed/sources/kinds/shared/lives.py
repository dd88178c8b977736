"""How long the credentials of a source live, in words, for a check-up."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from bulkseed.humanize import duration


def lives(expires_at: float | None) -> str:
    """Say how long something lives that ends at an epoch time; None: it has no end."""
    if expires_at is None:
        return "does not expire"
    left = int(expires_at - time.time())
    return f"lives for {duration(left)}" if left > 0 else "has expired"


def claims_of(token: str) -> Mapping[str, Any]:
    """Return what a JWT says, unverified; nothing for a token that is none."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
