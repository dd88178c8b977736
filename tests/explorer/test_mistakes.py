"""Why a signature was refused, held against requests that an independent signer gets wrong on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote_plus

import pytest
from support import second_signer

from bulkseed.model import SecretValue
from bulkseed.service.explorer.calls import open_refusal
from bulkseed.service.explorer.journal import Entry
from bulkseed.wire.fault import encode_fault, fault
from bulkseed.wire.message import Request
from bulkseed.wire.signing.layers import layers
from bulkseed.wire.signing.mistakes import find_mistake, missing

SECRET = "fake-secret"
PARAMETERS = {"SecretName": "a b~c", "VersionId": "v*1", "Description": "x y"}
BODY = b"SecretData=canary"
HEADERS = {
    "host": "127.0.0.1:8080",
    "content-type": "application/x-www-form-urlencoded",
    "x-acs-action": "CreateSecret",
    "x-acs-content-sha256": hashlib.sha256(BODY).hexdigest(),
    "x-acs-date": "2030-01-01T00:00:00Z",
    "x-acs-signature-nonce": "n",
    "x-acs-version": "2016-01-20",
}


def acs3(old: str = "", new: str = "", secret: str = SECRET) -> Request:
    """Sign with ACS3 by the documents, but with `new` for `old` in the canonical request."""
    names = sorted(HEADERS)
    right = second_signer.v3_canonical_request("POST", "/", PARAMETERS, HEADERS, names, BODY)
    assert old in right
    made = second_signer.v3_signature(right.replace(old, new) if old else right, secret)
    headers = HEADERS | {"authorization": second_signer.v3_authorization("id", names, made)}
    return Request("POST", second_signer.canonical_query(PARAMETERS), headers, BODY)


def rpc1(text: str | None = None, key: str = f"{SECRET}&") -> Request:
    """Sign `text` with RPC 1.0, or what the documents say."""
    given = PARAMETERS | {
        "AccessKeyId": "id",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SecretData": "canary",
    }
    to_sign = text or second_signer.v1_string_to_sign("POST", given)
    made = base64.b64encode(hmac.new(key.encode(), to_sign.encode(), hashlib.sha1).digest()).decode()
    return Request("POST", "", {}, second_signer.canonical_query(given | {"Signature": made}).encode())


PLUS = "&".join(f"{name}={quote_plus(value)}" for name, value in sorted(PARAMETERS.items()))
RIGHT = second_signer.v1_string_to_sign(
    "POST",
    PARAMETERS
    | {
        "AccessKeyId": "id",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SecretData": "canary",
    },
)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (acs3(second_signer.canonical_query(PARAMETERS), PLUS), "spaces are +"),
        (acs3(second_signer.canonical_query(PARAMETERS), ""), "no query"),
        (acs3("127.0.0.1:8080", "127.0.0.1"), "without its port"),
        (acs3("POST\n", "GET\n"), "another method"),
        (acs3("POST\n/\n", "POST\n\n"), "path is signed as an empty"),
        (acs3(f"\n{HEADERS['x-acs-content-sha256']}", f"\n{hashlib.sha256(b'').hexdigest()}"), "empty body"),
        (acs3(secret=f"{SECRET}&"), "the key has &"),
        (acs3(secret="another"), None),
        (rpc1(key=SECRET), "the key lacks &"),
        (rpc1(RIGHT.replace("POST&", "GET&", 1)), "GET is signed"),
        (rpc1(RIGHT.replace("&%2F&", "&/&", 1)), "as /"),
        (rpc1(RIGHT.replace("%2520", "%2B")), "spaces are +"),
        (rpc1(RIGHT.replace("~", "%257E")), "%7E"),
        (rpc1(RIGHT.replace("%252A", "%2A")), "*"),
        (rpc1(key="another&"), None),
    ],
)
def test_a_usual_mistake_is_found(request_: Request, words: str | None) -> None:
    """The mistake is named, and its layers lead to the signature sent; any other one is not guessed."""
    assert missing(request_) == []
    mistake = find_mistake(request_, SECRET.encode())
    if words is None:
        assert mistake is None
    else:
        assert mistake is not None
        assert words in mistake.text
        assert mistake.layers != layers(request_, SECRET.encode())


def test_a_right_signature_has_the_layers_of_the_documents() -> None:
    """Canonical request and signature are the independent signer's."""
    request = acs3()
    shown = layers(request, SECRET.encode())
    names = sorted(HEADERS)
    assert shown.canonical == second_signer.v3_canonical_request(
        "POST", "/", PARAMETERS, HEADERS, names, BODY
    )
    assert request.headers["authorization"].endswith(f"Signature={shown.signature}")
    plain = layers(rpc1(), SECRET.encode())
    assert plain.string_to_sign == RIGHT
    assert "canary" not in repr(shown) + repr(plain)


@pytest.mark.parametrize(
    ("headers", "query", "words"),
    [
        ({}, "", "neither"),
        ({"authorization": "Basic x"}, "", "Authorization is not"),
        ({"authorization": acs3().headers["authorization"]}, "", "x-acs-date is missing"),
        (acs3().headers | {"x-acs-more": "1"}, "", "x-acs-more is not signed"),
        ({}, "Signature=x&AccessKeyId=id&SignatureMethod=HMAC-MD5&SignatureVersion=1.0", "SignatureMethod"),
        ({}, "Signature=x&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0", "AccessKeyId is missing"),
    ],
)
def test_what_a_signature_lacks_is_told(headers: dict[str, str], query: str, words: str) -> None:
    """A request that is not signed at all gets the list of what it lacks."""
    assert any(words in text for text in missing(Request("POST", query, headers, b"")))


@pytest.mark.parametrize("request_", [acs3(), rpc1()])
@pytest.mark.parametrize("code", ["Rejected.ResourceExist", "Rejected.Throttling", "InvalidParameter"])
def test_what_is_refused_for_another_reason_has_no_mistake(request_: Request, code: str) -> None:
    """Its signature is right, and a mistake that changes nothing leads to that one, too."""
    assert find_mistake(request_, SECRET.encode()) is not None
    refusal = fault(code)
    entry = Entry(1, 0.0, 0.0, request_, refusal.status, encode_fault(refusal))
    opened = open_refusal(entry, lambda _: SecretValue(SECRET), values=False)
    assert opened["ours"]
    assert opened.keys().isdisjoint({"mistake", "theirs"})
