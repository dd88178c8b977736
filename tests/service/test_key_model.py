"""Keys, aliases, ciphertexts and policies against a plain model: random sequences of what uses them."""

from __future__ import annotations

import base64
import itertools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.kms import NOW, UNLIMITED, Desk

from bulkseed.model import Credentials, Fault, SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_alias,
    create_key,
    create_secret,
    decrypt,
    delete_alias,
    disable_key,
    enable_key,
    encrypt,
    get_key_policy,
    get_secret_policy,
    get_secret_value,
    list_aliases,
    schedule_key_deletion,
    set_key_policy,
    set_secret_policy,
    update_alias,
    update_rotation_policy,
)

DAY = 86_400
USER = "acs:ram::1000000000000001:user/ci"
STATES = {"Disabled": "Rejected.Disabled", "Pending": "Rejected.PendingDeletion"}
aliases = st.sampled_from(["alias/a", "alias/b"])
picks = st.integers(0, 2)
contexts = st.sampled_from([None, "", '{"a":"b","c":"d"}', '{"c": "d", "a": "b"}', '{"a":"x"}'])
effects = st.lists(st.sampled_from([("Allow", USER), ("Deny", USER), ("Allow", USER + "2")]), max_size=2)


class Sealed(NamedTuple):
    """A ciphertext, and what it was made of."""

    key: str
    context: dict[str, str]
    plaintext: str
    blob: str


def policy(decisions: list[tuple[str, str]], action: str) -> str:
    """Return a policy that decides so about `action`; something else, too."""
    statements = [("Allow", "acs:ram::1000000000000001:root", "kms:*")]
    statements += [(effect, who, action) for effect, who in decisions]
    return orjson.dumps(
        {
            "Version": "1",
            "Statement": [
                {"Effect": effect, "Principal": {"RAM": [who]}, "Action": [what], "Resource": ["*"]}
                for effect, who, what in statements
            ],
        }
    ).decode()


def allows(decisions: list[tuple[str, str]], *, else_allowed: bool) -> bool:
    """Tell what the caller's own statements and a policy's come to: a denial wins."""
    mine = {effect for effect, who in decisions if who == USER}
    return "Deny" not in mine and ("Allow" in mine or else_allowed)


