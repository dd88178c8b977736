"""The gate of the service: what is refused before any handler sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.kms import NOW, UNLIMITED, Desk
from support.managed import accounts, rds
from support.pages import TEXTS

from bulkseed.model import Credentials, SecretValue
from bulkseed.service.access.quota import Window
from bulkseed.service.kms import BODY_LIMIT
from bulkseed.service.options import ServiceOptions
from bulkseed.service.served import SERVED
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.actions import (
    create_secret,
    delete_secret,
    describe_secret,
    get_random_password,
    get_secret_value,
    list_secrets,
    rotate_secret,
)
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call, Request
from bulkseed.wire.signing.verify import CLOCK_WINDOW, SIGNATURES

CREATE = create_secret.Request("name", "v1", SecretValue("value"))
PAGE = list_secrets.Request()


def signed(desk: Desk, call: Call, *, at: float = NOW, nonce: str = "n") -> Request:
    """Sign a call with the root's key."""
    return SIGNATURES[desk.signature]("kms.test", desk.credentials).sign(call, at, nonce)


def code(desk: Desk, request: Request) -> str:
    """Return the fault's code."""
    return decode_fault(desk.kms.handle(request, desk.now)).code


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
@pytest.mark.parametrize("skew", [-CLOCK_WINDOW - 1, CLOCK_WINDOW + 1])
def test_a_clock_that_is_far_off_is_refused(signature: str, skew: float) -> None:
    """15 minutes either way are tolerated, more is not."""
    desk = Desk(signature=signature)
    assert code(desk, signed(desk, PAGE.encode(), at=NOW + skew)) == "InvalidTimeStamp.Expired"
    inside = signed(desk, PAGE.encode(), at=NOW + skew - skew / abs(skew))
    assert desk.kms.handle(inside, NOW).status == 200


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_a_nonce_is_used_once(signature: str) -> None:
    """The same request again is refused, also when it is as far ahead as clocks may be."""
    desk = Desk(signature=signature)
    request = signed(desk, CREATE.encode(), at=NOW + CLOCK_WINDOW)
    assert desk.kms.handle(request, NOW).status == 200
    assert code(desk, request) == "SignatureNonceUsed"
    desk.now = NOW + 2 * CLOCK_WINDOW - 1
    assert code(desk, request) == "SignatureNonceUsed"
    desk.now = NOW + 2 * CLOCK_WINDOW + 1
    assert code(desk, request) == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_strangers_are_refused(signature: str) -> None:
    """An unknown key id, a wrong secret and a token that was not asked for have codes of their own."""
    desk = Desk(signature=signature)
    root = desk.credentials
    assert desk.code(PAGE, replace(root, access_key_id="nobody")) == "InvalidAccessKeyId.NotFound"
    assert desk.code(PAGE, replace(root, access_key_secret=SecretValue("no"))) == "SignatureDoesNotMatch"
    assert desk.code(PAGE, replace(root, security_token=SecretValue("t"))) == (
        "InvalidSecurityToken.MismatchWithAccessKey"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"body": b"x" * (BODY_LIMIT + 1)}, "ParseRequestParameterException"),
        ({"body": b"a=%zz"}, "ParseRequestParameterException"),
        ({"body": b"a=%ff"}, "ParseRequestParameterException"),
        ({"query": "a=%ff"}, "ParseRequestParameterException"),
        ({"query": "SecretName=a&SecretName=b"}, "ParseRequestParameterException"),
        ({"query": "SecretName=a", "body": b"SecretName=a"}, "ParseRequestParameterException"),
        ({"query": "Format=YAML"}, "InvalidParameter"),
        ({"method": "PUT"}, "UnsupportedHTTPMethod"),
        ({"path": "/other"}, "InvalidAction.NotFound"),
        ({"headers": {}}, "IncompleteSignature"),
        ({"headers": {"content-type": "application/json"}, "body": b"{}"}, "ParseRequestParameterException"),
    ],
)
def test_malformed_requests_are_refused_clearly(change: dict[str, object], expected: str) -> None:
    """A request that cannot be read is a client error with a code, never an internal failure."""
    desk = Desk()
    request = signed(desk, PAGE.encode())
    response = desk.kms.handle(replace(request, **change), NOW)  # type: ignore[arg-type]  # fields by name
    assert decode_fault(response).code == expected
    assert 400 <= response.status < 500


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_unknown_actions_and_versions_are_refused(signature: str) -> None:
    """Signed well, but there is no such action or version."""
    desk = Desk(signature=signature)
    assert code(desk, signed(desk, Call("CreateWorld"))) == "InvalidAction.NotFound"


