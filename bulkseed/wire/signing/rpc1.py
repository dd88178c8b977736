"""RPC 1.0 HMAC-SHA1, the signature of older clients ("Request signature" page).

Rules that live here:

- Everything, common parameters included, is one set of parameters: those of the query and of the form body
  together, without ``Signature`` itself. Our client puts all of them in the form body.
- Names are sorted by code point and percent-encoded, and the result is percent-encoded once more. The reader
  decodes first and encodes again, because senders differ in how they encode on the wire.
- The key is the access key secret followed by ``&``.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from bulkseed.model import Credentials
from bulkseed.wire.encoding import Item, canonical_items, canonical_query, percent, timestamp
from bulkseed.wire.message import API_VERSION, Call, Request
from bulkseed.wire.signing.presented import PresentedSignature
from bulkseed.wire.signing.signature import Layers, Received, Signature


def canonical_parameters(parameters: Mapping[str, str]) -> str:
    """Layer 1: every parameter but the signature, sorted and encoded."""
    return canonical_query([item for item in parameters.items() if item[0] != "Signature"])


def string_to_sign(method: str, canonical: str) -> str:
    """Layer 2: what is signed."""
    # An encoded form holds three characters that a second encoding changes.
    encoded = canonical.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method}&%2F&{encoded}"


def signature(secret: bytes, text: str) -> str:
    """Layer 3: base64."""
    return base64.b64encode(hmac.digest(secret + b"&", text.encode(), "sha1")).decode()


class Rpc1Signer:
    """Signs calls for one host with one access key; what never changes is prepared once."""

    def __init__(self, host: str, credentials: Credentials, user_agent: str = "bulkseed") -> None:
        self._secret = credentials.access_key_secret.reveal().encode("utf-8", "surrogateescape")
        self._headers = {
            "host": host,
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
            "user-agent": user_agent,
        }
        self._constant = [
            f"AccessKeyId={percent(credentials.access_key_id)}",
            "Format=JSON",
            "SignatureMethod=HMAC-SHA1",
            "SignatureVersion=1.0",
            f"Version={API_VERSION}",
        ]
        if credentials.security_token:
            self._constant.append(f"SecurityToken={percent(credentials.security_token.reveal())}")
        self._second = -1
        self._timestamp = ""

    def sign(self, call: Call, now: float, nonce: str) -> Request:
        """Return the request for one attempt. `now` is in epoch seconds, `nonce` new for every attempt."""
        second = int(now)
        if second != self._second:
            self._second, self._timestamp = second, percent(timestamp(second))
        # A reply in XML is asked for by whoever shows one; all others go with the constant.
        constant = self._constant
        if "Format=" in call.query:
            constant = [pair for pair in constant if pair != "Format=JSON"]
        pairs = [*constant, *f"{call.query}&{call.form}".split("&"), f"Action={call.action}"]
        pairs += f"SignatureNonce={percent(nonce)}", f"Timestamp={self._timestamp}"
        canonical = "&".join(sorted(filter(None, pairs), key=_name))
        signed = percent(signature(self._secret, string_to_sign("POST", canonical)))
        return Request("POST", "", self._headers.copy(), f"{canonical}&Signature={signed}".encode())


def _name(pair: str) -> str:
    return pair.partition("=")[0]  # not the whole pair: "=" comes after the digits and the dot


def read_claim(parameters: Mapping[str, str]) -> PresentedSignature | None:
    """Read what an RPC 1.0 request says about itself; None if it lacks what every request needs."""
    if (
        not parameters.get("AccessKeyId")
        or parameters.get("SignatureMethod") != "HMAC-SHA1"
        or parameters.get("SignatureVersion") != "1.0"
    ):
        return None
    return PresentedSignature(
        access_key_id=parameters["AccessKeyId"],
        signature=parameters["Signature"],
        timestamp=parameters.get("Timestamp", ""),
        nonce=parameters.get("SignatureNonce"),
        security_token=parameters.get("SecurityToken"),
        action=parameters.get("Action", ""),
        version=parameters.get("Version", ""),
    )


def expected_signature(method: str, items: list[Item], secret: bytes) -> str:
    """Compute the signature of a request from all its parameters."""
    canonical = canonical_items([item for item in items if item.name != "Signature"])
    return signature(secret, string_to_sign(method, canonical))


def _parameters(received: Received) -> dict[str, str]:
    return {item.name: item.value for item in (*received.query, *received.form)}


def _read(received: Received) -> PresentedSignature | None:
    return read_claim(_parameters(received))


def _expected(received: Received, _claim: PresentedSignature, secret: bytes) -> str:
    return expected_signature(received.request.method, received.query + received.form, secret)


def _layers(received: Received, _claim: PresentedSignature, secret: bytes) -> Layers:
    canonical = canonical_parameters(_parameters(received))
    text = string_to_sign(received.request.method, canonical)
    return Layers(canonical, "", canonical, text, signature(secret, text))


RPC1 = Signature(Rpc1Signer, lambda received: "Signature" in _parameters(received), _read, _expected, _layers)