class KeyModel(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares the codes."""

    def __init__(self) -> None:
        super().__init__()
        may = {"action": "kms:GetSecretValue", "resource": "acs:kms:*:*:secret/mine*"}
        user = {"name": "ci", "access_key_id": "ci", "access_key_secret": "fake", "allow": [may]}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "policies.json"
            path.write_bytes(orjson.dumps({"users": [user]}))
            self.desk = Desk(ServiceOptions(policies=path, **UNLIMITED))
        self.user = Credentials("ci", SecretValue("fake"))
        self.keys: dict[str, str] = {}
        self.leaving: dict[str, float] = {}
        self.aliases: dict[str, str] = {}
        self.sealed: list[Sealed] = []
        self.of_keys: dict[str, list[tuple[str, str]]] = {}
        self.of_secrets: dict[str, list[tuple[str, str]]] = {}
        self.now = NOW
        self.commits = itertools.count()
        for name in ("mine", "other"):
            self.expect(create_secret.Request(name, "v1", SecretValue(name)), None)
            self.of_secrets[name] = []

    def expect(self, request: Any, code: str | None, credentials: Credentials | None = None) -> Any:
        """Ask the service, and compare the code."""
        answer = self.desk.ask(request, credentials)
        assert (answer.code if isinstance(answer, Fault) else None) == code, (request, answer)
        if next(self.commits) % 3 == 0:
            self.desk.kms.commit()
        return answer

    def key(self, pick: int) -> str:
        """Return one of the keys, or an id that none has."""
        return list(self.keys)[pick] if pick < len(self.keys) else "00000000-0000-0000-0000-000000000000"

    def state(self, name: str) -> tuple[str | None, str | None]:
        """Return the key that a name means, and the code that using it is answered with."""
        if name.startswith("alias/") and name not in self.aliases:
            return None, "Forbidden.AliasNotFound"
        key = self.aliases.get(name, name)
        if key not in self.keys:
            return None, "Forbidden.KeyNotFound"
        return key, STATES.get(self.keys[key])

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def make_key(self) -> None:
        """A symmetric key."""
        key = self.expect(create_key.Request(), None).key_metadata.key_id
        self.keys[key], self.of_keys[key] = "Enabled", []

    @rule(pick=picks, what=st.sampled_from(["disable", "enable", "schedule", "cancel"]))
    def change_key(self, pick: int, what: str) -> None:
        """Its state decides what it may be used for."""
        key = self.key(pick)
        state = self.keys.get(key)
        pending = "Rejected.StateModifiedFailed" if state == "Pending" else None
        not_pending = None if state == "Pending" else "Rejected.StateModifiedFailed"
        request, code, after = {
            "disable": (disable_key.Request(key), pending, "Disabled"),
            "enable": (enable_key.Request(key), pending, "Enabled"),
            "schedule": (schedule_key_deletion.Request(key, 7), pending, "Pending"),
            "cancel": (cancel_key_deletion.Request(key), not_pending, "Enabled"),
        }[what]
        code = "Forbidden.KeyNotFound" if state is None else code
        self.expect(request, code)
        if code is None:
            self.keys[key] = after
            self.leaving.pop(key, None)
            if after == "Pending":
                self.leaving[key] = self.now + 7 * DAY

    @rule(alias=aliases, pick=picks, what=st.sampled_from(["create", "update", "delete"]))
    def change_alias(self, alias: str, pick: int, what: str) -> None:
        """It is bound once, to a key that is there and not leaving; another key may take its place."""
        key = self.key(pick)
        known, state = self.state(key)
        code = state if known is None or state == "Rejected.PendingDeletion" else None
        unbound = "Rejected.StateModifiedFailed" if code == "Rejected.PendingDeletion" else code
        missing = None if alias in self.aliases else "Forbidden.AliasNotFound"
        taken = "Rejected.ResourceExist" if alias in self.aliases else None
        request, code = {
            "create": (create_alias.Request(alias, key), (code and unbound) or taken),
            "update": (update_alias.Request(alias, key), missing or code),
            "delete": (delete_alias.Request(alias), missing),
        }[what]
        self.expect(request, code)
        if code is None and what == "delete":
            del self.aliases[alias]
        elif code is None:
            self.aliases[alias] = key

    @rule(pick=picks, alias=st.none() | aliases, context=contexts, mine=st.booleans())
    def seal(self, pick: int, alias: str | None, context: str | None, mine: bool) -> None:
        """By id or alias, by the root caller or by a user whom the key's policy decides about."""
        name = alias or self.key(pick)
        key, code = self.state(name)
        if not mine and not (key and allows(self.of_keys[key], else_allowed=False)):
            code = "Forbidden.NoPermission"
        plaintext = base64.b64encode(f"{len(self.sealed)}".encode()).decode()
        request = encrypt.Request(name, SecretValue(plaintext), context)
        reply = self.expect(request, code, None if mine else self.user)
        if code is None:
            assert reply.key_id == key
            bound = orjson.loads(context) if context else {}
            self.sealed.append(Sealed(reply.key_id, bound, plaintext, reply.ciphertext_blob))

    @precondition(lambda self: self.sealed)
    @rule(pick=st.integers(0, 20), context=contexts, spoil=st.booleans())
    def open(self, pick: int, context: str | None, spoil: bool) -> None:
        """With the context that it was made with, however that is spelled, and only unchanged."""
        sealed = self.sealed[pick % len(self.sealed)]
        blob = sealed.blob
        if spoil:
            raw = bytearray(base64.b64decode(blob))
            raw[-1] ^= 1
            blob = base64.b64encode(raw).decode()
        key, code = self.state(sealed.key)
        fits = not spoil and (orjson.loads(context) if context else {}) == sealed.context
        if key is None or (code is None and not fits):
            code = "InvalidParameter"
        reply = self.expect(decrypt.Request(blob, context), code)
        if code is None:
            assert reply.plaintext.reveal() == sealed.plaintext

    @precondition(lambda self: "Enabled" in self.keys.values())
    @rule(pick=picks)
    def rotate(self, pick: int) -> None:
        """A key gets new material every week; it opens what its older versions made."""
        usable = [key for key, state in self.keys.items() if state == "Enabled"]
        self.expect(update_rotation_policy.Request(usable[pick % len(usable)], True, "7d"), None)

    @rule(pick=picks, decisions=effects)
    def decide_about_a_key(self, pick: int, decisions: list[tuple[str, str]]) -> None:
        """The policy of a key is replaced, and read back."""
        key = self.key(pick)
        code = None if key in self.keys else "Forbidden.KeyNotFound"
        text = policy(decisions, "kms:Encrypt")
        self.expect(set_key_policy.Request(key, text), code)
        reply = self.expect(get_key_policy.Request(key), code)
        if code is None:
            assert reply.policy == text
            self.of_keys[key] = decisions

    @rule(name=st.sampled_from(["mine", "other", "none"]), decisions=effects)
    def decide_about_a_secret(self, name: str, decisions: list[tuple[str, str]]) -> None:
        """The policy of a secret is replaced, and read back."""
        code = None if name in self.of_secrets else "Forbidden.ResourceNotFound"
        text = policy(decisions, "kms:GetSecretValue")
        self.expect(set_secret_policy.Request(name, text), code)
        reply = self.expect(get_secret_policy.Request(name), code)
        if code is None:
            assert reply.policy == text
            self.of_secrets[name] = decisions

    @rule(days=st.sampled_from([1, 6, 8]))
    def let_time_pass(self, days: int) -> None:
        """A key whose window is over is gone, and its aliases with it."""
        self.now += days * DAY
        self.desk.now = self.now
        for key, due in list(self.leaving.items()):
            if due <= self.now:
                del self.keys[key], self.leaving[key], self.of_keys[key]
                self.aliases = {alias: bound for alias, bound in self.aliases.items() if bound != key}

    @invariant()
    def the_list_agrees(self) -> None:
        """ListAliases shows every alias with its key."""
        listed = self.desk.ask(list_aliases.Request(page_size=100)).aliases
        assert {it.alias_name: it.key_id for it in listed} == self.aliases

    @invariant()
    def a_user_reads_what_policies_allow(self) -> None:
        """Their own statements allow one secret, and the policies of secrets decide, too."""
        for name, decisions in self.of_secrets.items():
            allowed = allows(decisions, else_allowed=name == "mine")
            code = None if allowed else "Forbidden.NoPermission"
            self.expect(get_secret_value.Request(name), code, self.user)


TestKeyModel = KeyModel.TestCase
TestKeyModel.settings = settings(max_examples=25, stateful_step_count=40)
