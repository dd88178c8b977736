"""The vendor's signatures: published examples, and what its SDK computed and sent at fixed inputs."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import second_signer

from bulkseed.model import Credentials, SecretValue
from bulkseed.wire.encoding import canonical_query, parse_form, parse_timestamp, read_items
from bulkseed.wire.message import Call, Request
from bulkseed.wire.signing import acs3, rpc1
from bulkseed.wire.signing.verify import SIGNATURES, AccessKey, Caller, verify

Vector = dict[str, Any]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signature-vectors.json").read_text())
COMMON = {"AccessKeyId", "Action", "Format", "SecurityToken", "SignatureMethod", "SignatureNonce"}
COMMON |= {"SignatureVersion", "Timestamp", "Version"}


def vectors(kind: str, only: Callable[[Vector], bool] = bool) -> list[Any]:
    """Return the vectors of a kind as test parameters, named as in the file."""
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[kind] if only(vector)]


def test_every_kind_of_vector_is_here() -> None:
    """The file holds all three kinds, so none of the tests below is empty."""
    assert [len(VECTORS[kind]) for kind in ("v1", "v3", "wire")] == [20, 19, 6]


@pytest.mark.parametrize("vector", vectors("v1"))
def test_rpc1_layers(vector: Vector) -> None:
    """Canonical query, string to sign and signature are the vendor's, each on its own."""
    method, parameters = vector["inputs"]["method"], vector["inputs"]["params"]
    assert rpc1.canonical_parameters(parameters) == vector["canonical_query"]
    assert rpc1.canonical_parameters(parameters | {"Signature": "x"}) == vector["canonical_query"]
    assert rpc1.string_to_sign(method, vector["canonical_query"]) == vector["string_to_sign"]
    secret = vector["inputs"]["access_key_secret"]
    assert rpc1.signature(secret.encode(), vector["string_to_sign"]) == vector["signature"]
    assert second_signer.v1_string_to_sign(method, parameters) == vector["string_to_sign"]
    assert second_signer.v1_signature(method, parameters, secret) == vector["signature"]


@pytest.mark.parametrize("vector", vectors("v3"))
def test_acs3_layers(vector: Vector) -> None:
    """Canonical request, string to sign and signature are the vendor's, each on its own."""
    inputs = vector["inputs"]
    query, headers, signed = inputs["query"], inputs["headers"], tuple(sorted(inputs["headers"]))
    canonical = acs3.canonical_request(
        inputs["method"],
        inputs["pathname"],
        canonical_query(query.items()),
        headers,
        signed,
        inputs["payload_sha256"],
    )
    assert canonical == vector["canonical_request"]
    assert hashlib.sha256(canonical.encode()).hexdigest() == vector["canonical_request_sha256"]
    assert acs3.string_to_sign(canonical) == vector["string_to_sign"]
    secret = inputs["access_key_secret"]
    assert acs3.signature(secret.encode(), vector["string_to_sign"]) == vector["signature"]
    assert second_signer.v3_signature(canonical, secret) == vector["signature"]
    authorization = second_signer.v3_authorization(inputs["access_key_id"], signed, vector["signature"])
    assert authorization == vector["authorization"]
    if "body_form" in inputs or not query:
        body = inputs.get("body_form", "").encode()
        theirs = second_signer.v3_canonical_request("POST", "/", query, headers, signed, body)
        assert theirs == canonical


def kms_call(parameters: dict[str, str], in_form: set[str]) -> Call:
    """Return CreateSecret as our client encodes it."""
    query = canonical_query(pair for pair in parameters.items() if pair[0] not in in_form)
    return Call(
        "CreateSecret", query, canonical_query(pair for pair in parameters.items() if pair[0] in in_form)
    )


def signed_by_us(name: str, call: Call, inputs: Vector) -> Request:
    """Sign at the vectors' fixed second and nonce."""
    token = inputs.get("security_token")
    credentials = Credentials(
        inputs.get("access_key_id", "testid"),
        SecretValue(inputs["access_key_secret"]),
        SecretValue(token) if token else None,
    )
    now = parse_timestamp(VECTORS["fixed"]["timestamp"])
    assert now is not None
    return SIGNATURES[name]("kms.cn-hangzhou.aliyuncs.com", credentials).sign(
        call, now + 0.7, VECTORS["fixed"]["nonce"]
    )


def by_our_client(vector: Vector) -> bool:
    """True for a body whose bytes our client sends too: the SDK writes a space there as ``+``."""
    return "+" not in vector["inputs"].get("body_form", "+")


