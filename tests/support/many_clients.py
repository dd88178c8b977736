"""Signed requests as bytes, written as many different clients write them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

from bulkseed.wire.encoding import canonical_query, percent, timestamp
from bulkseed.wire.message import API_VERSION
from bulkseed.wire.signing import acs3, rpc1
from support.kms import NOW

KEY = ("LTAI-test", "secret-of-the-key")
FORM = "application/x-www-form-urlencoded"


def encode(text: str, style: int) -> str:
    """Encode as clients do: by the rules, in lower case, with plus signs, or with slashes as they are."""
    if style == 1:
        return "".join(part.lower() if part[0] == "%" else part for part in split(percent(text)))
    if style == 2:
        return percent(text).replace("%20", "+")
    return quote(text, safe="/~@" if style == 3 else "~")


def split(text: str) -> list[str]:
    """Return the escapes of an encoded text, and what is between them."""
    parts = text.split("%")
    found = [parts[0]] if parts[0] else []
    for part in parts[1:]:
        found += [f"%{part[:2]}", *([part[2:]] if part[2:] else [])]
    return found


def write(parameters: list[tuple[str, str]], style: int) -> str:
    """Return parameters as a client sends them."""
    return "&".join(f"{encode(name, style)}={encode(value, style)}" for name, value in parameters)


def signed(
    action: str,
    metadata: Mapping[str, str],
    form: Mapping[str, str],
    *,
    signature: str = "acs3",
    style: int = 0,
    nonce: str = "",
    seconds: float = 0,
    secret: str = KEY[1],
) -> bytes:
    """Return a request as one of many clients writes it, `seconds` from now; `style` is how."""
    nonce = nonce or uuid.uuid4().hex
    query, body = list(metadata.items()), list(form.items())
    query = query[style:] + query[:style]
    common = timestamp(NOW + seconds)
    headers = {"Host": "kms.test", "Content-Type": FORM, "User-Agent": f"client {style}"}
    if signature == "rpc1":
        query += [
            ("Action", action),
            ("Version", API_VERSION),
            ("AccessKeyId", KEY[0]),
            ("Timestamp", common),
        ]
        query += [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0"), ("SignatureNonce", nonce)]
        text = rpc1.string_to_sign("POST", canonical_query(query + body))
        query.insert(style, ("Signature", rpc1.signature(secret.encode(), text)))
        if style % 2:
            query, body = [], query + body
    payload = write(body, style).encode()
    if signature == "acs3":
        digest = sha256(payload).hexdigest()
        headers |= {"x-acs-action": action, "x-acs-version": API_VERSION, "x-acs-date": common}
        headers |= {"X-Acs-Signature-Nonce": nonce, "x-acs-content-sha256": digest}
        lower = {name.lower(): value for name, value in headers.items()}
        names = tuple(sorted(name for name in lower if name != "user-agent"))
        canonical = acs3.canonical_request("POST", "/", canonical_query(query), lower, names, digest)
        made = acs3.signature(secret.encode(), acs3.string_to_sign(canonical))
        headers["Authorization"] = (
            f"{acs3.ALGORITHM} Credential={KEY[0]},SignedHeaders={';'.join(names)},Signature={made}"
        )
    lines = list({**headers, "Content-Length": str(len(payload))}.items())
    lines = lines[style:] + lines[:style]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    target = f"/?{write(query, style)}" if query else "/"
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + payload
