"""What can be set of a key against a plain model: state, description, protection, rotation and aliases.

Sources: the pages of the actions (SDK 3.3.1); of states, "Impact of CMK status on API operations" and the
CreateKey page. Where several things are wrong at once, no page says which of them is told.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.kms import NOW, Desk, create

from bulkseed.model import Fault
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_alias,
    create_key,
    delete_alias,
    describe_account_kms_status,
    describe_key,
    describe_regions,
    disable_key,
    enable_key,
    get_kms_instance_quota_infos,
    get_random_password,
    list_aliases_by_key_id,
    list_keys,
    open_kms_service,
    schedule_key_deletion,
    set_deletion_protection,
    update_alias,
    update_key_description,
    update_rotation_policy,
)
from bulkseed.wire.encoding import timestamp

DAY = 86_400
ARN = "acs:kms:cn-hangzhou:1000000000000001:key/"
NOBODY = "00000000-0000-0000-0000-000000000000"
UNUSABLE = {"Disabled": "Rejected.Disabled", "PendingDeletion": "Rejected.PendingDeletion"}
PLANNED = {"create": "Rejected.StateModifiedFailed", "update": "Rejected.PendingDeletion", "delete": ""}
CLASSES = {
    "exclude_lowercase": string.ascii_lowercase,
    "exclude_uppercase": string.ascii_uppercase,
    "exclude_numbers": string.digits,
    "exclude_punctuation": string.punctuation,
}

picks = st.integers(0, 3)
states = st.sampled_from(["Enabled", *UNUSABLE])
changes = st.sampled_from(["create", "update", "delete"])
excluded = st.sets(st.sampled_from([*CLASSES]))
lengths = st.sampled_from([None, 7, 8, 128, 129])
aliases = st.sampled_from(["alias/a", "alias/b", "alias/c"])


@dataclass
class Held:
    """What the model knows about a key."""

    state: str = "Enabled"
    description: str = ""
    protection: str | None = None
    every: int | None = None
    last: float = NOW
    following: float = 0.0
    due: float | None = None


class SettingsModel(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.now = NOW
        self.keys: dict[str, Held] = {}
        self.aliases: dict[str, str] = {}
        self.desk.ask(create("s"))
        self.make_key()

    def expect(self, request: Any, wrong: set[str]) -> Any:
        """Ask the service: it answers one of what is wrong, and if nothing is, a reply."""
        answer = self.desk.ask(request)
        code = answer.code if isinstance(answer, Fault) else None
        assert (code in wrong) if wrong else code is None, (request, answer, wrong)
        return None if code else answer

    def key(self, pick: int) -> tuple[str, Held, set[str]]:
        """Return a key and what is wrong with naming it."""
        if pick >= len(self.keys):
            return NOBODY, Held(), {"Forbidden.KeyNotFound"}
        return [*self.keys.items()][pick] + (set(),)

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def make_key(self) -> None:
        """A symmetric key."""
        self.keys[self.expect(create_key.Request(), set()).key_metadata.key_id] = Held(last=self.now)

    @rule(pick=picks, what=st.sampled_from(["disable", "enable", "enable", "schedule", "cancel", "cancel"]))
    def change_state(self, pick: int, what: str) -> None:
        """What is protected cannot be planned to be deleted, and what is planned cannot be changed."""
        name, key, wrong = self.key(pick)
        if not wrong and (key.state == "PendingDeletion") != (what == "cancel"):
            wrong = {"Rejected.StateModifiedFailed"}
        if what == "schedule" and key.protection is not None:
            wrong = wrong | {"Rejected.StateModifiedFailed"}
        request, after = {
            "disable": (disable_key.Request(name), "Disabled"),
            "enable": (enable_key.Request(name), "Enabled"),
            "schedule": (schedule_key_deletion.Request(name, 7), "PendingDeletion"),
            "cancel": (cancel_key_deletion.Request(name), "Enabled"),
        }[what]
        if self.expect(request, wrong):
            key.state, key.due = after, self.now + 7 * DAY if what == "schedule" else None

    @rule(pick=picks, on=st.booleans(), why=st.sampled_from([None, "words"]), by_arn=st.booleans())
    def protect(self, pick: int, on: bool, why: str | None, by_arn: bool) -> None:
        """Not while it is planned to be deleted; the words count while it is on."""
        name, key, wrong = self.key(pick)
        if key.state == "PendingDeletion":
            wrong = wrong | {"Rejected.PendingDeletion"}
        named = {"protected_resource_arn": ARN + name} if by_arn else {"key_id": name}
        request = set_deletion_protection.Request(on, **named, deletion_protection_description=why)
        if self.expect(request, wrong):
            key.protection = (why or "") if on else None
        self.expect(set_deletion_protection.Request(on), {"MissingParameter"})

    @rule(pick=picks, text=st.sampled_from(["words", "other words"]))
    def describe_anew(self, pick: int, text: str) -> None:
        """Not while it is planned to be deleted."""
        name, key, wrong = self.key(pick)
        if key.state == "PendingDeletion":
            wrong = wrong | {"Rejected.PendingDeletion"}
        if self.expect(update_key_description.Request(name, text), wrong):
            key.description = text

    @rule(pick=picks, on=st.booleans(), every=st.sampled_from([None, 7, 30, 6, 731]))
    def set_rotation(self, pick: int, on: bool, every: int | None) -> None:
        """7 to 730 days, of a key that is enabled; the interval counts while it is on."""
        name, key, wrong = self.key(pick)
        if key.state in UNUSABLE:
            wrong = wrong | {UNUSABLE[key.state]}
        if on and every not in (7, 30):
            wrong = wrong | {"MissingParameter" if every is None else "InvalidParameter"}
        if self.expect(update_rotation_policy.Request(name, on, f"{every}d" if every else None), wrong):
            key.every = every * DAY if on and every else None
            key.following = self.now + (key.every or 0)

    @rule(alias=aliases, pick=picks, what=changes, size=st.integers(1, 2))
    def change_alias(self, alias: str, pick: int, what: str, size: int) -> None:
        """Bound once, to a key that is not planned to be deleted; ListAliasesByKeyId has it, in any state."""
        name, key, wrong = self.key(pick)
        unknown = wrong
        if key.state == "PendingDeletion":
            wrong = wrong | {PLANNED[what]}
        if (alias in self.aliases) == (what == "create"):
            wrong = wrong | {"Rejected.ResourceExist" if what == "create" else "Forbidden.AliasNotFound"}
        if what == "delete":
            wrong = wrong & {"Forbidden.AliasNotFound"}
        request: Any = {
            "create": create_alias.Request(alias, name),
            "update": update_alias.Request(alias, name),
            "delete": delete_alias.Request(alias),
        }[what]
        if self.expect(request, wrong):
            self.aliases.pop(alias, None)
            self.aliases |= {} if what == "delete" else {alias: name}
        bound = sorted(each for each, to in self.aliases.items() if to == name)
        found: list[str] = []
        for page in (1, 2, 3):
            reply = self.expect(list_aliases_by_key_id.Request(name, page, size), unknown)
            if reply:
                assert reply.total_count == len(bound)
                found += [entry.alias_name for entry in reply.aliases]
        assert found == bound
        self.expect(list_aliases_by_key_id.Request(name, 0, size), {"InvalidParameter"} | unknown)

    @rule(state=states, other=states, alias=st.none() | aliases)
    def find_keys(self, state: str, other: str, alias: str | None) -> None:
        """Values of one key are alternatives, keys add up; the service's own key is not the user's."""
        filters = {"KeyState": [state, other], "CreatorType": ["User"], "AliasName": [alias]}
        text = orjson.dumps([{"Key": k, "Values": v} for k, v in filters.items() if v != [None]]).decode()
        found = self.expect(list_keys.Request(text, page_size=100), set())
        assert {(key.key_id, key.key_arn) for key in found.keys} == {
            (name, ARN + name)
            for name, key in self.keys.items()
            if key.state in (state, other)
            and alias in (None, *(a for a, to in self.aliases.items() if to == name))
        }

    @rule(pick=picks)
    def describe(self, pick: int) -> None:
        """Everything that was set; dates of rotation while it is on, also while it waits."""
        name, key, wrong = self.key(pick)
        reply = self.expect(describe_key.Request(name), wrong)
        if reply:
            shown, on = reply.key_metadata, key.every is not None
            assert (shown.key_state, shown.description) == (key.state, key.description)
            assert shown.deletion_protection == ("Disabled" if key.protection is None else "Enabled")
            assert (shown.deletion_protection_description or "") == (key.protection or "")
            waits = "Enabled" if key.state == "Enabled" else "Suspended"
            assert shown.automatic_rotation == (waits if on else "Disabled")
            assert shown.rotation_interval == (f"{key.every}s" if on else None)
            assert shown.next_rotation_date == (timestamp(key.following) if on else None)
            assert shown.last_rotation_date == timestamp(key.last)
            assert shown.delete_date == (timestamp(key.due) if key.due else None)

    @rule(length=lengths, excluded=excluded, without=st.sampled_from(["", "abc1"]))
    def make_password(self, length: int | None, excluded: set[str], without: str) -> None:
        """8 to 128 characters, 32 without a wish; each class that is not excluded is in it."""
        wrong = {"InvalidParameter"} if length in (7, 129) or len(excluded) == len(CLASSES) else set[str]()
        request = get_random_password.Request(length, without, **dict.fromkeys(excluded, True))
        reply = self.expect(request, wrong)
        if reply:
            made = set(reply.random_password.reveal())
            assert len(reply.random_password.reveal()) == (length or 32)
            assert made.isdisjoint(without)
            assert all(made.isdisjoint(CLASSES[name]) == (name in excluded) for name in CLASSES)

    @rule(days=st.sampled_from([1, 6, 8]))
    def let_time_pass(self, days: int) -> None:
        """What is due is done: keys go, others rotate, as soon as they are enabled."""
        self.now += days * DAY
        self.desk.now = self.now
        assert "cn-hangzhou" in {r.region_id for r in self.expect(describe_regions.Request(), set()).regions}
        self.expect(open_kms_service.Request(), set())
        assert self.expect(describe_account_kms_status.Request(), set()).account_status == "Enabled"
        for name, key in list(self.keys.items()):
            if key.due is not None and key.due <= self.now:
                del self.keys[name]
                self.aliases = {alias: to for alias, to in self.aliases.items() if to != name}
            elif key.every and key.state == "Enabled" and key.following <= self.now:
                key.last, key.following = self.now, self.now + key.every
        quotas = self.expect(get_kms_instance_quota_infos.Request(resource_type="secret"), set())
        assert [info.used_quantity for info in quotas.kms_instance_quota_infos] == [1]
        self.expect(get_kms_instance_quota_infos.Request(resource_type="disk"), {"InvalidParameter"})


TestSettingsModel = SettingsModel.TestCase
TestSettingsModel.settings = settings(max_examples=25, stateful_step_count=40)


@pytest.mark.parametrize("state", ["enable", "disable", "schedule"])
def test_a_key_in_each_state_meets_each_change(state: str) -> None:
    """So that no state is left to chance: the model says what is allowed in it."""
    model = SettingsModel()
    model.change_state(pick=0, what=state)
    for on in (True, False):
        model.protect(pick=0, on=on, why="words", by_arn=on)
        model.set_rotation(pick=0, on=on, every=7)
    model.describe_anew(pick=0, text="words")
    for what in ("create", "update", "delete"):
        model.change_alias(alias="alias/a", pick=0, what=what, size=1)
    model.describe(pick=0)
    for what in ("enable", "disable", "schedule", "cancel"):
        model.change_state(pick=0, what=what)
        model.describe(pick=0)
