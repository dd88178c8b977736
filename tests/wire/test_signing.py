"""Signing and verifying: both ends agree, the second signer agrees, and whoever changes a byte is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import second_signer

from bulkseed.errors import CredentialsError
from bulkseed.model import Credentials, Fault, SecretValue
from bulkseed.wire.encoding import canonical_query, parse_form, percent, read_items, timestamp
from bulkseed.wire.message import Call, Request
from bulkseed.wire.signing.verify import SIGNATURES, AccessKey, Caller, verify

NOW = 1_709_251_199.25
NONCE = "3ee8c1b883d344afa94f4e0ad82fd6cf"
HOST = "kms.cn-hangzhou.aliyuncs.com"
VALUE = "sw0rd & fish=+*~%\r\n🔑"

COMMON = "AccessKeyId Action Format SecurityToken Signature SignatureMethod SignatureNonce SignatureVersion"
names = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,12}", fullmatch=True).filter(
    lambda name: name not in {*COMMON.split(), "Timestamp", "Version"}
)
hosts = st.sampled_from([HOST, "127.0.0.1:40123", "kms-vpc.eu-central-1.aliyuncs.com"])
nonces = st.from_regex(r"[0-9a-zA-Z-]{1,40}", fullmatch=True)
moments = st.floats(0, 4_102_444_799)
signatures = st.sampled_from(sorted(SIGNATURES))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Any parameters with any values, some in the query and some in the form."""
    parameters = draw(st.dictionaries(names, st.text()))
    in_form = draw(st.sets(st.sampled_from(sorted(parameters)))) if parameters else set()
    form = {name: parameters.pop(name) for name in in_form}
    action = draw(st.sampled_from(["CreateSecret", "DescribeSecret"]))
    return Call(action, canonical_query(parameters.items()), canonical_query(form.items()))


@st.composite
def credentials(draw: st.DrawFn) -> Credentials:
    """Any secret, with a security token or without."""
    printable = st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
    )
    token = draw(st.none() | printable.map(SecretValue))
    return Credentials(draw(printable), SecretValue(draw(st.text())), token)


def access_key(own: Credentials) -> AccessKey:
    """Return the service's side of `own`."""
    return AccessKey(own.access_key_id, own.access_key_secret, "1234567890", own.security_token)


def check(request: Request, key: AccessKey, now: float = NOW) -> Caller | Fault | None:
    """Read the parameters as the service does and verify; None if they cannot be read."""
    query, form = read_items(request.query), read_items(request.body)
    if query is None or form is None:
        return None
    return verify(request, query, form, {key.id: key}.get, now)


@given(hosts, credentials(), calls(), moments, nonces)
def test_acs3_agrees_with_the_second_signer(
    host: str, own: Credentials, call: Call, now: float, nonce: str
) -> None:
    """For any parameters, our Authorization header is the one that follows from the documents alone."""
    request = SIGNATURES["acs3"](host, own).sign(call, now, nonce)
    query = said(call.query)
    signed = sorted(second_signer.v3_required_headers(request.headers))
    canonical = second_signer.v3_canonical_request(
        request.method, request.path, query, request.headers, signed, request.body
    )
    expected = second_signer.v3_signature(canonical, own.access_key_secret.reveal())
    authorization = second_signer.v3_authorization(own.access_key_id, signed, expected)
    assert request.headers["authorization"] == authorization
    assert canonical.split("\n")[2] == request.query


@given(hosts, credentials(), calls(), moments, nonces)
def test_rpc1_agrees_with_the_second_signer(
    host: str, own: Credentials, call: Call, now: float, nonce: str
) -> None:
    """For any parameters, our signature is the one that follows from the documents alone."""
    request = SIGNATURES["rpc1"](host, own).sign(call, now, nonce)
    sent = said(request.body)
    signature = sent.pop("Signature")
    assert signature == second_signer.v1_signature("POST", sent, own.access_key_secret.reveal())
    assert sent["Timestamp"] == timestamp(now)
    assert sent["SignatureNonce"] == nonce
    assert request.body.decode().startswith(second_signer.canonical_query(sent) + "&Signature=")
    assert request.query == ""


