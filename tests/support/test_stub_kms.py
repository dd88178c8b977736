"""The stub itself: the vendor's SDK satisfies it, and it notices what it is there to notice."""

import asyncio
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from bulkseed.model import Credentials, SecretValue
from bulkseed.wire.encoding import percent
from bulkseed.wire.message import Call
from bulkseed.wire.signing.verify import SIGNATURES
from support.second_signer import canonical_query, v1_signature
from support.stub_kms import StubKms

VALUES = {
    "app/spaces": "  leading  double and trailing ",
    "app/marks": "a+b*c~d%e%2B&f=g",
    "app/control": "\0\x01\x7f\t\r\n\n",
    "app/unicode": "päss-密码-🔑-\uffff",
    "app/longest": "% +é" * 6144,
}


@pytest.fixture
def stub() -> Iterator[StubKms]:
    """A stub for the key testid, stopped afterwards."""
    with StubKms("testid", "testsecret") as stub:
        yield stub


@pytest.mark.parametrize("generation", [None, "v2"], ids=["acs3", "rpc1"])
@pytest.mark.parametrize("token", [None, "CAISexample+/=token"], ids=["key", "sts"])
def test_the_sdk_satisfies_it(generation: str | None, token: str | None) -> None:
    """Both signatures of the SDK, with a token and without, are accepted; values arrive byte for byte."""
    with StubKms("testid", "testsecret", token) as stub:
        client = Client(
            Config(
                endpoint=stub.endpoint.removeprefix("http://"),
                protocol="http",
                access_key_id="testid",
                access_key_secret="testsecret",
                security_token=token,
                signature_algorithm=generation,
            )
        )

        def create(name: str, value: str) -> models.CreateSecretRequest:
            return models.CreateSecretRequest(secret_name=name, secret_data=value, version_id="v 1")

        for name, value in VALUES.items():
            assert client.create_secret(create(name, value)).body.secret_name == name
        asyncio.run(client.create_secret_async(create("app/async", "a +*~@:")))
        request = models.GetSecretValueRequest(secret_name="app/unicode")
        assert client.get_secret_value(request).body.secret_data == VALUES["app/unicode"]
        read = asyncio.run(client.get_secret_value_async(request))
        assert read.body.secret_data == VALUES["app/unicode"]
        with pytest.raises(ClientException) as refused:
            client.create_secret(create("app/spaces", "another"))
        assert refused.value.code == "Rejected.ResourceExist"
        sent = {name: value.encode() for name, value in VALUES.items()} | {"app/async": b"a +*~@:"}
        assert stub.secrets == sent
        assert stub.created["app/spaces"]["VersionId"] == "v 1"
        assert len(stub.arrivals) == len(stub.targets) == 9
        assert stub.connections == 3
        assert stub.problems == []


@pytest.mark.parametrize("name", SIGNATURES)
def test_our_signers_satisfy_it(stub: StubKms, name: str) -> None:
    """Both of our signatures are accepted over one kept connection, and no value is in a URL."""
    host = stub.endpoint.removeprefix("http://")
    signer = SIGNATURES[name](host, Credentials("testid", SecretValue("testsecret")))
    connection = http.client.HTTPConnection(host)
    for secret_name, value in VALUES.items():
        metadata = f"SecretName={percent(secret_name)}&VersionId=v1"
        call = Call("CreateSecret", metadata, f"SecretData={percent(value)}")
        request = signer.sign(call, time.time(), secrets.token_hex(16))
        connection.request(request.method, f"/?{request.query}", request.body, request.headers)
        response = connection.getresponse()
        assert (response.status, json.load(response)["SecretName"]) == (200, secret_name)
    connection.close()
    assert stub.secrets == {secret_name: value.encode() for secret_name, value in VALUES.items()}
    assert stub.connections == 1
    assert stub.problems == []
    assert all("SecretData" not in target for target in stub.targets)


def v1_parameters(**parameters: str) -> dict[str, str]:
    """Return parameters of CreateSecret, signed by hand for right now."""
    common = {
        "Action": "CreateSecret",
        "Version": "2016-01-20",
        "AccessKeyId": "testid",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": secrets.token_hex(16),
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "SecretName": "app",
        "VersionId": "v1",
        "SecretData": "s3cret",
    }
    merged = common | parameters
    return {"Signature": v1_signature("POST", merged, "testsecret")} | merged


