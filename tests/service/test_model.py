"""The service against a plain model: random sequences of all actions that change something."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.kms import NOW, UNLIMITED, Desk

from bulkseed.model import Fault, SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    batch_get_secret_value,
    cancel_key_deletion,
    create_key,
    create_secret,
    delete_secret,
    describe_secret,
    disable_key,
    enable_key,
    get_secret_value,
    list_secret_version_ids,
    list_secrets,
    put_secret_value,
    restore_secret,
    schedule_key_deletion,
    tag_resource,
    tag_resources,
    untag_resource,
    untag_resources,
    update_secret,
    update_secret_version_stage,
)

DAY = 86_400
QUOTA = 4
names = st.sampled_from(["a", "b", "c", "d", "e"])
version_ids = st.sampled_from([f"v{number}" for number in range(13)])
values = st.sampled_from(["x", "y", "😀\n"])
stages = st.sampled_from(["ACSCurrent", "ACSPrevious", *(f"s{number}" for number in range(9))])
colours = st.sampled_from(["red", "blue"])


@dataclass
class Thing:
    """What the model knows about a secret."""

    versions: dict[str, str]
    stages: dict[str, str]
    key: str | None = None
    delete_at: float | None = None
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class Model(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ServiceOptions(secret_quota=QUOTA, **UNLIMITED))
        self.secrets: dict[str, Thing] = {}
        self.keys: dict[str, str] = {}
        self.leaving: dict[str, float] = {}
        self.now = NOW
        self.commits = itertools.count()

    def expect(self, request: Any, code: str | None) -> Any:
        """Ask the service, and compare the code."""
        answer = self.desk.ask(request)
        assert (answer.code if isinstance(answer, Fault) else None) == code, (request, answer)
        if next(self.commits) % 3 == 0:
            self.desk.kms.commit()
        return answer

    def state(self, name: str) -> str | None:
        """Return the code that the state of a secret, or of its key, is answered with."""
        thing = self.secrets.get(name)
        if thing is None:
            return "Forbidden.ResourceNotFound"
        return None if thing.delete_at is None else "Rejected.ResourceInDeleteWindow"

    def key_state(self, key: str | None, missing: str) -> str | None:
        """Return the code that the state of a key is answered with."""
        if key is None:
            return None
        state = self.keys.get(key, "gone")
        codes = {"Disabled": "Rejected.Disabled", "Pending": "Rejected.PendingDeletion", "gone": missing}
        return codes.get(state)

    @rule(name=names, version=version_ids, value=values, pick=st.integers(0, 3))
    def create(self, name: str, version: str, value: str, pick: int) -> None:
        """A name is free or taken, the quota is full or not, the key may be used or not."""
        key = list(self.keys)[pick] if pick < len(self.keys) else None
        thing = self.secrets.get(name)
        if thing is not None:
            code = "Rejected.ResourceExist" if thing.delete_at is None else self.state(name)
        elif len(self.secrets) >= QUOTA:
            code = "Rejected.LimitExceeded"
        else:
            code = self.key_state(key, "Forbidden.ResourceNotFound")
        self.expect(create_secret.Request(name, version, SecretValue(value), encryption_key_id=key), code)
        if code is None:
            self.secrets[name] = Thing({version: value}, {"ACSCurrent": version}, key)

    @rule(name=names, version=version_ids, value=values, stage=st.none() | stages)
    def put(self, name: str, version: str, value: str, stage: str | None) -> None:
        """A version is new, the same, or another; too many stages; the oldest unmarked version goes."""
        code, thing = self.state(name), self.secrets.get(name)
        moved, kept = {}, {}
        if thing is not None and code is None:
            moved, kept = dict(thing.stages), dict(thing.versions)
            code = self.key_state(thing.key, "Forbidden.KeyNotFound")
            if version in kept:
                code = code or (None if kept[version] == value else "Rejected.ResourceExist")
            elif stage is not None and len({*moved, stage}) > 8:
                code = "Rejected.LimitExceeded"
            elif code is None:
                move(moved, stage or "ACSCurrent", version)
                if len(kept) >= 10:
                    del kept[next(old for old in kept if old not in moved.values())]
                kept[version] = value
        text = None if stage is None else f'["{stage}"]'
        request = put_secret_value.Request(name, version, SecretValue(value), version_stages=text)
        self.expect(request, code)
        if thing is not None and code is None:
            thing.versions, thing.stages = kept, moved

    @rule(name=names, stage=stages, to=st.none() | version_ids, away=st.none() | version_ids)
    def move_stage(self, name: str, stage: str, to: str | None, away: str | None) -> None:
        """To a version that is there, away from the one it marks, or what does not fit."""
        code, thing = self.state(name), self.secrets.get(name)
        moved: dict[str, str] = {}
        if to is None and (away is None or stage.startswith("ACS")):
            code = "Rejected.InvalidRequest"
        elif thing is not None and code is None:
            moved = dict(thing.stages)
            if away is not None and moved.get(stage) != away:
                code = "Rejected.InvalidRequest"
            elif to is None:
                del moved[stage]
            elif to not in thing.versions:
                code = "Forbidden.ResourceNotFound"
            else:
                move(moved, stage, to)
                code = "Rejected.LimitExceeded" if len(moved) > 8 else None
        self.expect(update_secret_version_stage.Request(name, stage, to, away), code)
        if thing is not None and code is None:
            thing.stages = moved

    @rule(name=names, days=st.sampled_from([None, 7, 30]), force=st.booleans())
    def delete(self, name: str, days: int | None, force: bool) -> None:
        """Now or after a window."""
        code = self.state(name)
        if force and name in self.secrets:
            code = None
        self.expect(delete_secret.Request(name, force, days), code)
        if code is None and force:
            del self.secrets[name]
        elif code is None:
            self.secrets[name].delete_at = self.now + (days or 30) * DAY

    @rule(name=names)
    def restore(self, name: str) -> None:
        """Only what is in its window."""
        code = {None: "Rejected.ResourceInUse", "Rejected.ResourceInDeleteWindow": None}
        state = self.state(name)
        self.expect(restore_secret.Request(name), code.get(state, state))
        if state == "Rejected.ResourceInDeleteWindow":
            self.secrets[name].delete_at = None

    @rule(name=names, text=colours)
    def describe_anew(self, name: str, text: str) -> None:
        """The description changes."""
        self.expect(update_secret.Request(name, text), self.state(name))
        if self.state(name) is None:
            self.secrets[name].description = text

    @rule(name=names, key=colours, value=colours, add=st.booleans(), by_id=st.booleans())
    def tag(self, name: str, key: str, value: str, add: bool, by_id: bool) -> None:
        """Tags come and go, by the actions of secrets and by those of resources."""
        text = f'[{{"TagKey":"{key}","TagValue":"{value}"}}]'
        pair = tag_resources.TagPair(key, value)
        request: Any = {
            (True, False): tag_resource.Request(text, name),
            (False, False): untag_resource.Request(key, name),
            (True, True): tag_resources.Request("secret", (name,), (pair,)),
            (False, True): untag_resources.Request("secret", (name,), (key,)),
        }[add, by_id]
        self.expect(request, self.state(name))
        if self.state(name) is None:
            tags = self.secrets[name].tags
            tags.pop(key, None)
            if add:
                tags[key] = value

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def make_key(self) -> None:
        """A key of the caller's own."""
        self.keys[self.expect(create_key.Request(), None).key_metadata.key_id] = "Enabled"

    @precondition(lambda self: self.keys)
    @rule(pick=st.integers(0, 2), what=st.sampled_from(["disable", "enable", "schedule", "cancel"]))
    def change_key(self, pick: int, what: str) -> None:
        """Its state decides what it protects."""
        key = list(self.keys)[pick % len(self.keys)]
        state = self.keys[key]
        pending = "Rejected.StateModifiedFailed" if state == "Pending" else None
        not_pending = None if state == "Pending" else "Rejected.StateModifiedFailed"
        request, code, after = {
            "disable": (disable_key.Request(key), pending, "Disabled"),
            "enable": (enable_key.Request(key), pending, "Enabled"),
            "schedule": (schedule_key_deletion.Request(key, 7), pending, "Pending"),
            "cancel": (cancel_key_deletion.Request(key), not_pending, "Enabled"),
        }[what]
        self.expect(request, code)
        if code is None:
            self.keys[key] = after
            self.leaving.pop(key, None)
            if after == "Pending":
                self.leaving[key] = self.now + 7 * DAY

    @rule(days=st.sampled_from([1, 6, 8]))
    def let_time_pass(self, days: int) -> None:
        """What is due in the meantime is carried out."""
        self.now += days * DAY
        self.desk.now = self.now
        for name, thing in list(self.secrets.items()):
            if thing.delete_at is not None and thing.delete_at <= self.now:
                del self.secrets[name]
        for key, due in list(self.leaving.items()):
            if due <= self.now:
                del self.keys[key], self.leaving[key]

    @invariant()
    def the_list_agrees(self) -> None:
        """ListSecrets shows every secret of the model with its tags, and no other."""
        listed = self.desk.ask(list_secrets.Request(page_size=100, fetch_tags=True)).secret_list
        found = {secret.secret_name: {tag.tag_key: tag.tag_value for tag in secret.tags} for secret in listed}
        assert found == {name: thing.tags for name, thing in self.secrets.items()}

    @invariant()
    def a_batch_agrees(self) -> None:
        """BatchGetSecretValue gives the values that can be read, and a reason for each of the others."""
        every = [*self.secrets, "nobody"]
        asked = orjson.dumps([{"SecretName": name} for name in every]).decode()
        reply = self.desk.ask(batch_get_secret_value.Request(asked))
        codes = {name: self.state(name) for name in every}
        for name, thing in self.secrets.items():
            codes[name] = codes[name] or self.key_state(thing.key, "Forbidden.KeyNotFound")
        assert {error.secret_name: error.code for error in reply.errors} == {
            n: c for n, c in codes.items() if c
        }
        assert {read.secret_name: read.secret_data.reveal() for read in reply.secret_values} == {
            name: thing.versions[thing.stages["ACSCurrent"]]
            for name, thing in self.secrets.items()
            if codes[name] is None
        }

    @invariant()
    def every_secret_agrees(self) -> None:
        """Description, window, versions in order, stages and values are those of the model."""
        for name, thing in self.secrets.items():
            described = self.desk.ask(describe_secret.Request(name))
            assert described.description == thing.description
            assert (described.planned_delete_time is None) == (thing.delete_at is None)
            if thing.delete_at is not None:
                continue
            listed = self.desk.ask(list_secret_version_ids.Request(name, True)).version_ids
            assert [entry.version_id for entry in listed] == list(thing.versions)
            marks = {stage: entry.version_id for entry in listed for stage in entry.version_stages}
            assert marks == thing.stages
            code = self.key_state(thing.key, "Forbidden.KeyNotFound")
            for version, value in thing.versions.items():
                read = self.desk.ask(get_secret_value.Request(name, version))
                if code is None:
                    assert read.secret_data.reveal() == value
                else:
                    assert read.code == code


def move(stages: dict[str, str], stage: str, version: str) -> None:
    """Mark a version as the pages say."""
    before = stages.get(stage)
    stages[stage] = version
    if stage == "ACSCurrent" and before not in (None, version):
        stages["ACSPrevious"] = str(before)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=40)