@given(signatures, hosts, credentials(), calls(), moments, nonces)
def test_what_we_sign_is_accepted(
    name: str, host: str, own: Credentials, call: Call, now: float, nonce: str
) -> None:
    """`verify` accepts every request that we sign and says who called, with what nonce and when."""
    caller = check(SIGNATURES[name](host, own).sign(call, now, nonce), access_key(own), now)
    assert caller == Caller(own.access_key_id, "1234567890", call.action, "2016-01-20", nonce, int(now))


def said(raw: bytes | str) -> dict[str, str]:
    """Return the parameters of a query or body that can be read."""
    return dict(parse_form(raw) or [])


def changed(text: str, data: st.DataObject) -> str:
    """Put another character in one place of `text`."""
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=text[at]))
    return text[:at] + other + text[at + 1 :]


@given(st.data(), credentials(), calls())
def test_acs3_refuses_a_changed_byte(data: st.DataObject, own: Credentials, call: Call) -> None:
    """A byte changed in method, path, query, body, any signed header, Authorization or key is refused."""
    request = SIGNATURES["acs3"](HOST, own).sign(call, NOW, NONCE)
    key = access_key(own)
    signed = sorted(second_signer.v3_required_headers(request.headers) | {"authorization"})
    part = data.draw(st.sampled_from(["method", "path", "query", "body", "secret", *signed]))
    if part in signed:
        headers = request.headers | {part: changed(request.headers[part], data)}
        tampered = replace(request, headers=headers)
    elif part == "secret":
        assume(key.secret.reveal())
        key, tampered = replace(key, secret=SecretValue(changed(key.secret.reveal(), data))), request
    elif part == "body":
        assume(request.body)
        tampered = replace(request, body=changed(request.body.decode(), data).encode())
    else:
        assume(getattr(request, part))
        tampered = replace(request)
        setattr(tampered, part, changed(getattr(request, part), data))
        # A query spelled differently that says the same is the same query.
        assume(part != "query" or said(tampered.query) != said(request.query))
    assert not isinstance(check(tampered, key), Caller)


@given(st.data(), credentials(), calls())
def test_rpc1_refuses_a_changed_byte(data: st.DataObject, own: Credentials, call: Call) -> None:
    """A byte changed in the method, in any parameter (date, nonce, signature...) or in the key is refused."""
    request = SIGNATURES["rpc1"](HOST, own).sign(call, NOW, NONCE)
    key = access_key(own)
    part = data.draw(st.sampled_from(["method", "parameter", "body", "secret"]))
    tampered = request
    if part == "method":
        tampered = replace(request, method=changed(request.method, data))
    elif part == "secret":
        assume(key.secret.reveal())
        key = replace(key, secret=SecretValue(changed(key.secret.reveal(), data)))
    elif part == "parameter":
        parameters = said(request.body)
        name = data.draw(st.sampled_from([name for name, value in parameters.items() if value]))
        parameters[name] = changed(parameters[name], data)
        tampered = replace(request, body=second_signer.canonical_query(parameters).encode())
    else:
        tampered = replace(request, body=changed(request.body.decode(), data).encode())
        # A body spelled differently that says the same is the same body.
        assume(said(tampered.body) != said(request.body))
    assert not isinstance(check(tampered, key), Caller)


# Header bytes that are not UTF-8 arrive as surrogates.
header_texts = st.text(st.characters(exclude_categories=()))


@given(st.data(), signatures, credentials(), calls())
def test_verify_reads_anything(data: st.DataObject, name: str, own: Credentials, call: Call) -> None:
    """Whatever stands in the query, in a header or in a parameter, `verify` answers and does not raise."""
    request = SIGNATURES[name](HOST, own).sign(call, NOW, NONCE)
    parameters = said(request.query) | said(request.body)
    parameters |= data.draw(st.dictionaries(st.sampled_from(COMMON.split()), st.text()))
    request.headers[data.draw(st.sampled_from([*request.headers, "x-acs-odd"]))] = data.draw(header_texts)
    request.query = data.draw(st.just(request.query) | header_texts)
    key = access_key(own)
    query, form = read_items(request.query) or [], read_items(canonical_query(parameters.items()))
    assert form is not None
    assert isinstance(verify(request, query, form, {key.id: key}.get, NOW), Caller | Fault)


