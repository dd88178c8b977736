"""ACS3-HMAC-SHA256, the signature that the vendor's current SDK uses for KMS.

Rules that live here (V3 request structure and signature page; SDK 3.3.1):

- Metadata travels in the URL query, values in the form body; action, version, date, nonce and the body's
  SHA-256 in ``x-acs-*`` headers.
- Signed are host, content-type when there is one, and every ``x-acs-*`` header. A sender may sign more: the
  reader rebuilds the canonical request from the list of signed headers that it was given.
- The key is the access key secret as it is. Only this page's form of the Authorization header is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

from bulkseed.errors import CredentialsError
from bulkseed.model import Credentials
from bulkseed.wire.encoding import Item, canonical_items, timestamp
from bulkseed.wire.message import API_VERSION, Call, Request, WrittenRequest
from bulkseed.wire.signing.presented import PresentedSignature
from bulkseed.wire.signing.signature import Layers, Received, Signature

ALGORITHM = "ACS3-HMAC-SHA256"
_BLOCK_BYTES = 64  # of SHA-256
_FORM = "application/x-www-form-urlencoded"
_AUTHORIZATION = re.compile(ALGORITHM + " Credential=([^,]+),SignedHeaders=([^,]+)")


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed: tuple[str, ...], payload_hash: str
) -> str:
    """Layer 1: what is hashed. `query` is canonical, `signed` sorted; header names are lower-case."""
    lines = "".join([f"{name}:{headers[name].strip()}\n" for name in signed])
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(signed)}\n{payload_hash}"


def string_to_sign(canonical: str) -> str:
    """Layer 2: what is signed."""
    # Header bytes that are not UTF-8 arrive as surrogates: they match nothing, and must not raise.
    return string_of(sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest())


def string_of(digest: str) -> str:
    """Return what is signed for a canonical request with this hash, in lower-case hex."""
    return f"{ALGORITHM}\n{digest}"


def signature(secret: bytes, text: str) -> str:
    """Layer 3: lower-case hex."""
    return prepared(secret).of(text)


class PreparedHmac:
    """HMAC (RFC 2104) with the key prepared: a copy of Python's own object takes half as long again."""

    def __init__(self, secret: bytes) -> None:
        key = (sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(key.translate(_INNER))
        self._outer = sha256(key.translate(_OUTER))

    def of(self, text: str) -> str:
        """Return the code of `text`, in lower-case hex."""
        inner = self._inner.copy()
        inner.update(text.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
prepared = lru_cache(maxsize=16)(PreparedHmac)  # a service asks for the same few again and again


class Acs3Signer:
    """Signs calls for one host with one access key; what never changes is prepared once."""

    def __init__(
        self,
        host: str,
        credentials: Credentials,
        user_agent: str = "bulkseed",
        api_version: str = API_VERSION,
    ) -> None:
        key_id, token = credentials.access_key_id, credentials.security_token
        for text in (key_id, token.reveal() if token else ""):
            if not (text.isascii() and text.isprintable()):
                raise CredentialsError(
                    "the access key id or the security token holds a line break or the like"
                )
        if not (host + user_agent).isprintable():
            raise ValueError("the host or the user agent holds a line break or the like")
        secret = credentials.access_key_secret.reveal().encode("utf-8", "surrogateescape")
        self._hmac = PreparedHmac(secret)
        constant = {
            "host": host,
            "accept": "application/json",
            "content-type": _FORM,
            "user-agent": user_agent,
            "x-acs-version": api_version,
        }
        signed = ["content-type", "host", "x-acs-action", "x-acs-content-sha256", "x-acs-date"]
        signed += ["x-acs-signature-nonce", "x-acs-version"]
        id_line = token_line = ""
        if token:
            constant |= {"x-acs-accesskey-id": key_id, "x-acs-security-token": token.reveal()}
            signed = sorted([*signed, "x-acs-accesskey-id", "x-acs-security-token"])
            id_line = f"x-acs-accesskey-id:{key_id}\n"
            token_line = f"x-acs-security-token:{token.reveal()}\n"
        names = ";".join(signed)
        self._before_action = f"content-type:{_FORM}\nhost:{host}\n{id_line}x-acs-action:"
        self._before_nonce = f"\n{token_line}x-acs-signature-nonce:"
        self._after_nonce = f"\nx-acs-version:{api_version}\n\n{names}\n"
        self._authorization = f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature="
        self._fields = "".join(f"{name}: {text}\r\n" for name, text in constant.items())
        self._second = -1
        self._date = ""

    def sign(self, call: Call, now: float, nonce: str) -> Request:
        """Return the request for one attempt. `now` is in epoch seconds, `nonce` new for every attempt.

        Raises:
            ValueError: the query holds a line break.
        """
        if "\n" in call.query or "\r" in call.query:
            raise ValueError("the query holds a line break")
        second = int(now)
        if second != self._second:
            self._second, self._date = second, timestamp(second)
        body = call.form.encode()
        payload_hash = sha256(body).hexdigest()
        canonical = (
            f"POST\n/\n{call.query}\n{self._before_action}{call.action}\nx-acs-content-sha256:{payload_hash}\n"
            f"x-acs-date:{self._date}{self._before_nonce}{nonce}{self._after_nonce}{payload_hash}"
        )
        signed = self._hmac.of(string_to_sign(canonical))
        head = (  # in one go: to make a dictionary of headers and then its lines takes four times as long
            f"POST {'/?' if call.query else '/'}{call.query} HTTP/1.1\r\n{self._fields}"
            f"x-acs-action: {call.action}\r\nx-acs-date: {self._date}\r\nx-acs-signature-nonce: {nonce}\r\n"
            f"x-acs-content-sha256: {payload_hash}\r\nauthorization: {self._authorization}{signed}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return WrittenRequest.of(call.query, head, body)


def read_claim(request: Request) -> PresentedSignature | None:
    """Read what an ACS3 request says about itself; None if it does not conform to the V3 page."""
    headers = request.headers
    parts = _read_authorization(headers["authorization"])
    if parts is None:
        return None
    (key_id, signed), given = parts
    if not covers(signed, tuple(headers), has_body=bool(request.body)):
        return None
    return PresentedSignature(
        access_key_id=key_id,
        signature=given,
        timestamp=headers.get("x-acs-date", ""),
        nonce=headers["x-acs-signature-nonce"],
        security_token=headers.get("x-acs-security-token"),
        action=headers.get("x-acs-action", ""),
        version=headers.get("x-acs-version", ""),
        signed_headers=signed,
    )


def expected_signature(
    request: Request, query: list[Item], claim: PresentedSignature, secret: bytes
) -> str | None:
    """Compute the signature that fits `request`, whose query was read; None if its body has another hash."""
    headers = request.headers
    payload_hash = sha256(request.body).hexdigest()
    if payload_hash != headers["x-acs-content-sha256"]:
        return None
    canonical = canonical_request(
        request.method,
        request.path,
        canonical_items(query),
        headers,
        claim.signed_headers,
        payload_hash,
    )
    return signature(secret, string_to_sign(canonical))


def signed_names(authorization: str) -> tuple[str, ...] | None:
    """Return the names of the signed headers; None if the header has another form."""
    parts = _read_authorization(authorization)
    return None if parts is None else parts[0][1]


def _read_authorization(text: str) -> tuple[tuple[str, tuple[str, ...]], str] | None:
    """Return the access key id and the signed headers, and the signature; None for any other form."""
    before, found, given = text.partition(",Signature=")
    credential = _read_credential(before)
    return None if credential is None or not found or "," in given else (credential, given)


@lru_cache(maxsize=64)  # a client signs the same headers in every request
def _read_credential(text: str) -> tuple[str, tuple[str, ...]] | None:
    match = _AUTHORIZATION.fullmatch(text)
    return None if match is None else (match[1], tuple(match[2].split(";")))


@lru_cache(maxsize=64)  # likewise
def covers(signed: tuple[str, ...], names: tuple[str, ...], *, has_body: bool) -> bool:
    """True if all that must be there is there, and all that must be signed is signed.

    The content type of no content need not be: below the SDK, aiohttp adds one after signing (SDK 3.3.1).
    """
    needed = {"host", "x-acs-content-sha256", "x-acs-signature-nonce", *signed}
    if not needed <= set(names):
        return False
    unsigned = set(names) - set(signed)
    return not any(
        name.startswith("x-acs-") or name == "host" or (name == "content-type" and has_body)
        for name in unsigned
    )


def _read(received: Received) -> PresentedSignature | None:
    return read_claim(received.request)


def _expected(received: Received, claim: PresentedSignature, secret: bytes) -> str | None:
    return expected_signature(received.request, received.query, claim, secret)


def _layers(received: Received, claim: PresentedSignature, secret: bytes) -> Layers:
    request, query = received.request, canonical_items(received.query)
    payload_hash = sha256(request.body).hexdigest()
    canonical = canonical_request(
        request.method, request.path, query, request.headers, claim.signed_headers, payload_hash
    )
    text = string_to_sign(canonical)
    lines = "\n".join(f"{name}:{request.headers[name].strip()}" for name in claim.signed_headers)
    return Layers(query, lines, canonical, text, signature(secret, text))


ACS3 = Signature(
    Acs3Signer, lambda received: "authorization" in received.request.headers, _read, _expected, _layers
)
