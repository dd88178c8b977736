"""What a signed request says about itself, before anybody believes it: one shape for both signatures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PresentedSignature:
    """Read from a request and not verified yet. `timestamp` is text as sent, `nonce` None when absent.

    `signed_headers` are the names in the order sent; RPC 1.0 signs no header.
    """

    access_key_id: str
    signature: str
    timestamp: str
    nonce: str | None
    security_token: str | None
    action: str
    version: str
    signed_headers: tuple[str, ...] = ()