OWN = Credentials("testid", SecretValue("testsecret"))
TEMPORARY = Credentials("STS.testid", SecretValue("testsecret"), SecretValue("CAISexample+/=token"))
METADATA = "SecretName=app%2Fdb&VersionId=v1"
CALL = Call("CreateSecret", METADATA, f"SecretData={percent(VALUE)}")


def without(*headers: str) -> Callable[[Request], Request]:
    """Return a change that drops headers."""
    return lambda r: replace(r, headers={n: v for n, v in r.headers.items() if n not in headers})


def unsigned(request: Request) -> Request:
    """Return the request with an Authorization header that ends before its signature."""
    text = request.headers["authorization"].partition(",Signature=")[0]
    return replace(request, headers=request.headers | {"authorization": text})


def within(old: str, new: str) -> Callable[[Request], Request]:
    """Return a change of the Authorization header, or of the form body where there is none."""

    def change(request: Request) -> Request:
        if "authorization" in request.headers:
            assert old in request.headers["authorization"]
            text = request.headers["authorization"].replace(old, new)
            return replace(request, headers=request.headers | {"authorization": text})
        assert old.encode() in request.body
        return replace(request, body=request.body.replace(old.encode(), new.encode()))

    return change


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("acs3", without("authorization"), "IncompleteSignature"),
        ("acs3", without("host"), "IncompleteSignature"),
        ("acs3", without("x-acs-content-sha256"), "IncompleteSignature"),
        ("acs3", without("x-acs-signature-nonce"), "IncompleteSignature"),
        ("acs3", without("content-type"), "IncompleteSignature"),
        ("acs3", lambda r: replace(r, headers=r.headers | {"x-acs-more": "1"}), "IncompleteSignature"),
        ("acs3", within("content-type;", ""), "IncompleteSignature"),
        ("acs3", within("host;", ""), "IncompleteSignature"),
        ("acs3", within("x-acs-date;", ""), "IncompleteSignature"),
        ("acs3", within("ACS3", "ACS4"), "IncompleteSignature"),
        ("acs3", within(",Signature=", ", Signature="), "IncompleteSignature"),
        ("acs3", within(",Signature=", ",Signature=\udcff"), "SignatureDoesNotMatch"),
        ("acs3", within(",Signature=", ",Signature=a,Signature="), "IncompleteSignature"),
        ("acs3", unsigned, "IncompleteSignature"),
        ("acs3", within("testid", "another"), "InvalidAccessKeyId.NotFound"),
        ("acs3", lambda r: replace(r, body=b"SecretData=other"), "SignatureDoesNotMatch"),
        ("acs3", lambda r: replace(r, headers=r.headers | {"host": "\udcff"}), "SignatureDoesNotMatch"),
        ("rpc1", within("SignatureMethod=HMAC-SHA1", "SignatureMethod=HMAC-MD5"), "IncompleteSignature"),
        ("rpc1", within("SignatureVersion=1.0", "SignatureVersion=2.0"), "IncompleteSignature"),
        ("rpc1", within("&Signature=", "&Other="), "IncompleteSignature"),
        ("rpc1", within("AccessKeyId=testid", "AccessKeyId="), "IncompleteSignature"),
        ("rpc1", within("AccessKeyId=testid", "AccessKeyId=another"), "InvalidAccessKeyId.NotFound"),
        ("rpc1", within("&Timestamp=", "&Other="), "IllegalTimestamp"),
        ("rpc1", within("&Timestamp=2024-", "&Timestamp=24-"), "InvalidTimeStamp.Format"),
        ("rpc1", within("SecretData=", "SecretData=other"), "SignatureDoesNotMatch"),
    ],
)
def test_refusals(name: str, change: Callable[[Request], Request], code: str) -> None:
    """Each defect has its code; no refusal holds the value, raw or encoded."""
    request = change(SIGNATURES[name](HOST, OWN).sign(CALL, NOW, NONCE))
    fault = check(request, access_key(OWN))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.status) == (code, 404 if code == "InvalidAccessKeyId.NotFound" else 400)
    assert "sw0rd" not in fault.message


