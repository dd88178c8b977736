"""A state machine of keys, of every kind, in every state: what models of their uses have in common.

What the model states of states is on "Impact of CMK status on API operations". Where several things are wrong
at once no page says which of them is told: each of their codes is right.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bulkseed.model import Fault
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_alias,
    create_key,
    disable_key,
    enable_key,
    schedule_key_deletion,
)
from support.kms import NOW, UNLIMITED, Desk

DAY = 86_400
ARN = "acs:kms:cn-hangzhou:1000000000000001:"
KINDS = {  # specification, usage
    "aes": ("Aliyun_AES_256", "ENCRYPT/DECRYPT"),
    "rsa-sign": ("RSA_2048", "SIGN/VERIFY"),
    "rsa-seal": ("RSA_2048", "ENCRYPT/DECRYPT"),
    "ec": ("EC_P256", "SIGN/VERIFY"),
    "mac": ("HMAC_SHA_256", "GENERATE/VERIFY"),
}
ALGORITHMS = {  # what a key of each kind does (AsymmetricSign, AsymmetricEncrypt, GenerateMac pages)
    "rsa-sign": {"RSA_PSS_SHA_256", "RSA_PKCS1_SHA_256"},
    "ec": {"ECDSA_SHA_256"},
    "rsa-seal": {"RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"},
    "mac": {"HMAC_SHA_256"},
}
STATES = {"Disabled": "Rejected.Disabled", "Pending": "Rejected.PendingDeletion"}

kinds = st.sampled_from([*KINDS, *KINDS, "none"])
ways = st.sampled_from(["id", "alias", "arn", "alias-arn"])
numbers = st.integers(0, 3)
contexts = st.sampled_from([None, '{"a":"b","c":"d"}', '{"c": "d", "a": "b"}', '{"a":"x"}'])


def b64(text: str) -> str:
    """Return Base64."""
    return base64.b64encode(text.encode()).decode()


def spoilt(text: str) -> str:
    """Return Base64 whose last byte is another one."""
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    return base64.b64encode(raw).decode()


@dataclass
class Held:
    """What the model knows about a key; its versions are newest first, with their times."""

    id: str
    state: str
    versions: list[tuple[str, float]]
    due: float | None = None


class Made(NamedTuple):
    """A signature, a ciphertext or a code: of what it was made, and how."""

    kind: str
    version: str
    algorithm: str
    text: str | None
    blob: str


class KeyMachine(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = NOW
        self.desk = self.start()
        self.keys: dict[str, Held] = {}
        for kind, (spec, usage) in KINDS.items():
            made = self.desk.ask(create_key.Request(key_spec=spec, key_usage=usage)).key_metadata
            self.keys[kind] = Held(made.key_id, "Enabled", [(made.primary_key_version, NOW)])
            self.desk.ask(create_alias.Request(f"alias/{kind}", made.key_id))

    def start(self) -> Desk:
        """Return a service on the folder."""
        return Desk(ServiceOptions(data_dir=Path(self.folder.name), **UNLIMITED), now=self.now)

    def expect(self, request: Any, wrong: set[str]) -> Any:
        """Ask the service: it answers one of what is wrong, and if nothing is, a reply."""
        answer = self.desk.ask(request)
        code = answer.code if isinstance(answer, Fault) else None
        assert (code in wrong) if wrong else code is None, (request, answer, wrong)
        return None if code else answer

    def name(self, kind: str, way: str) -> str:
        """Return a key's name in one of the ways that the pages know."""
        key = self.keys[kind].id if kind in KINDS else "00000000-0000-0000-0000-000000000000"
        names = {
            "id": key,
            "alias": f"alias/{kind}",
            "arn": f"{ARN}key/{key}",
            "alias-arn": f"{ARN}alias/{kind}",
        }
        return names[way]

    def state(self, kind: str, way: str = "id", *, used: bool = True) -> set[str]:
        """Return what is wrong with naming a key, or with using it."""
        key = self.keys.get(kind)
        if key is None or key.state == "gone":
            return {"Forbidden.AliasNotFound" if way.startswith("alias") else "Forbidden.KeyNotFound"}
        return {STATES[key.state]} if used and key.state in STATES else set()

    def version(self, kind: str, number: int) -> tuple[str, set[str]]:
        """Return the id of one of a key's versions, or one that it does not have."""
        versions = self.keys[kind].versions if kind in KINDS else []
        if number < len(versions):
            return versions[number][0], set()
        return "00000000-0000-0000-0000-000000000001", {"Forbidden.KeyVersionNotFound"}

    def wrong(self, kind: str, algorithm: str, usage: str) -> set[str]:
        """Return what is wrong with the algorithm, or with this use, for a key of this kind."""
        known = set().union(*ALGORITHMS.values()) if kind == "none" else ALGORITHMS.get(kind, set())
        wrong = set() if algorithm in known else {"InvalidParameter"}
        fits = kind == "none" or (kind != "aes" and KINDS[kind][1] == usage)
        return wrong if fits else wrong | {"UnsupportedOperation"}

    @rule(kind=kinds, what=st.sampled_from(["disable", "enable", "enable", "schedule", "cancel", "cancel"]))
    def change_state(self, kind: str, what: str) -> None:
        """What each state allows is the table of the page."""
        key, wrong = self.keys.get(kind), self.state(kind, used=False)
        pending = key is not None and key.state == "Pending"
        if not wrong and pending != (what == "cancel"):
            wrong = {"Rejected.StateModifiedFailed"}
        name = self.name(kind, "id")
        request, after = {
            "disable": (disable_key.Request(name), "Disabled"),
            "enable": (enable_key.Request(name), "Enabled"),
            "schedule": (schedule_key_deletion.Request(name, 7), "Pending"),
            "cancel": (cancel_key_deletion.Request(name), "Enabled"),
        }[what]
        if self.expect(request, wrong) and key:
            key.state, key.due = after, self.now + 7 * DAY if after == "Pending" else None

    @rule(days=st.sampled_from([1, 6, 8]))
    def let_time_pass(self, days: int) -> None:
        """A key whose window is over is gone, and its alias with it."""
        self.now += days * DAY
        self.desk.now = self.now
        for key in self.keys.values():
            if key.due is not None and key.due <= self.now:
                key.state, key.due = "gone", None

    @rule()
    def restart(self) -> None:
        """Nothing is forgotten."""
        self.desk.kms.commit()
        self.desk.kms.close()
        self.desk = self.start()

    def teardown(self) -> None:
        """Stop the service."""
        self.desk.kms.close()
        self.folder.cleanup()