def post(stub: StubKms, query: str, body: str = "") -> dict[str, Any]:
    """Send a request on a connection of its own and return the answer's document."""
    connection = http.client.HTTPConnection(stub.endpoint.removeprefix("http://"))
    connection.request("POST", f"/?{query}" if query else "/", body.encode())
    document: dict[str, Any] = json.load(connection.getresponse())
    connection.close()
    return document


def test_a_long_request_line_and_a_long_body(stub: StubKms) -> None:
    """A request line of 128 KiB and a body of 1 MiB are read: some clients put values into the URL."""
    long = v1_parameters(SecretName="in/query", SecretData="%" * 43_000)
    assert "Code" not in post(stub, canonical_query(long))
    assert len(stub.targets[0]) > 128_000
    longer = v1_parameters(SecretName="in/body", SecretData="x" * 1_048_000)
    assert "Code" not in post(stub, "", canonical_query(longer))
    assert [len(value) for value in stub.secrets.values()] == [43_000, 1_048_000]
    assert stub.problems == []


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Signature": "K8WCWz8oZr1EhkDoeEFCCeIAqM8="}, "SignatureDoesNotMatch"),
        ({"AccessKeyId": "another"}, "InvalidAccessKeyId.NotFound"),
        ({"Timestamp": "2024-02-29T23:59:59Z"}, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "now"}, "InvalidTimeStamp.Format"),
        ({"SignatureNonce": ""}, "SignatureNonceUsed"),
        ({"SignatureMethod": "HMAC-MD5"}, "IncompleteSignature"),
    ],
)
def test_it_notices(stub: StubKms, parameters: dict[str, str], code: str) -> None:
    """A defect is answered with its code, kept as a problem, and creates nothing."""
    answer = post(stub, "", canonical_query(v1_parameters(**parameters)))
    assert (answer["Code"], stub.secrets) == (code, {})
    assert len(stub.problems) == 1
    assert stub.problems[0].startswith(code)


def test_it_notices_a_nonce_used_before(stub: StubKms) -> None:
    """The same request sent again is refused, whatever became of the first."""
    body = canonical_query(v1_parameters())
    assert "Code" not in post(stub, "", body)
    assert post(stub, "", body)["Code"] == "SignatureNonceUsed"
    assert len(stub.problems) == 1


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("a=1&a=2", "", "InvalidParameter"),
        ("a=1", "a=1", "InvalidParameter"),
        ("a=%FF", "", "InvalidParameter"),
        ("noequals", "", "InvalidParameter"),
        ("", "é", "ParseRequestParameterException"),
        ("", "", "IncompleteSignature"),
    ],
)
def test_it_notices_what_cannot_be_read(stub: StubKms, query: str, body: str, code: str) -> None:
    """A request that is not clean is a problem and not a crash; the next one is answered."""
    answer = post(stub, query, body)
    assert (answer["HttpStatus"], answer["Code"]) == (400, code)
    assert len(stub.problems) == 1
    assert "Code" not in post(stub, "", canonical_query(v1_parameters()))


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b"SecretData=s3cret", None),
        ({}, b"SecretData=another", "SignatureDoesNotMatch"),
        ({"host": "kms.example.com"}, b"SecretData=s3cret", "SignatureDoesNotMatch"),
        ({"x-acs-signature-nonce": "another"}, b"SecretData=s3cret", "SignatureDoesNotMatch"),
        ({"x-acs-more": "unsigned"}, b"SecretData=s3cret", "IncompleteSignature"),
        (
            {"authorization": "ACS3-HMAC-SHA256 Credential=testid"},
            b"SecretData=s3cret",
            "IncompleteSignature",
        ),
    ],
)
def test_it_notices_a_changed_acs3_request(
    stub: StubKms, headers: dict[str, str], body: bytes, code: str | None
) -> None:
    """What is not what was signed is refused and kept as a problem."""
    host = stub.endpoint.removeprefix("http://")
    signer = SIGNATURES["acs3"](host, Credentials("testid", SecretValue("testsecret")))
    call = Call("CreateSecret", "SecretName=app&VersionId=v1", "SecretData=s3cret")
    request = signer.sign(call, time.time(), secrets.token_hex(16))
    connection = http.client.HTTPConnection(host)
    connection.request("POST", f"/?{request.query}", body, request.headers | headers)
    assert json.load(connection.getresponse()).get("Code") == code
    connection.close()
    assert [problem.partition(":")[0] for problem in stub.problems] == ([code] if code else [])
