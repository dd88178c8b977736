"""A second signer, written only from the vendor's documents and sharing no code with bulkseed.

It is plain and slow on purpose: one line here for one sentence there. The stub server checks requests with
it, and the property tests hold bulkseed's own signer against it, so that a mistake which `bulkseed.wire`
makes in both directions cannot hide.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import quote


def encode(text: str) -> str:
    """Percent-encode as UTF-8: only letters, digits and ``- _ . ~`` stay, a space is ``%20``."""
    return quote(text, safe="-_.~", encoding="utf-8")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Sort by name, encode names and values, join."""
    return "&".join(encode(name) + "=" + encode(parameters[name]) for name in sorted(parameters))


def v1_string_to_sign(method: str, parameters: Mapping[str, str]) -> str:
    """RPC 1.0: the method, the encoded path, and the canonical query encoded again."""
    signed = {name: value for name, value in parameters.items() if name != "Signature"}
    return method.upper() + "&" + encode("/") + "&" + encode(canonical_query(signed))


def v1_signature(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """RPC 1.0: base64 of the HMAC-SHA1 with the secret and an ampersand as the key."""
    message = v1_string_to_sign(method, parameters).encode("utf-8")
    digest = hmac.new((secret + "&").encode("utf-8"), message, hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def v3_canonical_request(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    payload: bytes,
) -> str:
    """ACS3: method, path, query, one line for each signed header, their names, hash of the payload."""
    lines = ""
    for name in sorted(signed_headers):
        lines += name + ":" + headers[name].strip() + "\n"
    return "\n".join(
        [
            method.upper(),
            path,
            canonical_query(query),
            lines,
            ";".join(sorted(signed_headers)),
            hashlib.sha256(payload).hexdigest(),
        ]
    )


def v3_signature(canonical_request: str, secret: str) -> str:
    """ACS3: hex of the HMAC-SHA256 over the algorithm's name and the hash of the canonical request."""
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical_request.encode("utf-8")).hexdigest()
    return hmac.new(secret.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).hexdigest()


def v3_required_headers(headers: Mapping[str, str]) -> set[str]:
    """ACS3: the host, the content type if there is one, and every ``x-acs-`` header must be signed."""
    return {"host"} | {name for name in headers if name == "content-type" or name.startswith("x-acs-")}


def v3_authorization(access_key_id: str, signed_headers: Sequence[str], signature: str) -> str:
    """ACS3: the Authorization header."""
    names = ";".join(sorted(signed_headers))
    return f"ACS3-HMAC-SHA256 Credential={access_key_id},SignedHeaders={names},Signature={signature}"
