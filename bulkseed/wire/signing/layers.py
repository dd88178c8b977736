"""How a signed request came about: its canonical form, the string to sign, the signature; layer by layer."""

from __future__ import annotations

from bulkseed.wire.encoding import Item, read_items
from bulkseed.wire.message import Request
from bulkseed.wire.signing.presented import PresentedSignature
from bulkseed.wire.signing.signature import Layers, Received
from bulkseed.wire.signing.verify import recognise


def layers(request: Request, secret: bytes) -> Layers:
    """Return the layers that fit a request when it is signed with `secret`, whatever signature it carries.

    Raises:
        ValueError: it carries none.
    """
    received = _received(request)
    signature = recognise(received)
    claim = signature.read(received) if signature else None
    if signature is None or claim is None:
        raise ValueError("the request is not signed")
    return signature.layers(received, claim, secret)


def presented(request: Request) -> PresentedSignature | None:
    """Return what a request says about itself, None if it is not signed."""
    received = _received(request)
    signature = recognise(received)
    return signature.read(received) if signature else None


def _received(request: Request) -> Received:
    return Received(request, _items(request.query), _items(request.body))


def _items(text: str | bytes) -> list[Item]:
    return read_items(text) or []


def as_text(request: Request) -> str:
    """Return the request as it travels, in lines."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
    return f"{request.method} {target} HTTP/1.1\n{headers}\n{request.body.decode(errors='replace')}"