@pytest.mark.parametrize("vector", vectors("v3", only=by_our_client))
def test_acs3_signer_signs_as_the_sdk(vector: Vector) -> None:
    """Our client's Authorization header is the SDK's, for the same call at the same second and nonce."""
    inputs = vector["inputs"]
    form = {"SecretData": inputs["SecretData"]}
    token = inputs["headers"].get("x-acs-security-token")
    call = kms_call(inputs["query"] | form, {"SecretData"})
    request = signed_by_us("acs3", call, inputs | {"security_token": token})
    assert request.body.decode() == inputs["body_form"]
    assert request.headers["authorization"] == vector["authorization"]


def test_the_acs3_signer_meets_most_vectors() -> None:
    """The filter above leaves a dozen bodies, the one with a security token among them."""
    names = [vector["name"] for vector in VECTORS["v3"] if by_our_client(vector)]
    assert len(names) == 12
    assert "kms-body-sts" in names


def posted_with_any_value(vector: Vector) -> bool:
    """True for a POST whose common parameters are those that our client sends."""
    return str(vector["name"]).startswith(("kms-createsecret-p", "kms-createsecret-sts", "kms-value"))


@pytest.mark.parametrize("vector", vectors("v1", only=posted_with_any_value))
def test_rpc1_signer_signs_as_the_sdk(vector: Vector) -> None:
    """Our client's parameters and signature are the SDK's, but for the spelling of Format."""
    parameters = vector["inputs"]["params"]
    own = {name: value for name, value in parameters.items() if name not in COMMON}
    token = parameters.get("SecurityToken")
    request = signed_by_us("rpc1", kms_call(own, set()), vector["inputs"] | {"security_token": token})
    sent = parse_form(request.body)
    assert sent is not None
    assert sent[-1][0] == "Signature"
    ours = dict(sent[:-1])
    assert ours | {"Format": "json"} == parameters
    assert sent[-1][1] == second_signer.v1_signature("POST", ours, vector["inputs"]["access_key_secret"])


@pytest.mark.parametrize("vector", vectors("wire"))
def test_whole_requests_of_the_sdk_are_accepted(vector: Vector) -> None:
    """`verify` accepts what the SDK's transport was handed, with the key it was signed with and no other."""
    inputs = vector["inputs"]
    now = parse_timestamp(inputs["timestamp"])
    assert now is not None
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    request = Request(
        vector["method"], urlsplit(vector["url_as_composed"]).query, headers, vector["body"].encode()
    )
    query, form = read_items(request.query), read_items(request.body)
    assert query is not None
    assert form is not None
    assert said(request.query) == vector["query"]
    token = inputs["security_token"]
    key = AccessKey(
        inputs["access_key_id"],
        SecretValue(inputs["access_key_secret"]),
        "1234567890",
        SecretValue(token) if token else None,
    )
    caller = verify(request, query, form, {key.id: key}.get, now + 1)
    assert caller == Caller("testid", "1234567890", "CreateSecret", "2016-01-20", inputs["nonce"], now)
    other = AccessKey(key.id, SecretValue("another"), key.account, key.security_token)
    assert not isinstance(verify(request, query, form, {key.id: other}.get, now + 1), Caller)


def said(raw: bytes | str) -> dict[str, str]:
    """Return the parameters of a query or body."""
    return dict(parse_form(raw) or [])


@pytest.mark.parametrize("key", [b"", b"k" * 63, b"k" * 64, b"k" * 65, b"\xff" * 9, b"k" * 64 + b"\xff"])
def test_a_key_of_any_length_and_bytes_signs(key: bytes) -> None:
    """What the environment holds is the key of both signatures, also one that is long or no text."""
    inputs = {"access_key_secret": key.decode("utf-8", "surrogateescape")}
    call = Call("CreateSecret", "SecretName=n", "SecretData=v")
    request = signed_by_us("acs3", call, inputs)
    canonical = second_signer.v3_canonical_request(
        "POST",
        "/",
        said(request.query),
        request.headers,
        sorted(second_signer.v3_required_headers(request.headers)),
        request.body,
    )
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    given = request.headers["authorization"].partition(",Signature=")[2]
    assert given == hmac.digest(key, text.encode(), "sha256").hex()
    sent = said(signed_by_us("rpc1", call, inputs).body)
    text = second_signer.v1_string_to_sign("POST", sent)
    assert base64.b64decode(sent["Signature"]) == hmac.digest(key + b"&", text.encode(), "sha1")


def test_rpc1_sorts_by_name_alone() -> None:
    """A name comes before those that it begins, although "=" comes after digits and the dot."""
    call = Call("CreateSecret", "A=3&A.1=2&A1=1", "A-b=0")
    body = signed_by_us("rpc1", call, {"access_key_secret": "testsecret"}).body
    assert body.startswith(b"A=3&A-b=0&A.1=2&A1=1&AccessKeyId=")
