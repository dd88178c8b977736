"""How a signed request came about: its canonical form, the string to sign, the signature; layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from bulkseed.wire.encoding import canonical_query, parse_form
from bulkseed.wire.message import Request
from bulkseed.wire.signing import acs3, rpc1


@dataclass(slots=True, frozen=True)
class Layers:
    """What is hashed, what is signed, and the signature as it travels.

    `query` is the canonical query, for RPC 1.0 all parameters; `headers` are the signed ones, a line each.
    The texts hold what the request holds, so they are in no repr.
    """

    query: str = field(repr=False)
    headers: str = field(repr=False)
    canonical: str = field(repr=False)
    string_to_sign: str = field(repr=False)
    signature: str = field(repr=False)


def layers(request: Request, secret: bytes) -> Layers:
    """Return the layers that fit a request when it is signed with `secret`, whatever signature it carries."""
    claim = acs3.read_claim(request) if "authorization" in request.headers else None
    query = parse_form(request.query) or []
    if claim is None:
        canonical = rpc1.canonical_parameters(dict(query + (parse_form(request.body) or [])))
        text = rpc1.string_to_sign(request.method, canonical)
        return Layers(canonical, "", canonical, text, rpc1.signature(secret, text))
    signed = claim.signed_headers
    canonical = acs3.canonical_request(
        request.method,
        request.path,
        canonical_query(query),
        request.headers,
        signed,
        sha256(request.body).hexdigest(),
    )
    text = acs3.string_to_sign(canonical)
    lines = "\n".join(f"{name}:{request.headers[name].strip()}" for name in signed)
    return Layers(canonical_query(query), lines, canonical, text, acs3.signature(secret, text))


def as_text(request: Request) -> str:
    """Return the request as it travels, in lines."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
    return f"{request.method} {target} HTTP/1.1\n{headers}\n{request.body.decode(errors='replace')}"