def test_the_manual_names_what_stays_out() -> None:
    """Every action of the vendor's SDK is served or named as left out, and those are answered as unknown."""
    from alibabacloud_kms20160120 import models

    known = {name.removesuffix("Response") for name in dir(models) if name.endswith("Response")}
    page = TEXTS["local-kms"]
    named = page.partition("<!-- absent -->")[2].partition("Each is")[0]
    absent = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", named))
    assert known - SERVED.keys() <= absent
    assert not absent & SERVED.keys()
    assert len(known - SERVED.keys()) > 30
    desk = Desk()
    for name in sorted(absent):
        response = desk.send(Call(name))
        assert (response.status, decode_fault(response).code) == (404, "InvalidAction.NotFound"), name


def test_xml_when_it_is_asked_for() -> None:
    """Format=XML gives XML replies and XML errors; JSON that XML cannot carry is refused."""
    desk = Desk(signature="acs3")
    assert desk.code(create_secret.Request("n", "v1", SecretValue("<&>\r"))) is None
    assert desk.code(create_secret.Request("c", "v1", SecretValue("\x00"))) is None

    def read(name: str) -> Call:
        call = get_secret_value.Request(name).encode()
        return replace(call, query=f"Format=XML&{call.query}")

    response = desk.send(read("n"))
    assert response.headers["content-type"] == "text/xml;charset=utf-8"
    assert b"<KMS>" in response.body
    assert b"<SecretData>&lt;&amp;&gt;&#13;</SecretData>" in response.body
    assert b"<VersionStages><VersionStage>ACSCurrent</VersionStage></VersionStages>" in response.body
    assert desk.send(read("nowhere")).body.startswith(b"<?xml")
    assert decode_fault(desk.send(read("nowhere"))).code == "Forbidden.ResourceNotFound"
    assert decode_fault(desk.send(read("c"))).code == "InvalidParameter"


def test_groups_have_quotas_of_their_own() -> None:
    """Create and delete share one, reads another, the rest a third; each is a strict sliding second."""
    desk = Desk(ServiceOptions(create_qps=2, read_qps=1, manage_qps=1))
    assert desk.code(create_secret.Request("a", "v1", SecretValue("x"))) is None
    desk.now += 0.5
    assert desk.code(delete_secret.Request("a")) is None
    assert desk.code(create_secret.Request("b", "v1", SecretValue("x"))) == "Rejected.Throttling"
    assert desk.code(describe_secret.Request("a")) is None
    assert desk.code(get_secret_value.Request("a")) == "Rejected.Throttling"
    assert desk.code(PAGE) is None
    assert desk.code(get_random_password.Request()) == "Rejected.Throttling"
    desk.now += 0.499
    assert desk.code(create_secret.Request("b", "v1", SecretValue("x"))) == "Rejected.Throttling"
    desk.now += 0.001
    assert desk.code(create_secret.Request("b", "v1", SecretValue("x"))) is None
    assert desk.code(create_secret.Request("c", "v1", SecretValue("x"))) == "Rejected.Throttling"


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_each_request_takes_its_quota_once(signature: str) -> None:
    """Also one that is refused by its handler; one whose signature is refused takes none."""
    desk = Desk(ServiceOptions(create_qps=4), signature)
    stranger = replace(desk.credentials, access_key_secret=SecretValue("no"))
    assert desk.code(CREATE) is None
    assert desk.code(CREATE, stranger) == "SignatureDoesNotMatch"
    assert desk.code(CREATE) == "Rejected.ResourceExist"
    assert desk.code(create_secret.Request("a b", "v1", SecretValue("x"))) == "InvalidParameter"
    assert desk.code(create_secret.Request("b", "v1", SecretValue("x"))) is None
    assert desk.code(create_secret.Request("c", "v1", SecretValue("x"))) == "Rejected.Throttling"


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_changes_no_quota(jump: float) -> None:
    """Windows go by the clock that nobody sets: no hour without creates, and none more than the limit.

    (E1, H13)
    """
    desk = Desk(ServiceOptions(create_qps=1))

    def create(name: str, now: float, steady: float) -> str | None:
        request = signed(
            desk, create_secret.Request(name, "v1", SecretValue("x")).encode(), at=now, nonce=name
        )
        response = desk.kms.handle(request, now, steady)
        return None if response.status == 200 else decode_fault(response).code

    assert create("a", NOW, 50.0) is None
    assert create("b", NOW + jump, 50.9) == "Rejected.Throttling"
    assert create("c", NOW + jump, 51.0) is None


