"""A success is believed only if it is about what was asked for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson
import pytest

from bulkseed.model import Created, Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.wire.actions import create_secret, get_secret_value
from bulkseed.wire.actions.codec import Document, Field, shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.message import Response

IDENTITIES = ("SecretName", "VersionId", "KeyVersionId", "PageNumber")


def sample(kind: Any) -> Any:
    """Return a value of a field's type."""
    if isinstance(kind, type) and issubclass(kind, Document):
        return {f.wire: sample(f.kind) for f in shape(kind) if f.required}
    return {str: "a", int: 1, bool: True, SecretValue: "fake"}[kind]


def document(action: str) -> dict[str, Any]:
    """Return a reply to an action with all its fields."""
    reply: dict[str, Any] = {}
    kind: Any = ACTIONS[action].reply
    lists = {f.name for f in fields(kind) if "wrap" in f.metadata}
    for f in shape(kind):
        if f.wrap is not None:
            reply[f.wire] = {f.wrap: [sample(f.kind)]}
        elif f.attribute in lists:
            reply[f.wire] = [sample(f.kind)]
        else:
            reply[f.wire] = sample(f.kind)
    return reply


def read(action: str, reply: dict[str, Any], **asked: Any) -> object:
    """Read a success to a request that asks for `asked`."""
    request = ACTIONS[action].request
    given: dict[str, Any] = {f.attribute: _parameter(f) for f in shape(request) if f.required}
    return ACTIONS[action].reply.read(Response(200, {}, orjson.dumps(reply)), request(**given | asked))


def _parameter(f: Field) -> Any:
    return SecretValue("fake") if f.kind is SecretValue else sample(f.kind)


@pytest.mark.parametrize("code", ["Code", "code"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_success_with_an_error_code_is_a_fault(action: str, code: str) -> None:
    """In either spelling, as the vendor's SDK reads both; without the code it is a reply (A9)."""
    assert isinstance(read(action, document(action)), ACTIONS[action].reply)
    answer = read(action, document(action) | {code: "InternalFailure"})
    assert isinstance(answer, Fault)
    assert answer.code == "InternalFailure"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_reply_about_something_else_is_no_answer(action: str) -> None:
    """Whatever an action's request names and its reply repeats must be the same (A1, A9)."""
    asked = {f.wire: f for f in shape(ACTIONS[action].request)}
    for f in shape(ACTIONS[action].reply):
        if f.wire in IDENTITIES and f.wire in asked:
            ours, theirs = ("a", "b") if f.kind is str else (1, 2)
            given = {asked[f.wire].attribute: ours}
            reply = document(action)
            assert not isinstance(read(action, reply | {f.wire: ours}, **given), NoReply), f.wire
            assert isinstance(read(action, reply | {f.wire: theirs}, **given), NoReply), f.wire


@pytest.mark.parametrize("action", ACTIONS)
def test_a_count_below_zero_is_no_answer(action: str) -> None:
    """Nothing follows from a reply that makes no sense (A9)."""
    for f in shape(ACTIONS[action].reply):
        if f.kind is int:
            assert isinstance(read(action, document(action) | {f.wire: -5}), NoReply), f.wire


def test_a_secret_that_was_asked_for_by_its_arn_is_answered_by_its_name() -> None:
    """GetSecretValue takes an ARN and answers with the name."""
    request = get_secret_value.Request("acs:kms:cn-hangzhou:1234:secret/a")
    for name, matches in (("a", True), ("b", False)):
        reply = {"RequestId": "0", "SecretData": "fake", "VersionId": "v1", "SecretName": name}
        answer = get_secret_value.Reply.read(Response(200, {}, orjson.dumps(reply)), request)
        assert isinstance(answer, get_secret_value.Reply) is matches


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ({}, Created),
        ({"SecretName": "a", "VersionId": "v1"}, Created),
        ({"SecretName": "b"}, NoReply),
        ({"VersionId": "v2"}, NoReply),
        ({"code": "InternalFailure"}, Fault),
        ({"Code": "InternalFailure"}, Fault),
    ],
)
def test_a_creation_of_something_else_is_no_creation(reply: dict[str, str], kind: type[object]) -> None:
    """The hot path's own decoder holds to the same (A9)."""
    definition = SecretDefinition("a", SecretValue("fake-value"), "v1", Origin("m.jsonl", 1))
    response = Response(200, {}, orjson.dumps({"RequestId": "0"} | reply))
    assert isinstance(create_secret.decode(response, definition), kind)
