"""What RAM users may do: statements, secrets' own policies, and parameters that change no decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kms import UNLIMITED, Desk, create, put

from bulkseed.errors import UsageError
from bulkseed.model import Credentials, SecretValue
from bulkseed.service.access.policies import read_policies
from bulkseed.service.options import ServiceOptions
from bulkseed.service.served import SERVED
from bulkseed.wire.actions import (
    create_key,
    delete_secret,
    describe_secret,
    encrypt,
    get_secret_value,
    re_encrypt,
)
from bulkseed.wire.actions.codec import shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call

CI = Credentials("ci", SecretValue("ci-secret"))
RAM = "acs:ram::1000000000000001:"
ARN = "acs:kms:cn-hangzhou:1000000000000001:"


def user(**more: Any) -> dict[str, Any]:
    """Return a RAM user of a policies file."""
    return {"name": "ci", "access_key_id": "ci", "access_key_secret": "ci-secret", **more}


def allowed(actions: Any, resources: Any) -> dict[str, Any]:
    """Return a statement."""
    return {"action": actions, "resource": resources}


def desk_with(tmp_path: Path, *users: dict[str, Any]) -> Desk:
    """Return a service with RAM users."""
    path = tmp_path / "policies.json"
    path.write_bytes(orjson.dumps({"users": users}))
    return Desk(ServiceOptions(policies=path, **UNLIMITED))


def test_deny_wins(tmp_path: Path) -> None:
    """What is denied stays so, whatever else allows it (H5)."""
    mine = user(allow=[allowed("kms:*", "*")], deny=[allowed("kms:DeleteSecret", f"{ARN}secret/prod/*")])
    desk = desk_with(tmp_path, mine)
    for name in ("prod/a", "test/a"):
        assert desk.code(create(name), CI) is None
    assert desk.code(delete_secret.Request("prod/a", True), CI) == "Forbidden.NoPermission"
    assert desk.code(delete_secret.Request("test/a", True), CI) is None


@pytest.mark.parametrize("pattern", ["secret/a?c", "secret/a[b]c", "secret/a.c", "secret/A*"])
def test_only_the_asterisk_is_a_wildcard(tmp_path: Path, pattern: str) -> None:
    """Question marks and brackets mean themselves (H5)."""
    desk = desk_with(tmp_path, user(allow=[allowed("kms:*", ARN + pattern)]))
    assert desk.code(create("abc"), CI) == "Forbidden.NoPermission"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "not a policies file"),
        ("{", "not a policies file"),
        ('{"users":[],"user":[]}', "unknown: user"),
        ('{"users":[{"access_key_id":"a","access_key_secret":"s","Effect":"Deny"}]}', "unknown: Effect"),
        (
            '{"users":[{"access_key_id":"a","access_key_secret":"s","allow":[{"Effect":"Deny"}]}]}',
            "unknown: Effect",
        ),
        ('{"users":[{"access_key_id":"a","access_key_secret":"s","allow":[],"allow":[]}]}', "twice"),
        (
            '{"users":[%s,%s]}' % (('{"access_key_id":"a","access_key_secret":"s"}',) * 2),
            "same access_key_id",
        ),
        ('{"users":[{"access_key_id":"a","access_key_secret":"s","expires_at":"soon"}]}', "not a policies"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """Unknown keys and repetitions are errors, so that nothing is allowed by mistake (H5)."""
    path = tmp_path / "policies.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_policies(path, "1")


def test_the_root_key_is_no_ram_user(tmp_path: Path) -> None:
    """A user with the id of the root caller would be root: refused."""
    with pytest.raises(UsageError, match="root caller"):
        desk_with(tmp_path, user() | {"access_key_id": "embedded"})


def test_a_key_of_the_customer_needs_permissions_of_its_own(tmp_path: Path) -> None:
    """kms:Decrypt to read what it protects, kms:GenerateDataKey to write (GetSecretValue page)."""
    secrets = allowed(["kms:GetSecretValue", "kms:PutSecretValue", "kms:CreateSecret"], f"{ARN}secret/*")
    desk = desk_with(tmp_path, user(allow=[secrets]))
    key = desk.ask(create_key.Request()).key_metadata.key_id
    desk.ask(create("mine", encryption_key_id=key))
    assert desk.code(get_secret_value.Request("mine"), CI) == "Forbidden.NoPermission"
    assert desk.code(put("v2", "x", "mine"), CI) == "Forbidden.NoPermission"
    assert desk.code(create("other"), CI) is None, "the key of the service needs none"
    assert desk.code(get_secret_value.Request("other"), CI) is None
    with_key = user(allow=[secrets, allowed(["kms:Decrypt", "kms:GenerateDataKey"], f"{ARN}key/*")])
    desk = desk_with(tmp_path, with_key)
    key = desk.ask(create_key.Request()).key_metadata.key_id
    assert desk.code(create("mine", encryption_key_id=key), CI) is None
    assert desk.code(get_secret_value.Request("mine"), CI) is None
    assert desk.code(put("v2", "x", "mine"), CI) is None


def everybody(effect: str, principal: str, action: str, **more: Any) -> str:
    """Return a policy of a secret."""
    statement = {"Effect": effect, "Principal": {"RAM": [principal]}, "Action": [action], "Resource": ["*"]}
    return orjson.dumps({"Version": "1", "Statement": [statement | more]}).decode()


@pytest.mark.parametrize(
    ("actions", "code"),
    [
        (["kms:ReEncryptFrom"], "Forbidden.NoPermission"),
        (["kms:ReEncryptTo"], "Forbidden.NoPermission"),
        (["kms:ReEncrypt"], "Forbidden.NoPermission"),
        (["kms:ReEncryptFrom", "kms:ReEncryptTo"], None),
        ("kms:ReEncrypt*", None),
    ],
)
def test_moving_a_ciphertext_needs_two_permissions(tmp_path: Path, actions: Any, code: str | None) -> None:
    """From its key and to the other one (ReEncrypt page)."""
    desk = desk_with(tmp_path, user(allow=[allowed(actions, f"{ARN}key/*")]))
    key = desk.ask(create_key.Request()).key_metadata.key_id
    sealed = desk.ask(encrypt.Request(key, SecretValue("MTIzNA=="))).ciphertext_blob
    assert desk.code(re_encrypt.Request(sealed, key), CI) == code


@pytest.mark.parametrize(
    ("policy", "mine", "code"),
    [
        (everybody("Allow", RAM + "user/ci", "kms:DescribeSecret"), False, None),
        (everybody("Allow", RAM + "*", "kms:*"), False, None),
        (everybody("Allow", RAM + "user/cx", "kms:*"), False, "Forbidden.NoPermission"),
        (everybody("Allow", RAM + "root", "kms:*"), False, "Forbidden.NoPermission"),
        (
            everybody("Deny", RAM + "*", "kms:DescribeSecret"),
            True,
            "Forbidden.NoPermission",
        ),
        (everybody("Deny", RAM + "*", "kms:GetSecretValue"), True, None),
        (
            everybody("Allow", RAM + "*", "kms:*", Condition={"a": {"b": "c"}}),
            False,
            "Forbidden.NoPermission",
        ),
    ],
)
def test_the_policy_of_a_secret_counts(tmp_path: Path, policy: str, mine: bool, code: str | None) -> None:
    """Either policy may allow, and a denial of either wins (overview of secret policies); root may always."""
    statements = [allowed("kms:DescribeSecret", "*")] if mine else []
    desk = desk_with(tmp_path, user(allow=statements))
    desk.ask(create("s", policy=policy))
    assert desk.code(describe_secret.Request("s"), CI) == code
    assert desk.code(describe_secret.Request("s")) is None


NAMES = sorted({f.wire for action in ACTIONS.values() for f in shape(action.request)})
VALUES = st.sampled_from(["ci/x", f"{ARN}secret/ci/x", "alias/ci", "key", "7", "true", "[]", ""])


@pytest.mark.parametrize("action", sorted(SERVED))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_superfluous_parameters_change_no_decision(
    action: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A caller who may use secrets under ``ci/`` only gets the same answer with and without them (H3)."""
    desk = desk_with(tmp_path_factory.mktemp("kms"), user(allow=[allowed("kms:*", f"{ARN}secret/ci/*")]))
    desk.ask(create("other"))
    own = {f.wire for f in shape(ACTIONS[action].request)}
    needed = {
        f.wire: "other" for f in shape(ACTIONS[action].request) if f.required and f.kind in (str, SecretValue)
    }
    plain = data.draw(st.dictionaries(st.sampled_from(sorted(own) or ["None"]), VALUES, max_size=3)) | needed
    extra = data.draw(
        st.dictionaries(st.sampled_from([n for n in NAMES if n not in own]), VALUES, max_size=4)
    )

    def answer(parameters: dict[str, str]) -> str | None:
        response = desk.send(Call(action, canonical_query(parameters.items())), CI)
        return None if response.status == 200 else decode_fault(response).code

    denied = "Forbidden.NoPermission"
    assert (answer(plain) == denied) == (answer(plain | extra) == denied)
