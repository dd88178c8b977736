"""Any parameters, for any action: an answer with a code, no internal failure, no echo of a value."""

from __future__ import annotations

import string
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.good_requests import GOOD, POLICY, THINGS, Things
from support.kms import NOW, Desk

from bulkseed.model import SecretValue
from bulkseed.wire.actions import create_secret
from bulkseed.wire.actions.codec import shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call, Request

pytestmark = pytest.mark.usefixtures("few_rsa_keys")

CANARY = "canary-3f9a"
WIRE_NAMES = {
    name: [
        wire
        for f in shape(action.request)
        for wire in ((f"{f.wire}.1", f"{f.wire}.2.Key", f.wire) if f.numbered else (f.wire,))
    ]
    for name, action in ACTIONS.items()
}
NAMES = sorted({"Format", "Unknown"}.union(*WIRE_NAMES.values()))

json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["TagKey", "SecretName", "kms:x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "TagKey",
                    "TagValue",
                    "Key",
                    "Values",
                    "SecretSubType",
                    "DBInstanceId",
                    "Accounts",
                    "CustomData",
                    *("Version", "Statement", "Effect", "Principal", "RAM", "Action", "Resource"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
).map(lambda value: orjson.dumps(value).decode())

texts = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "0",
                "-1",
                "1",
                "7",
                "30",
                "101",
                "999999999",
                "9999999999",
                "1e9",
                "٣",
                "true",
                "False",
                "v1",
            ),
            *(
                "there",
                "rds",
                "acs/x",
                "$Auto",
                "Generic",
                "Rds",
                "Redis",
                "ECS",
                "PolarDB",
                "RAMCredentials",
            ),
            *(*THINGS, POLICY, "default", "cGxhaW4="),
            *("alias/app", "alias/none", "key", "secret", "default", "MTIzNA==", "AQ" + "A" * 60),
            *("RSA_PSS_SHA_256", "HMAC_SHA_256", "EC_P256", '[{"SecretName":"there"}]', '{"a":"b"}'),
            *("ACSCurrent", "ACSPrevious", "7d", "6h", "AES_256", "binary", "JSON", "XML", "xml"),
            *("acs:kms:cn-hangzhou:1000000000000001:secret/there", "x" * 200, "x" * 31_000, "\x00", "\ufffe"),
        ]
    ),
    json_texts,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
@pytest.mark.parametrize("action", sorted(ACTIONS))
@settings(max_examples=10)
@given(data=st.data())
def test_any_parameters(action: str, signature: str, data: st.DataObject) -> None:
    """Good or bad, the service answers; what is bad is a client error that repeats no value."""
    service = Desk(signature=signature)
    things = Things(service, CANARY)
    good = GOOD[action]
    mine = st.sampled_from(WIRE_NAMES[action] or ["Unknown"])
    for _ in range(4):
        near = data.draw(st.booleans())  # a good request with a change or two, or anything
        given_parameters = data.draw(
            st.dictionaries(mine | st.sampled_from(NAMES), texts, max_size=2 if near else 8)
        )
        if near:
            left_out = data.draw(st.sampled_from(["nothing", *good]))
            given_parameters = {name: good[name] for name in good if name != left_out} | given_parameters
        pairs = sorted((name, things.text(text)) for name, text in given_parameters.items())
        cut = data.draw(st.integers(0, len(pairs)))
        if signature == "rpc1":
            pairs = [pair for pair in pairs if pair[0] != "Format"]
        response = service.send(Call(action, canonical_query(pairs[:cut]), canonical_query(pairs[cut:])))
        assert response.status == 200 or 400 <= response.status < 500, response
        if response.status != 200:
            assert decode_fault(response).code in CODES, response
            assert CANARY.encode() not in response.body
        service.kms.commit()
    assert service.code(create_secret.Request("after", "v1", SecretValue("x"))) is None


CODES = {
    *("InvalidParameter", "MissingParameter", "UnsupportedOperation", "DryRunOperationError"),
    *("Forbidden.ResourceNotFound", "Forbidden.KeyNotFound", "Forbidden.DKMSInstanceNotFound"),
    *("Rejected.ResourceExist", "Rejected.ResourceInDeleteWindow", "Rejected.ResourceInUse"),
    *("Rejected.InvalidRequest", "Rejected.LimitExceeded", "Rejected.StateModifiedFailed"),
    *("Rejected.Disabled", "Rejected.PendingDeletion"),
    *("Forbidden.AliasNotFound", "Forbidden.KeyVersionNotFound", "Forbidden.NoPermission"),
}

printable = st.text(string.printable + "é\udcff", max_size=40)


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", ""]) | printable,
    path=st.sampled_from(["/", "", "//"]) | printable,
    query=printable,
    headers=st.dictionaries(
        st.sampled_from(
            [
                *("authorization", "content-type", "host", "x-acs-action", "x-acs-date", "x-acs-version"),
                *("x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-security-token"),
            ]
        ),
        printable | st.just("ACS3-HMAC-SHA256 Credential=embedded,SignedHeaders=host,Signature=x"),
    ),
    body=st.binary(max_size=200) | printable.map(lambda text: text.encode("utf-8", "surrogateescape")),
)
def test_any_request(method: str, path: str, query: str, headers: dict[str, Any], body: bytes) -> None:
    """Whatever arrives unsigned is refused with a code."""
    service = Desk()
    response = service.kms.handle(Request(method, query, headers, body, path), NOW)
    assert 400 <= response.status < 500
    assert not decode_fault(response).code.startswith("HTTP")
