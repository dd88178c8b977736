"""Samples for a shell: curl with its own signature, and the line of a manifest."""

from __future__ import annotations

import json

from bulkseed.wire.encoding import percent
from bulkseed.wire.message import API_VERSION
from bulkseed.wire.samples.sketch import KEY_ID, KEY_SECRET, TOKEN, Sketch, variable

_FORM = "application/x-www-form-urlencoded"
_ENCODE = (
    "encode() { perl -e '$_ = $ENV{$ARGV[0]}; s/([^A-Za-z0-9\\-_.~])/sprintf \"%%%02X\", ord $1/ge; print' "
    '"$1"; }'
)
_SHA256 = "sha256() { perl -MDigest::SHA=sha256_hex -e 'print sha256_hex(join \"\", <STDIN>)'; }"


def curl(sketch: Sketch) -> str:
    """Return a script for sh that signs the call and sends it; it needs perl and curl.

    Neither the key nor a value is in a command line, where other users could read it: perl has the
    environment, and curl reads everything from its standard input.
    """
    names = [KEY_ID, KEY_SECRET, *[TOKEN] * sketch.temporary, *map(variable, sketch.secrets)]
    checks = "\n".join(f': "${{{name}:?is not set}}"' for name in names)
    lines = [checks, f"export {' '.join(names)}", _ENCODE]
    return "\n".join([*lines, *(_rpc1(sketch) if sketch.signature == "rpc1" else _acs3(sketch))])


def _acs3(sketch: Sketch) -> list[str]:
    query = "&".join(f"{name}={percent(text)}" for name, text in sorted(sketch.parameters.items()))
    body = "&".join(f"{name}=$(encode {variable(name)})" for name in sketch.secrets)
    headers = {
        "content-type": _FORM,
        "host": sketch.host,
        "x-acs-action": sketch.action,
        "x-acs-content-sha256": "$hash",
        "x-acs-date": "$date",
        **({"x-acs-security-token": f"${TOKEN}"} if sketch.temporary else {}),
        "x-acs-signature-nonce": "$nonce",
        "x-acs-version": API_VERSION,
    }
    signed = ";".join(headers)
    canonical = "\n".join(f"{name}:{value}" for name, value in headers.items())
    authorization = f"ACS3-HMAC-SHA256 Credential=${KEY_ID},SignedHeaders={signed},Signature=$signature"
    return [
        _SHA256,
        _hmac("hmac_sha256_hex", f"$ENV{{{KEY_SECRET}}}"),
        f'query="{query}"',
        f'body="{body}"',
        'hash=$(printf %s "$body" | sha256)',
        "date=$(date -u +%Y-%m-%dT%H:%M:%SZ)",
        'nonce=$(perl -e \'open R, "/dev/urandom"; read R, $_, 16; print unpack "H*", $_\')',
        f'canonical="POST\n/\n$query\n{canonical}\n\n{signed}\n$hash"',
        'text="ACS3-HMAC-SHA256\n$(printf %s "$canonical" | sha256)"',
        'signature=$(printf %s "$text" | hmac)',
        "curl -sS --config - <<END",
        f'url = "{sketch.endpoint}/?$query"',
        *(f'header = "{name}: {value}"' for name, value in headers.items()),
        f'header = "authorization: {authorization}"',
        'data-raw = "$body"',
        "END",
    ]


def _hmac(function: str, key: str, after: str = "") -> str:
    code = f'print {function}(join("", <STDIN>), {key}){after}'
    return f"hmac() {{ perl -MDigest::SHA={function} -e '{code}'; }}"


def _rpc1(sketch: Sketch) -> list[str]:
    pairs = {name: percent(text) for name, text in sketch.parameters.items()}
    pairs |= {name: f"$(encode {variable(name)})" for name in sketch.secrets}
    pairs |= {
        "AccessKeyId": f"$(encode {KEY_ID})",
        "Action": sketch.action,
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "$nonce",
        "SignatureVersion": "1.0",
        "Timestamp": "$(encode date)",
        "Version": API_VERSION,
    }
    if sketch.temporary:
        pairs["SecurityToken"] = f"$(encode {TOKEN})"
    canonical = "&".join(f"{name}={text}" for name, text in sorted(pairs.items()))
    return [
        _hmac("hmac_sha1_base64", f'"$ENV{{{KEY_SECRET}}}&"', ', "="'),
        "date=$(date -u +%Y-%m-%dT%H:%M:%SZ)",
        'nonce=$(perl -e \'open R, "/dev/urandom"; read R, $_, 16; print unpack "H*", $_\')',
        "export date",
        f'canonical="{canonical}"',
        "export canonical",
        'signature=$(printf %s "POST&%2F&$(encode canonical)" | hmac)',
        "export signature",
        "curl -sS --config - <<END",
        f'url = "{sketch.endpoint}/"',
        f'header = "content-type: {_FORM}"',
        'data-raw = "$canonical&Signature=$(encode signature)"',
        "END",
    ]


def manifest_line(sketch: Sketch) -> str:
    """Return the line of a manifest that creates the secret; its value comes from the environment."""
    if sketch.action != "CreateSecret":
        return "A manifest holds secrets to create: choose CreateSecret."
    line: dict[str, object] = dict(sketch.parameters)
    line["SecretDataFrom"] = {"env": variable("SecretData")}
    return json.dumps(line, ensure_ascii=False)