@pytest.mark.parametrize("jump", [-600.0, 600.0])
async def test_a_clock_that_is_set_changes_no_quota_of_what_is_served(jump: float) -> None:
    """What stands before the service hands it both clocks, each for what it is for (E1, H13)."""
    desk = Desk(ServiceOptions(create_qps=1, rotate_per_hour=1))
    wall, steady = NOW, 50.0
    gate = Gate(desk.kms, clock=lambda: wall, steady=lambda: steady)

    async def code(asked: create_secret.Request | rotate_secret.Request, nonce: str) -> str | None:
        response = await gate.answer(signed(desk, asked.encode(), at=wall, nonce=nonce))
        assert response is not None
        return None if response.status == 200 else decode_fault(response).code

    assert await code(rds("s", accounts(("app", "first"))), "1") is None
    assert await code(rotate_secret.Request("s", "r1"), "2") is None
    wall, steady = NOW + jump, 50.9
    assert await code(create_secret.Request("b", "v1", SecretValue("x")), "3") == "Rejected.Throttling"
    steady = 51.0
    assert await code(create_secret.Request("c", "v1", SecretValue("x")), "4") is None
    wall, steady = NOW + 6 * jump, 50.0 + 3599.0
    assert await code(rotate_secret.Request("s", "r2"), "5") == "Rejected.Throttling"
    steady = 50.0 + 3600.0
    assert await code(rotate_secret.Request("s", "r3"), "6") is None


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_every_reply_names_its_request_in_a_header(form: str) -> None:
    """x-acs-request-id is the RequestId of the body, of a success and of a refusal, and never the same."""
    desk = Desk()
    call = replace(CREATE.encode(), query=f"Format={form}&{CREATE.encode().query}")
    ids = [response.headers["x-acs-request-id"] for response in (desk.send(call), desk.send(call))]
    again = desk.send(call)
    assert again.status == 409
    assert again.headers["x-acs-request-id"].encode() in again.body
    assert len({*ids, again.headers["x-acs-request-id"]}) == 3


def test_a_quota_may_be_less_than_one_a_second() -> None:
    """Half a request a second is one in two seconds."""
    desk = Desk(ServiceOptions(manage_qps=0.5))
    assert desk.code(PAGE) is None
    desk.now += 1.9
    assert desk.code(PAGE) == "Rejected.Throttling"
    desk.now += 0.1
    assert desk.code(PAGE) is None


def test_a_window_lets_through_its_limit_and_no_more() -> None:
    """Whatever was refused does not count, and the wait that is told is enough."""
    window, now, let_through = Window(3), 0.0, []
    for step in range(400):
        wait = window.take(now)
        if wait is None:
            let_through.append(now)
            now += 0.01 * (step % 7)
        else:
            now += wait if step % 3 else wait / 2
    for start in let_through:
        assert sum(start <= t < start + 1 for t in let_through) <= 3


def test_a_temporary_key_needs_its_token(tmp_path: Path) -> None:
    """STS: the token must be there, be right, and not be expired (H25)."""
    user: dict[str, Any] = {
        "name": "sts",
        "access_key_id": "STS.1",
        "access_key_secret": "s",
        "security_token": "tok",
    }
    user |= {"expires_at": NOW + 60, "allow": [{"action": "kms:*", "resource": "*"}]}
    path = tmp_path / "policies.json"
    path.write_bytes(orjson.dumps({"users": [user]}))
    desk = Desk(ServiceOptions(policies=path, **UNLIMITED))
    sts = Credentials("STS.1", SecretValue("s"), SecretValue("tok"))
    assert desk.code(PAGE, sts) is None
    mismatch = "InvalidSecurityToken.MismatchWithAccessKey"
    assert desk.code(PAGE, replace(sts, security_token=SecretValue("other"))) == mismatch
    assert desk.code(PAGE, replace(sts, security_token=None)) == mismatch
    for token in (SecretValue("tok"), SecretValue("other"), None):
        unsigned = Credentials("STS.1", SecretValue("wrong"), token)
        assert desk.code(PAGE, unsigned) == "SignatureDoesNotMatch", "nothing of the token is told"
    desk.now += 61
    assert desk.code(PAGE, sts) == "InvalidSecurityToken.Expired"
