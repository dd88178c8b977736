"""Why a signature is refused: what the request lacks, or the mistake that gives the very signature sent.

Everybody who writes a client makes one of a few mistakes. Each is tried in turn; the one that leads to the
signature that arrived is what the client did.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote_plus

from bulkseed.wire.encoding import canonical_query, parse_form, percent
from bulkseed.wire.message import Request
from bulkseed.wire.signing import acs3, rpc1
from bulkseed.wire.signing.signature import Layers


class Mistake(NamedTuple):
    """What a client did, in a sentence, and the layers that it made in doing so."""

    text: str
    layers: Layers


def missing(request: Request) -> list[str]:
    """Return what keeps a request from being a signed one at all; empty when nothing does."""
    headers = request.headers
    if "authorization" in headers:
        if (names := acs3.signed_names(headers["authorization"])) is None:
            return ["Authorization is not: ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…"]
        needed = dict.fromkeys(("host", "x-acs-content-sha256", "x-acs-signature-nonce", *names))
        absent = [f"the header {name} is missing" for name in needed if name not in headers]
        loose = [n for n in headers if n not in names and (n.startswith("x-acs-") or n == "host")]
        if request.body and "content-type" in headers and "content-type" not in names:
            loose.append("content-type")
        return absent + [f"the header {name} is not signed" for name in loose]
    parameters = dict(_parameters(request))
    if "Signature" not in parameters:
        return ["there is neither an Authorization header (ACS3) nor a parameter Signature (RPC 1.0)"]
    wanted = {"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0"}
    problems = [f"{name} is not {value}" for name, value in wanted.items() if parameters.get(name) != value]
    return problems if parameters.get("AccessKeyId") else [*problems, "AccessKeyId is missing"]


def find_mistake(request: Request, secret: bytes) -> Mistake | None:
    """Return the mistake that leads to the signature of `request`, if it is one of the usual ones."""
    if "authorization" in request.headers:
        claim = acs3.read_claim(request)
        tried = _acs3_mistakes(request, claim.signed_headers, secret) if claim else iter(())
    else:
        parameters = dict(_parameters(request))
        claim = rpc1.read_claim(parameters) if "Signature" in parameters else None
        tried = _rpc1_mistakes(request, parameters, secret)
    if claim is None:
        return None
    return next((mistake for mistake in tried if mistake.layers.signature == claim.signature), None)


def _acs3_mistakes(request: Request, signed: tuple[str, ...], secret: bytes) -> Iterator[Mistake]:
    query = parse_form(request.query) or []
    right = {
        "method": request.method,
        "path": request.path,
        "query": canonical_query(query),
        "payload": sha256(request.body).hexdigest(),
    }
    sent_hash = request.headers["x-acs-content-sha256"]
    everything = canonical_query([*query, *(parse_form(request.body) or [])])
    changes = {
        "the body's hash is not that of the body which was sent": {"payload": sent_hash},
        "the query is signed as it is sent, not sorted and encoded anew": {"query": request.query},
        "spaces are + in the signed query, not %20": {"query": _plus(query)},
        "the parameters are signed in the order sent, not sorted": {"query": _unsorted(query)},
        "no query is signed": {"query": ""},
        "the parameters of the body are signed as a query": {"query": everything},
        "an empty body's hash is signed": {"payload": sha256(b"").hexdigest()},
        "another method is signed than the one sent": {"method": _other(request.method)},
        "the path is signed as an empty text, not as /": {"path": ""},
    }
    for text, change in changes.items():
        part = right | change
        yield _acs3_layers(text, request.headers, part, signed, secret)
    host = request.headers.get("host", "")
    without_port = request.headers | {"host": host.rpartition(":")[0] or host}
    yield _acs3_layers("host is signed without its port", without_port, right, signed, secret)
    text = "the key has & at its end, as in RPC 1.0"
    yield _acs3_layers(text, request.headers, right, signed, secret + b"&")
    whole = _acs3_layers("", request.headers, right, signed, secret).layers
    plain = f"{acs3.ALGORITHM}\n{whole.canonical}"
    made = acs3.signature(secret, plain)
    text = "the canonical request itself is signed, not its SHA-256"
    yield Mistake(text, Layers(whole.query, whole.headers, whole.canonical, plain, made))


def _acs3_layers(
    text: str, headers: dict[str, str], part: dict[str, str], signed: tuple[str, ...], secret: bytes
) -> Mistake:
    canonical = acs3.canonical_request(
        part["method"], part["path"], part["query"], headers, signed, part["payload"]
    )
    to_sign = acs3.string_to_sign(canonical)
    lines = "\n".join(f"{name}:{headers[name].strip()}" for name in signed)
    made = acs3.signature(secret, to_sign)
    return Mistake(text, Layers(part["query"], lines, canonical, to_sign, made))


def _rpc1_mistakes(request: Request, parameters: dict[str, str], secret: bytes) -> Iterator[Mistake]:
    items = [item for item in parameters.items() if item[0] != "Signature"]
    right = rpc1.canonical_parameters(parameters)
    query = [item for item in parse_form(request.query) or [] if item[0] != "Signature"]
    body = [item for item in parse_form(request.body) or [] if item[0] != "Signature"]
    canonicals = {
        "spaces are + in the signed text, not %20": _plus(items),
        "the parameters are signed in the order sent, not sorted": _unsorted(items),
        "~ is encoded as %7E": right.replace("~", "%7E"),
        "* is not encoded as %2A": right.replace("%2A", "*"),
        "only the parameters of the query are signed": canonical_query(query),
        "only the parameters of the body are signed": canonical_query(body),
        "nothing is percent-encoded before it is joined": "&".join(f"{n}={v}" for n, v in sorted(items)),
    }
    key, method = secret + b"&", request.method
    for text, canonical in canonicals.items():
        yield _rpc1_layers(text, canonical, f"{method}&%2F&{percent(canonical)}", key)
    signed = rpc1.string_to_sign(method, right)
    yield _rpc1_layers("the key lacks & at its end", right, signed, secret)
    texts = {
        f"{_other(method)} is signed, {method} is sent": rpc1.string_to_sign(_other(method), right),
        "the canonical query is not encoded a second time": f"{method}&%2F&{right}",
        "the path is signed as /, not as %2F": signed.replace("&%2F&", "&/&", 1),
    }
    for text, to_sign in texts.items():
        yield _rpc1_layers(text, right, to_sign, key)


def _rpc1_layers(text: str, canonical: str, to_sign: str, key: bytes) -> Mistake:
    made = b64encode(hmac.digest(key, to_sign.encode(), "sha1")).decode()
    return Mistake(text, Layers(canonical, "", canonical, to_sign, made))


def _other(method: str) -> str:
    return "GET" if method == "POST" else "POST"


def _plus(items: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(items))


def _unsorted(items: list[tuple[str, str]]) -> str:
    return "&".join(canonical_query([item]) for item in items)


def _parameters(request: Request) -> list[tuple[str, str]]:
    return (parse_form(request.query) or []) + (parse_form(request.body) or [])
