"""Managed secrets of every type against a plain model: values, stages, rotation now and when it is due.

Sources: SDK 3.3.1 (GetSecretValue for the form of each type's value, RotateSecret,
UpdateSecretRotationPolicy), and the CreateSecret page for accounts that take turns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from support.kms import NOW, UNLIMITED, Desk, create

from bulkseed.model import Fault
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    create_key,
    delete_secret,
    describe_secret,
    disable_key,
    enable_key,
    get_secret_value,
    list_secret_version_ids,
    restore_secret,
    rotate_secret,
    update_secret_rotation_policy,
)
from bulkseed.wire.encoding import timestamp

pytestmark = pytest.mark.usefixtures("few_rsa_keys")

HOUR, DAY = 3_600, 86_400
PASSWORD = {"AccountName", "AccountPassword"}
DOUBLE: dict[str, Any] = {"SecretSubType": "DoubleUsers", "RegionId": "r", "AccountName": "u"}


class Kind(NamedTuple):
    """A managed secret: how it is created, the fields of its value, and the accounts that take turns.

    `before` is the account that ACSPrevious names from the start.
    """

    type: str
    name: str
    config: dict[str, Any]
    value: Any
    fields: set[str]
    turns: tuple[str, ...]
    before: str | None = None


def accounts(*names: str) -> Any:
    """Return the value that an Rds secret is created with."""
    return {"Accounts": [{"AccountName": name, "AccountPassword": "fake"} for name in names]}


KINDS = {
    "single": Kind(
        "Rds",
        "single",
        {"SecretSubType": "SingleUser", "DBInstanceId": "rm-1"},
        accounts("a"),
        PASSWORD,
        ("a",),
    ),
    "double": Kind(
        "Rds",
        "double",
        {"SecretSubType": "DoubleUsers", "DBInstanceId": "rm-1"},
        accounts("a", "b"),
        PASSWORD,
        ("a", "b"),
        "b",
    ),
    "second-made": Kind(
        "Rds",
        "second-made",
        {"SecretSubType": "DoubleUsers", "DBInstanceId": "rm-1"},
        accounts("a"),
        PASSWORD,
        ("a", "a_clone"),
    ),
    "redis": Kind(
        "Redis",
        "redis",
        DOUBLE | {"InstanceId": "i", "CloneAccountName": "u_clone", "AccountPrivilege": "RoleReadOnly"},
        "$Auto",
        PASSWORD,
        ("u", "u_clone"),
        "u_clone",
    ),
    "polardb": Kind(
        "PolarDB",
        "polardb",
        DOUBLE | {"DBClusterId": "pc-1", "DBType": "MySQL"},
        "$Auto",
        PASSWORD,
        ("u", "u_clone"),
        "u_clone",
    ),
    "ram": Kind(
        "RAMCredentials",
        "$Auto",
        {"SecretSubType": "RamUserAccessKey", "UserName": "u"},
        {"AccessKeys": [{"AccessKeyId": "id", "AccessKeySecret": "fake"}]},
        {"AccessKeyId", "AccessKeySecret", "GenerateTimestamp"},
        (),
    ),
    "ecs": Kind(
        "ECS",
        "acs/ecs/password",
        {"SecretSubType": "Password", "RegionId": "r", "InstanceId": "i"},
        {"UserName": "root", "Password": "fake"},
        {"UserName", "Password"},
        (),
    ),
    "ssh": Kind(
        "ECS",
        "acs/ecs/key",
        {"SecretSubType": "SSHKey", "RegionId": "r", "InstanceId": "i"},
        {"UserName": "root", "PublicKey": "ssh-rsa x", "PrivateKey": "fake"},
        {"UserName", "PublicKey", "PrivateKey"},
        (),
    ),
}
whats = st.sampled_from([*KINDS, *KINDS, "generic", "none"])


@dataclass
class Secret:
    """What the model knows about a secret; the newest value is last."""

    name: str
    values: list[dict[str, str]] = field(default_factory=list)
    made: float = NOW
    version: str | None = "v1"
    used: set[str] = field(default_factory=lambda: {"v1"})
    every: int | None = None
    following: float = 0.0
    last: float | None = None
    state: str = "Disabled"
    delete_at: float | None = None


class RotationModel(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ServiceOptions(rotate_per_hour=0, **UNLIMITED))
        self.now = NOW
        self.key = self.desk.ask(create_key.Request()).key_metadata.key_id
        self.enabled = True
        self.secrets: dict[str, Secret] = {}
        self.expect(create("generic", encryption_key_id=self.key), set())
        for what, kind in KINDS.items():
            value = kind.value if isinstance(kind.value, str) else orjson.dumps(kind.value).decode()
            config = orjson.dumps(kind.config).decode()
            request = create(
                kind.name, value, secret_type=kind.type, extended_config=config, encryption_key_id=self.key
            )
            secret = self.secrets[what] = Secret(self.expect(request, set()).secret_name)
            if kind.before:
                secret.values.append(self.read(what, "ACSPrevious", kind.before))
            secret.values.append(self.read(what, "ACSCurrent", kind.turns[0] if kind.turns else None))

    def expect(self, request: Any, wrong: set[str]) -> Any:
        """Ask the service: it answers one of what is wrong, and if nothing is, a reply."""
        answer = self.desk.ask(request)
        code = answer.code if isinstance(answer, Fault) else None
        assert (code in wrong) if wrong else code is None, (request, answer, wrong)
        return None if code else answer

    def read(self, what: str, stage: str, account: str | None) -> dict[str, str]:
        """Return the value of a stage, which has its type's documented form, and is of this account."""
        kind, secret = KINDS[what], self.secrets[what]
        # Of a managed secret VersionId is ignored.
        reply = self.expect(get_secret_value.Request(secret.name, "another", stage), set())
        value: dict[str, str] = orjson.loads(reply.secret_data.reveal())
        assert value.keys() == kind.fields
        assert all(value.values())
        assert (reply.secret_type, reply.secret_data_type) == (kind.type, "text")
        assert stage in reply.version_stages
        assert value.get("AccountName") == account
        assert value.get("UserName", "root") == "root"
        return value

    def state(self, what: str) -> set[str]:
        """Return what is wrong with naming a secret as a managed one."""
        if what == "generic":
            return {"InvalidParameter"}
        secret = self.secrets.get(what)
        if secret is None:
            return {"Forbidden.ResourceNotFound"}
        return set() if secret.delete_at is None else {"Rejected.ResourceInDeleteWindow"}

    def name(self, what: str) -> str:
        """Return the name of a secret."""
        return self.secrets[what].name if what in self.secrets else what

    def rotated(self, what: str, version: str | None) -> None:
        """Note a rotation: the value that was in force is ACSPrevious now, and a fresh one of its turn is."""
        kind, secret = KINDS[what], self.secrets[what]
        secret.last, secret.version = self.now, version
        secret.used |= {version} if version else set()
        secret.following = self.now + (secret.every or 0)
        secret.state = "Enabled" if secret.every else "Disabled"
        before = secret.values[-1].get("AccountName")
        turns = [name for name in kind.turns if name != before] or list(kind.turns)
        assert self.read(what, "ACSPrevious", before) == secret.values[-1]
        fresh = self.read(what, "ACSCurrent", turns[0] if turns else None)
        changed = {key for key in fresh if fresh[key] != secret.values[-1][key]}
        assert changed >= kind.fields - {"AccountName", "UserName", "GenerateTimestamp"}
        if what == "ram":
            assert fresh["GenerateTimestamp"] == timestamp(self.now)
        if what == "ssh":
            public = load_pem_private_key(fresh["PrivateKey"].encode(), None).public_key()
            assert public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() == fresh["PublicKey"]
        secret.values.append(fresh)

    @rule(what=whats, version=st.sampled_from(["v1", "v2", "v3", "v4", ""]))
    def rotate(self, what: str, version: str) -> None:
        """To a version id that is new; one that is used is a success that changes nothing."""
        wrong = self.state(what)
        fresh = what in self.secrets and version not in self.secrets[what].used
        if not version:
            wrong = wrong | {"InvalidParameter", "MissingParameter"}
        if fresh and not self.enabled:
            wrong = wrong | {"Rejected.Disabled"}
        reply = self.expect(rotate_secret.Request(self.name(what), version), wrong)
        if reply:
            assert (reply.secret_name, reply.version_id) == (self.name(what), version)
            assert reply.arn == f"acs:kms:cn-hangzhou:1000000000000001:secret/{self.name(what)}"
            if fresh:
                self.rotated(what, version)

    @rule(what=whats, on=st.booleans(), every=st.sampled_from([None, 6, 24 * 7, 5, 8761]))
    def set_policy(self, what: str, on: bool, every: int | None) -> None:
        """6 hours to 8,760, needed while it is on, ignored otherwise."""
        wrong = self.state(what)
        if on and every not in (6, 24 * 7):
            wrong = wrong | {"MissingParameter" if every is None else "InvalidParameter"}
        interval = None if every is None else f"{every}h"
        request = update_secret_rotation_policy.Request(self.name(what), on, interval)
        if self.expect(request, wrong):
            secret = self.secrets[what]
            secret.every = every * HOUR if on and every else None
            secret.state = "Enabled" if on else "Disabled"
            secret.following = self.now + (secret.every or 0)

    @rule(what=whats, restore=st.booleans())
    def delete_or_restore(self, what: str, restore: bool) -> None:
        """What is planned to be deleted does not rotate."""
        secret = self.secrets.get(what)
        if secret is not None:
            planned = secret.delete_at is not None
            wrong = (
                set() if planned == restore else {"Rejected.ResourceInUse", "Rejected.ResourceInDeleteWindow"}
            )
            request: Any = (
                restore_secret.Request(secret.name) if restore else delete_secret.Request(secret.name)
            )
            if self.expect(request, wrong):
                secret.delete_at = None if restore else self.now + 30 * DAY

    @rule()
    def change_key(self) -> None:
        """Without its key nothing can be read or rotated."""
        self.expect((disable_key if self.enabled else enable_key).Request(self.key), set())
        self.enabled = not self.enabled

    @rule(hours=st.sampled_from([5, 24, 24 * 8]))
    def let_time_pass(self, hours: int) -> None:
        """What is due rotates once, unless its key forbids it: then its state is Invalid."""
        self.now += hours * HOUR
        self.desk.now = self.now
        for what, secret in list(self.secrets.items()):
            if secret.delete_at is not None:
                if secret.delete_at <= self.now:
                    del self.secrets[what]
            elif secret.every and secret.following <= self.now:
                if self.enabled:
                    self.rotated(what, None)
                else:
                    secret.state = "Invalid"

    @rule(what=whats)
    def describe(self, what: str) -> None:
        """The policy, its dates, and both stages among the versions."""
        secret = self.secrets.get(what)
        if secret is None or secret.delete_at is not None:
            return
        shown = self.expect(describe_secret.Request(secret.name), set())
        assert (shown.secret_type, shown.automatic_rotation) == (KINDS[what].type, secret.state)
        assert shown.rotation_interval == (f"{secret.every}s" if secret.every else None)
        assert shown.last_rotation_date == (timestamp(secret.last) if secret.last else None)
        if secret.state != "Invalid":
            assert shown.next_rotation_date == (timestamp(secret.following) if secret.every else None)
        listed = self.expect(list_secret_version_ids.Request(secret.name, True), set())
        stages = {stage: each.version_id for each in listed.version_ids for stage in each.version_stages}
        assert stages.keys() == {"ACSCurrent", "ACSPrevious"} if len(secret.values) > 1 else {"ACSCurrent"}
        assert secret.version in (None, stages["ACSCurrent"])
        for stage in ("ACSCurrent", "ACSPrevious", "another"):
            wrong = set() if stage in stages else {"Forbidden.ResourceNotFound"}
            request = get_secret_value.Request(secret.name, version_stage=stage)
            self.expect(request, wrong | (set() if self.enabled else {"Rejected.Disabled"}))


TestRotationModel = RotationModel.TestCase
TestRotationModel.settings = settings(max_examples=20, stateful_step_count=40)
