"""Reading faults: every reply is one, whatever its bytes, and ours read back as they were."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.model import Fault
from bulkseed.wire.fault import FAULTS, broken_rule, decode_fault, fault, respond
from bulkseed.wire.message import Response

statuses = st.integers(100, 599)


@given(statuses, st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_fault_with_a_code(status: int, body: bytes) -> None:
    """No status and no body makes reading raise or leaves the code empty."""
    read = decode_fault(Response(status, {}, body))
    assert read.status == status
    assert read.code


@given(
    st.recursive(
        st.none() | st.integers(-9, 9) | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_fault_with_a_code(document: object) -> None:
    """JSON of any shape, also with odd types under the known names, is read without raising."""
    body = orjson.dumps({"Code": document, "Message": document, "RequestId": document})
    assert decode_fault(Response(500, {}, body)).code


@pytest.mark.parametrize("format", ["JSON", "XML"])
@pytest.mark.parametrize("code", sorted(FAULTS))
def test_service_faults_read_back(code: str, format: str) -> None:  # noqa: A002  # the parameter's name in the API
    """Code, status, message and request id of every fault we send survive in JSON and in XML."""
    sent = fault(code, 'say "<&>"')
    sent = Fault(sent.code, sent.status, sent.message, "req-1", retry_after=1.5)
    assert decode_fault(respond(sent, format)) == sent


@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        (
            b'{"HttpStatus":429,"Code":"Rejected.Throttling","Message":"m","RequestId":"r"}',
            "Rejected.Throttling",
            "r",
        ),
        (b'{"code":"lower","requestId":"r"}', "lower", "r"),
        (b"<Error><RequestId>r</RequestId><HostId>h</HostId><Code>C.D</Code></Error>", "C.D", "r"),
        (b"<html><body>502 Bad Gateway</body></html>", "HTTP429", None),
        (b"", "HTTP429", None),
        (b'{"Code":"', "Unreadable", None),
    ],
)
def test_bodies_of_the_documents(body: bytes, code: str, request_id: str | None) -> None:
    """The bodies that KMS, other gateways and proxies send give the code they name, else the status."""
    read = decode_fault(Response(429, {}, body))
    assert (read.code, read.request_id) == (code, request_id)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1500", 1.5),
        ("0", None),
        ("-1", None),
        ("x", None),
        ("", None),
        ("9" * 99, None),
        ("²", None),
        ("٣٣", None),
    ],
)
def test_retry_after_is_milliseconds(header: str, seconds: float | None) -> None:
    """``x-acs-retry-after`` counts milliseconds; nonsense counts as absent."""
    assert decode_fault(Response(429, {"x-acs-retry-after": header}, b"")).retry_after == seconds


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        ("is not a JSON object", "It is not a JSON object."),
        ("has 193 characters, more than 192", "It has 193 characters, more than 192."),
        ("must be text or binary", "It must be text or binary."),
        (
            "may be $Auto only for RAMCredentials",
            "It may be $Auto only for RAMCredentials.",
        ),
        (
            "SecretSubType must be SingleUser",
            "SecretSubType must be SingleUser.",
        ),
        ("tag 2: TagKey is missing or not a text", "Tag 2: TagKey is missing or not a text."),
        ("tag 3: must be an object", "Tag 3 must be an object."),
        ("statement 1: Effect must be Allow or Deny", "Statement 1: Effect must be Allow or Deny."),
    ],
)
def test_a_problem_is_told_as_a_sentence(problem: str, sentence: str) -> None:
    """Its subject is the parameter, or the part that it names itself."""
    told = f'The specified parameter "Name" is not valid. {sentence}'
    assert broken_rule("Name", problem).message == told