@pytest.mark.parametrize("name", SIGNATURES)
def test_clock_window(name: str) -> None:
    """Up to 15 minutes of difference pass, either way, and a second more does not."""
    request = SIGNATURES[name](HOST, OWN).sign(CALL, NOW, NONCE)
    for seconds in (-900, 0, 900):
        assert isinstance(check(request, access_key(OWN), int(NOW) + seconds), Caller)
    for seconds in (-901, 901):
        fault = check(request, access_key(OWN), int(NOW) + seconds)
        assert isinstance(fault, Fault)
        assert fault.code == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize("name", SIGNATURES)
def test_security_tokens(name: str) -> None:
    """A temporary key needs its own token until it expires; a permanent one must come without."""
    request = SIGNATURES[name](HOST, TEMPORARY).sign(CALL, NOW, NONCE)
    key = replace(access_key(TEMPORARY), expires_at=NOW + 1)
    assert isinstance(check(request, key), Caller)
    mismatch = "InvalidSecurityToken.MismatchWithAccessKey"
    tokenless = SIGNATURES[name](HOST, replace(TEMPORARY, security_token=None)).sign(CALL, NOW, NONCE)
    refusals = [
        (request, replace(key, expires_at=NOW), "InvalidSecurityToken.Expired"),
        (request, replace(key, security_token=SecretValue("other")), mismatch),
        (request, replace(key, security_token=None), mismatch),
        (tokenless, key, mismatch),
    ]
    for sent, held, code in refusals:
        fault = check(sent, held)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.status) == (code, 400)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"host": f"  {HOST} "}, None),
        ({"x-acs-content-sha256": "0" * 64}, "SignatureDoesNotMatch"),
        ({"host": None}, "IncompleteSignature"),
        ({"x-acs-content-sha256": None}, "IncompleteSignature"),
        ({"x-acs-signature-nonce": None}, "IncompleteSignature"),
        ({"x-acs-date": None}, "IllegalTimestamp"),
    ],
)
def test_acs3_signed_by_another_client(changes: dict[str, str | None], code: str | None) -> None:
    """A signature that is right is not enough: what must be there is there, and the hash is the body's."""
    given = SIGNATURES["acs3"](HOST, OWN).sign(CALL, NOW, NONCE)
    merged = given.headers | {"accept": "*/*"} | changes
    headers = {name: text for name, text in merged.items() if text is not None}
    signed = sorted(headers.keys() - {"authorization"})
    canonical = second_signer.v3_canonical_request(
        "POST", "/", said(given.query), headers, signed, given.body
    )
    signature = second_signer.v3_signature(canonical, "testsecret")
    headers["authorization"] = second_signer.v3_authorization("testid", signed, signature)
    answer = check(replace(given, headers=headers), access_key(OWN))
    assert (answer.code if isinstance(answer, Fault) else None) == code


def test_acs3_content_type_of_no_content() -> None:
    """An unsigned content type is a defect with a body only: aiohttp adds one to an empty body."""
    given = SIGNATURES["acs3"](HOST, OWN).sign(Call("DescribeSecret", METADATA), NOW, NONCE)
    signed = sorted(second_signer.v3_required_headers(given.headers) - {"content-type"})
    canonical = second_signer.v3_canonical_request(
        "POST", "/", said(given.query), given.headers, signed, given.body
    )
    signature = second_signer.v3_signature(canonical, "testsecret")
    given.headers["authorization"] = second_signer.v3_authorization("testid", signed, signature)
    assert isinstance(check(given, access_key(OWN)), Caller)
    assert isinstance(check(replace(given, body=b"a=b"), access_key(OWN)), Fault)


