"""What a version of the signature is: both of its ends, and its layers.

Each version is one file that ends in its `Signature`, and a row of `verify.SIGNATURES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bulkseed.model import Credentials
from bulkseed.wire.encoding import Item
from bulkseed.wire.message import Call, Request
from bulkseed.wire.signing.presented import PresentedSignature


class Signer(Protocol):
    """Turns calls into signed requests for one host with one access key."""

    def __init__(self, host: str, credentials: Credentials, user_agent: str = "bulkseed") -> None: ...

    def sign(self, call: Call, now: float, nonce: str) -> Request:
        """Return the request for one attempt. `now` is in epoch seconds, `nonce` new for every attempt."""
        ...


class Received(NamedTuple):
    """A request, and what its URL and its body were read as."""

    request: Request
    query: list[Item]
    form: list[Item]


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


@dataclass(slots=True, frozen=True)
class Signature:
    """One version. The local KMS asks the rows in turn, and the first that recognises a request reads it.

    `read` returns what the request says about itself, None if it does not conform; `expected` the signature
    that fits what was read, None if nothing fits; `layers` how that signature comes about.
    """

    signer: type[Signer]
    recognises: Callable[[Received], bool]
    read: Callable[[Received], PresentedSignature | None]
    expected: Callable[[Received, PresentedSignature, bytes], str | None]
    layers: Callable[[Received, PresentedSignature, bytes], Layers]

    def __call__(self, host: str, credentials: Credentials, user_agent: str = "bulkseed") -> Signer:
        """Return a signer."""
        return self.signer(host, credentials, user_agent)
