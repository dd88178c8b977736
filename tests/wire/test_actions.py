"""Both directions of every action agree, and a strange reply is never taken for a success."""

import sys
import types
import typing
from dataclasses import MISSING, fields
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.model import Created, Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.wire.actions import create_secret
from bulkseed.wire.actions.codec import Document, Parameters
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Call, Response

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    int: st.integers(0, 10**9 - 1),
    bool: st.booleans(),
    SecretValue: text.map(SecretValue),
}


def built(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Build any instance of a dataclass of an action from the types of its fields."""
    hints = typing.get_type_hints(cls)
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for f in fields(cls):
        kind = hints[f.name]
        if isinstance(kind, types.UnionType):
            kind = typing.get_args(kind)[0]
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            one = built(item) if issubclass(item, Document | Parameters) else KINDS[item]
            drawn[f.name] = st.lists(one, max_size=3).map(tuple)
        elif isinstance(kind, type) and issubclass(kind, Document):
            drawn[f.name] = built(kind)
        else:
            drawn[f.name] = KINDS[kind] if f.default is MISSING else st.none() | KINDS[kind]
    return st.builds(cls, **drawn)


def sent(call: Call) -> dict[str, str]:
    """What a service reads from a call."""
    return said(call.query) | said(call.form)


def said(text: str) -> dict[str, str]:
    """Decode a query or a form, whose names must be sorted."""
    pairs = parse_form(text)
    assert pairs is not None
    assert pairs == sorted(pairs)
    return dict(pairs)


@pytest.mark.parametrize("name", sorted(ACTIONS))
@settings(max_examples=25)
@given(data=st.data())
def test_requests_and_replies_round_trip(name: str, data: st.DataObject) -> None:
    """Whatever one end encodes, the other decodes to the same, as parameters and as a document."""
    action = ACTIONS[name]
    request = data.draw(built(action.request))
    call = request.encode()
    assert call.action == name
    assert "SecretData" not in said(call.query), "values stay out of the URL"
    assert action.request.decode(sent(call)) == request
    reply = data.draw(built(action.reply))
    assert action.reply.decode(orjson.loads(orjson.dumps(reply.encode()))) == reply


@pytest.mark.parametrize("name", sorted(ACTIONS))
@settings(max_examples=25)
@given(
    st.integers(100, 599),
    st.binary()
    | st.recursive(
        st.none() | st.integers(-9, 9) | st.text(), lambda x: st.lists(x) | st.dictionaries(text, x)
    ).map(
        lambda d: orjson.dumps(
            {"RequestId": "r", "Tags": d, "SecretList": d, "VersionStages": d, "TotalCount": d}
        )
    ),
)
def test_strange_replies_do_not_raise(name: str, status: int, body: bytes) -> None:
    """Any status and body is a reply, a fault or lost; only a 2xx can be a reply."""
    read = ACTIONS[name].reply.read(Response(status, {}, body))
    assert isinstance(read, Fault) == (not 200 <= status < 300)


definitions = st.builds(
    SecretDefinition,
    name=text,
    data=text.map(SecretValue),
    version_id=text,
    origin=st.just(Origin("m", 1)),
    enable_automatic_rotation=st.none() | st.booleans(),
    **{
        field: st.none() | text
        for field in (
            *("data_type", "encryption_key_id", "dkms_instance_id", "description", "tags", "secret_type"),
            *("extended_config", "rotation_interval", "policy"),
        )
    },
)


@given(definitions)
def test_a_definition_arrives_as_it_is(definition: SecretDefinition) -> None:
    """Every field of a definition reaches the service; value and policy travel in the body."""
    call = create_secret.encode(definition)
    assert said(call.form).keys() <= {"SecretData", "Policy"}
    request = create_secret.Request.decode(sent(call))
    assert isinstance(request, create_secret.Request)
    pairs = {"name": "secret_name", "data": "secret_data", "data_type": "secret_data_type"}
    for f in fields(SecretDefinition):
        if f.name not in {"origin", "generated"}:
            assert getattr(request, pairs.get(f.name, f.name)) == getattr(definition, f.name)


def test_a_value_is_forgotten_with_its_call() -> None:
    """What is kept for the next definition, because many are alike in it, is never the value."""
    value = b"fake & not shared".decode()  # no constant, whose references nobody counts
    definition = SecretDefinition("n", SecretValue(value), "v1", Origin("m", 1), description="alike")
    references = sys.getrefcount(value)
    create_secret.encode(definition)
    assert sys.getrefcount(value) == references


@pytest.mark.parametrize(("given", "spelled"), [(True, "true"), (False, "false")])
def test_a_switch_is_spelled_as_the_page_does(given: bool, spelled: str) -> None:
    """The API's booleans are lower case; Python's are not."""
    definition = SecretDefinition(
        "n", SecretValue("fake"), "v1", Origin("m", 1), enable_automatic_rotation=given
    )
    assert sent(create_secret.encode(definition))["EnableAutomaticRotation"] == spelled


def test_a_ram_secret_is_asked_for_by_auto() -> None:
    """The service makes the name under which the client files it; every other kind has its own."""
    for kind, asked in (
        ("RAMCredentials", "$Auto"),
        ("Rds", "acs/ram/user/somebody"),
        (None, "acs/ram/user/somebody"),
    ):
        definition = SecretDefinition(
            "acs/ram/user/somebody", SecretValue("fake"), "v1", Origin("m", 1), secret_type=kind
        )
        assert sent(create_secret.encode(definition))["SecretName"] == asked


REPLY = orjson.dumps(create_secret.Reply("req", "acs:kms:r:1:secret/n", "n", "v1", "Generic").encode())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, REPLY, Created),
        (200, b'{"RequestId":"r"}', Created),
        (200, b'{"Arn":"a"}', NoReply),
        (200, b'{"RequestId":7}', NoReply),
        (200, b'{"RequestId":"r","Arn":[]}', NoReply),
        (200, b"<html>", NoReply),
        (200, b"[]", NoReply),
        (200, b"", NoReply),
        (204, b"", NoReply),
        (200, b'{"RequestId":"r","Code":"Rejected.Throttling"}', Fault),
        (409, b'{"RequestId":"r","Code":"Rejected.ResourceExist"}', Fault),
        (302, REPLY, Fault),
    ],
)
def test_only_a_whole_success_is_created(status: int, body: bytes, kind: type) -> None:
    """Created takes a 200 with a request id; other successes are lost and may have been applied."""
    read = create_secret.decode(Response(status, {}, body))
    assert type(read) is kind
    assert not isinstance(read, NoReply) or read.maybe_applied


@pytest.mark.parametrize("cut", range(len(REPLY)))
def test_a_truncated_success_is_lost(cut: int) -> None:
    """No proper prefix of the reply counts as success."""
    assert isinstance(create_secret.decode(Response(200, {}, REPLY[:cut])), NoReply)


def test_missing_and_malformed_parameters_are_named() -> None:
    """The service's reading names the parameter that is missing or malformed, and repeats no text."""
    missing = create_secret.Request.decode({"SecretName": "n", "VersionId": "v"})
    assert isinstance(missing, Fault)
    assert (missing.code, missing.status) == ("MissingParameter", 400)
    assert "SecretData" in missing.message
    whole = {"SecretName": "n", "VersionId": "v", "SecretData": "x"}
    malformed = create_secret.Request.decode({**whole, "EnableAutomaticRotation": "perhaps"})
    assert isinstance(malformed, Fault)
    assert malformed.code == "InvalidParameter"
    assert "EnableAutomaticRotation" in malformed.message
    assert "perhaps" not in malformed.message