def test_rpc1_without_a_nonce_is_refused() -> None:
    """What has no nonce could be sent again by anybody who has seen it (H25)."""
    parameters = said(SIGNATURES["rpc1"](HOST, OWN).sign(CALL, NOW, NONCE).body)
    del parameters["SignatureNonce"]
    parameters["Signature"] = second_signer.v1_signature("GET", parameters, "testsecret")
    request = Request("GET", second_signer.canonical_query(parameters), {"host": HOST}, b"")
    caller = check(request, access_key(OWN))
    assert isinstance(caller, Fault)
    assert (caller.code, "SignatureNonce" in caller.message) == ("MissingParameter", True)


def test_headers_of_a_request() -> None:
    """Everything but the length is in the headers; the value is in the form body and nowhere else."""
    request = SIGNATURES["acs3"](HOST, TEMPORARY, user_agent="bulkseed/1").sign(CALL, NOW, NONCE)
    assert request.headers.pop("authorization").startswith("ACS3-HMAC-SHA256 Credential=STS.testid,")
    assert request.headers == {
        "host": HOST,
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "bulkseed/1",
        "x-acs-accesskey-id": "STS.testid",
        "x-acs-action": "CreateSecret",
        "x-acs-content-sha256": request.headers["x-acs-content-sha256"],
        "x-acs-date": "2024-02-29T23:59:59Z",
        "x-acs-security-token": "CAISexample+/=token",
        "x-acs-signature-nonce": NONCE,
        "x-acs-version": "2016-01-20",
    }
    assert request.query == "SecretName=app%2Fdb&VersionId=v1"
    assert request.body == f"SecretData={percent(VALUE)}".encode()
    plain = SIGNATURES["rpc1"](HOST, OWN).sign(CALL, NOW, NONCE)
    assert set(plain.headers) == {"host", "accept", "content-type", "user-agent"}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signer_is_used_again(name: str) -> None:
    """Seconds go forward and back, calls change, and every request stands alone."""
    signer = SIGNATURES[name](HOST, OWN)
    kept = []
    for number, now in enumerate([NOW, NOW + 0.5, NOW + 1, NOW - 3600]):
        request = signer.sign(Call(f"Action{number}", METADATA), now, f"nonce-{number}")
        assert "content-length" not in request.headers
        kept.append((replace(request, headers=request.headers.copy()), now))
        request.headers["content-length"] = "17"
    for number, (request, now) in enumerate(kept):
        caller = check(request, access_key(OWN), now)
        assert isinstance(caller, Caller)
        assert (caller.action, caller.nonce) == (f"Action{number}", f"nonce-{number}")
        assert caller.timestamp == int(now)


@pytest.mark.parametrize(
    "own",
    [
        replace(OWN, access_key_id="testid\n"),
        replace(OWN, access_key_id="tesťid"),
        replace(TEMPORARY, security_token=SecretValue("CAIS\r\nx-acs-action: DeleteSecret")),
    ],
)
def test_credentials_that_break_a_header_are_refused(own: Credentials) -> None:
    """A line break pasted into a key id or token is the caller's mistake, and its text is not repeated."""
    with pytest.raises(CredentialsError, match="line break") as refused:
        SIGNATURES["acs3"](HOST, own)
    assert "CAIS" not in str(refused.value)


@pytest.mark.parametrize("query", ["A=1\r\nx-acs-action: other", "A=1\n"])
def test_acs3_signs_no_line_break(query: str) -> None:
    """What is written as a head cannot bring a header of its own."""
    own = Credentials("id", SecretValue("fake"))
    with pytest.raises(ValueError, match="line break"):
        SIGNATURES["acs3"](HOST, own).sign(Call("CreateSecret", query), NOW, NONCE)
    with pytest.raises(ValueError, match="line break"):
        SIGNATURES["acs3"](f"{HOST}\r\nx: y", own)
