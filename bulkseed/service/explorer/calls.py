"""Signing a call for the page, and opening a request that was refused: all with the wire's own code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from bulkseed.model import Credentials, SecretValue
from bulkseed.service.explorer.journal import Entry
from bulkseed.wire.actions.codec import shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import canonical_query, parse_form
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call, Request, Response
from bulkseed.wire.samples import SAMPLES
from bulkseed.wire.samples.sketch import secret_parameters, sketch
from bulkseed.wire.signing.layers import as_text, layers, presented
from bulkseed.wire.signing.mistakes import find_mistake, missing
from bulkseed.wire.signing.signature import Layers
from bulkseed.wire.signing.verify import SIGNATURES

_SENTENCES = {
    "acs3": {
        "query": "The parameters of the URL, sorted by name and percent-encoded; a space is %20.",
        "headers": "What is signed of the headers: host, content-type and each x-acs-… header, sorted.",
        "canonical": "Method, path, query, headers, their names, and the body's SHA-256, a line each.",
        "string_to_sign": "The algorithm, and the SHA-256 of the canonical request.",
        "signature": "HMAC-SHA256 of the string to sign; the key is the access key secret. In hex.",
        "request": "What travels: the signature is in Authorization, secret parameters are in the body.",
    },
    "rpc1": {
        "query": "All parameters, of the URL and of the body, sorted by name and percent-encoded.",
        "headers": "RPC 1.0 signs no header.",
        "canonical": "The same text: RPC 1.0 has nothing else in it.",
        "string_to_sign": "Method, path and the canonical text, the last two encoded once more.",
        "signature": "HMAC-SHA1 of the string to sign; the key is the access key secret and &. In Base64.",
        "request": "What travels: the signature is one more parameter of the body.",
    },
}
_TITLES = {
    "query": "Canonical query",
    "headers": "Signed headers",
    "canonical": "Canonical request",
    "string_to_sign": "String to sign",
    "signature": "Signature",
    "request": "The request",
}


@dataclass(frozen=True, slots=True)
class Composer:
    """Where calls go to, and the key that signs them: the root caller's."""

    endpoint: str
    region: str
    credentials: Credentials

    def sign(self, asked: Mapping[str, Any], now: float, nonce: str) -> Request:
        """Return the signed request of a call that a form describes.

        Raises:
            ValueError: it names no action, or holds what is no text.
        """
        call = _read_call(asked)
        if asked.get("format") == "XML":
            items = parse_form(call.query) or []
            call = Call(call.action, canonical_query([*items, ("Format", "XML")]), call.form)
        signer = SIGNATURES[asked["signature"]](urlsplit(self.endpoint).netloc, self.credentials)
        return signer.sign(call, now, nonce)

    def show(self, asked: Mapping[str, Any], now: float, nonce: str) -> dict[str, Any]:
        """Return the layers of a call's signature and the code that makes the call."""
        request = self.sign(asked, now, nonce)
        signature = asked["signature"]
        shown = asdict(layers(request, self._secret())) | {"request": as_text(request)}
        made = sketch(_read_call(asked), self.endpoint, self.region, signature=signature)
        return {
            "layers": [
                {"title": _TITLES[name], "sentence": sentence, "text": shown[name]}
                for name, sentence in _SENTENCES[signature].items()
            ],
            "samples": {name: sample(made) for name, sample in SAMPLES.items()},
        }

    def _secret(self) -> bytes:
        return self.credentials.access_key_secret.reveal().encode()


def _read_call(asked: Mapping[str, Any]) -> Call:
    action, given = asked.get("action"), asked.get("parameters")
    if action not in ACTIONS or asked.get("signature") not in SIGNATURES or not isinstance(given, dict):
        raise ValueError("no call")
    texts = _spell(action, {str(name): str(text) for name, text in given.items()})
    hidden = secret_parameters(action) | {"Policy"}
    query = canonical_query([item for item in texts.items() if item[0] not in hidden])
    form = canonical_query([item for item in texts.items() if item[0] in hidden])
    return Call(action, query, form)


def _spell(action: str, texts: dict[str, str]) -> dict[str, str]:
    """Number the items of lists, of which a form has one on each line; a tag is ``key=value`` there."""
    for f in shape(ACTIONS[action].request):
        if not f.numbered or f.wire not in texts:
            continue
        lines = [line.strip() for line in texts.pop(f.wire).splitlines() if line.strip()]
        for number, line in enumerate(lines, 1):
            if f.kind is str:
                texts[f"{f.wire}.{number}"] = line
            else:
                key, found, value = line.partition("=")
                texts[f"{f.wire}.{number}.Key"] = key
                texts |= {f"{f.wire}.{number}.Value": value} if found else {}
    return texts


def open_refusal(
    entry: Entry, secret_of: Callable[[str], SecretValue | None], *, values: bool
) -> dict[str, Any]:
    """Return what is known about a refused request; without `values` what a value is in is covered.

    `secret_of` gives the secret of an access key by its id.
    """
    request = entry.request
    hidden = _VALUE.search(f"{request.query}\n{request.body.decode(errors='replace')}")
    cover = _cover if not values and (hidden or "x-acs-security-token" in request.headers) else str
    fault = decode_fault(Response(entry.status, {}, entry.refusal))
    found: dict[str, Any] = {
        "number": entry.number,
        "code": fault.code,
        "message": fault.message,
        "missing": missing(request),
        "request": cover(as_text(request)),
    }
    key = None if found["missing"] else secret_of(_key(request))
    if key is None:
        return found
    secret = key.reveal().encode()
    found["sent"] = _sent(request)
    found["ours"] = _rows(layers(request, secret), cover)
    # A mistake without effect (parameters that are sorted anyway) leads to a right signature, too.
    mistake = find_mistake(request, secret) if fault.code == "SignatureDoesNotMatch" else None
    if mistake:
        found["mistake"] = mistake.text
        found["theirs"] = _rows(mistake.layers, cover)
    return found


def _rows(shown: Layers, cover: Callable[[str], str]) -> list[dict[str, str]]:
    return [
        {"title": _TITLES[name], "text": text if name == "signature" else cover(text)}
        for name, text in asdict(shown).items()
    ]


def _key(request: Request) -> str:
    claim = presented(request)
    return claim.access_key_id if claim else _parameters(request).get("AccessKeyId", "")


def _sent(request: Request) -> str:
    claim = presented(request)
    return claim.signature if claim else ""


def _parameters(request: Request) -> dict[str, str]:
    return dict((parse_form(request.query) or []) + (parse_form(request.body) or []))


_SECRET = "|".join(sorted({"SecurityToken"}.union(*map(secret_parameters, ACTIONS))))
_VALUE = re.compile(rf"(?m)((?:^|[&?]|%26)(?:{_SECRET})(?:=|%3D))(?:(?!%26)[^&\s])*")
_TOKEN = re.compile(r"(?mi)^(x-acs-security-token: ?).*$")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
COVERED = "(covered)"


def _cover(text: str) -> str:
    """Take out values, a security token, and hashes that a value is in."""
    return _HASH.sub(COVERED, _TOKEN.sub(rf"\1{COVERED}", _VALUE.sub(rf"\1{COVERED}", text)))
