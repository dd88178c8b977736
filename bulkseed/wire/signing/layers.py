"""How a signed request came about: its canonical form, the string to sign, the signature; layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Request
from bulkseed.wire.signing import acs3, rpc1


@dataclass(slots=True, frozen=True)
class Layers:
    """What is hashed, what is signed, and the signature as it travels."""

    canonical: str
    string_to_sign: str
    signature: str


def layers(request: Request, secret: bytes) -> Layers:
    """Return the layers of a request that one of our signers made with `secret`."""
    claim = acs3.read_claim(request) if "authorization" in request.headers else None
    if claim is not None:
        canonical = acs3.canonical_request(
            request.method,
            request.path,
            request.query,
            request.headers,
            claim.signed_headers,
            request.headers["x-acs-content-sha256"],
        )
        text = acs3.string_to_sign(canonical)
        return Layers(canonical, text, acs3.signature(secret, text))
    canonical = rpc1.canonical_parameters(dict(parse_form(request.body) or ()))
    text = rpc1.string_to_sign(request.method, canonical)
    return Layers(canonical, text, rpc1.signature(secret, text))
