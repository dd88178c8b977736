"""The straight path and the ordinary one give the same answers, and leave the same behind."""

from __future__ import annotations

import itertools
import re
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kms import NOW, UNLIMITED, Desk
from support.many_clients import KEY, signed

from bulkseed.model import SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.plain_request import read_plain
from bulkseed.service.straight.path import HEADS, LESSONS, Made
from bulkseed.wire.actions import create_secret, get_secret_value
from bulkseed.wire.message import Response

NAMES = ("a", "team/app", "x+y=@z", "acs/no", "", "bad name", "ü", "n" * 193, "$Auto", "b&c", "%41")
IDS = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VALUES = ("value", "", "x" * 30_721, "é", "a b&c=d%+", "\n\x00", "%")
METADATA: tuple[dict[str, str], ...] = (
    {},
    {"Description": "of us & them é"},
    {"Tags": '[{"TagKey":"team","TagValue":"a b"}]'},
    {"Tags": '[{"TagKey":"team","TagValue":"x"}]', "SecretType": "Generic", "SecretDataType": "binary"},
    {"Tags": "no json", "Description": ""},
    {"SecretType": "Rds"},
    {"SecretType": "", "SecretDataType": ""},
    {"SecretDataType": "other"},
    {"EncryptionKeyId": "00000000-0000-0000-0000-000000000000"},
    {"DKMSInstanceId": "kst-1"},
    {"DKMSInstanceId": "no instance"},
    {"VersionId": ""},
    {"VersionId": "v" * 65},
    {"Policy": '{"Version":"1","Statement":[]}'},
    {"ExtendedConfig": "ignored", "RotationInterval": "7d"},
    {"Format": "XML"},
    {"Format": "json", "Unknown": "1"},
    {"Format": "JSON"},
    {"SecretData": "twice"},
    {"DryRun": "true"},
)


def desk(**options: Any) -> Desk:
    """Return a service in memory that accepts `KEY`."""
    key = {"access_key_id": KEY[0], "access_key_secret": SecretValue(KEY[1])}
    return Desk(ServiceOptions(**{**UNLIMITED, **key, **options}))


class Twins:
    """Two services that are sent the same: one may answer straight, the other never does."""

    def __init__(self, **options: Any) -> None:
        self.one, self.other = desk(**options), desk(**options)
        self.straight = 0
        self._waiting: list[tuple[Made, Response]] = []

    def send(self, data: bytes, at: float = NOW) -> Response | None:
        """Send to both; None if it is not a plain request."""
        made = self.one.kms.answer_straight(data, at, at)
        request = read_plain(data)
        if request is None:
            assert made is None  # it is aiohttp's
            return None
        if made is None:
            made = Made(self.one.kms.handle(request, at))
            self.one.kms.learn(data, request, at)
        else:
            self.straight += 1
        self._waiting.append((made, self.other.kms.handle(request, at)))
        return self._waiting[-1][1]

    def commit(self) -> None:
        """Commit both, and compare what was answered since the last time."""
        self.one.kms.commit()
        self.other.kms.commit()
        for made, other in self._waiting:
            final = self.one.kms.final(made)
            assert (final.status, plain(final)) == (other.status, plain(other))
        self._waiting.clear()

    def compare(self) -> None:
        """Compare all that both have stored."""
        self.commit()
        one, other = (stored(it) for it in (self.one, self.other))
        assert one == other
        assert self.one.kms.usage(NOW + 5) == self.other.kms.usage(NOW + 5)


def plain(response: Response) -> tuple[list[str], Any]:
    """Return names of headers and body of a response, without what is random in it."""
    names = sorted(response.headers)
    request_id = response.headers["x-acs-request-id"]
    assert IDS.fullmatch(request_id.encode())
    assert response.body.count(request_id.encode()) == 1
    return names, IDS.sub(b"", response.body)  # ids of keys, too


def stored(service: Desk) -> list[Any]:
    """Return what a service has, and what it lists."""
    store = service.kms._service.store
    fields = (
        "name, type, stages, created, updated, creator, instance_id, description, tags, policy, delete_at"
    )
    rows = store.read(f"SELECT {fields} FROM secrets ORDER BY name").fetchall()  # noqa: S608  # the fields above
    values = []
    for row in rows:
        reply = service.ask(get_secret_value.Request(row[0]))
        values.append(reply.secret_data.reveal() if isinstance(reply, get_secret_value.Reply) else reply.code)
    return [rows, values, store.secret_count, [it.name for it in store.page(0, 50)][: len(rows)]]


create_calls = st.tuples(
    st.just("CreateSecret"), st.sampled_from(NAMES), st.sampled_from(METADATA), st.sampled_from(VALUES)
)
other_calls = st.tuples(
    st.sampled_from(["GetSecretValue", "PutSecretValue", "DeleteSecret", "DescribeSecret", "Nothing"]),
    st.sampled_from(NAMES),
    st.sampled_from([{}, {"VersionId": "v2"}, {"ForceDeleteWithoutRecovery": "true"}, {"Format": "XML"}]),
    st.sampled_from(["", "value", "other"]),
)
calls = st.one_of(create_calls, create_calls, other_calls)
places = st.floats(0, 1, exclude_max=True)
damages = st.one_of(
    st.just(("", 0.0, b"")),
    st.just(("", 0.0, b"")),
    st.tuples(st.sampled_from(["set", "cut", "put"]), places, st.binary(min_size=1, max_size=3)),
    st.tuples(
        st.just("line"), places, st.sampled_from([b"X-Trace: 1\r\n", b"Host: other\r\n", b"Te: x\r\n"])
    ),
    st.tuples(st.just("case"), places, st.just(b"")),
)


def damage(data: bytes, kind: str, place: float, what: bytes) -> bytes:
    """Return a request with a change that its client did not mean."""
    at = int(place * len(data))
    if kind == "set":
        return data[:at] + what + data[at + len(what) :]
    if kind == "cut":
        return data[:at] + data[at + len(what) :]
    if kind == "put":
        return data[:at] + what + data[at:]
    if kind == "line":
        first, _, rest = data.partition(b"\r\n")
        return first + b"\r\n" + what + rest
    head, blank, body = data.partition(b"\r\n\r\n")
    return (
        head.replace(b"Content-", b"content-").replace(b"x-acs-", b"X-ACS-") + blank + body if kind else data
    )


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            calls,
            damages,
            st.sampled_from(["acs3", "rpc1"]),
            st.integers(0, 4),
            st.sampled_from([0, 0, 0, 0, -901, 901]),
            st.sampled_from(["new", "new", "new", "new", "old", "other key"]),
        ),
        max_size=14,
    ),
    commits=st.lists(st.booleans(), min_size=14, max_size=14),
    options=st.sampled_from([{}, {"create_qps": 3}, {"secret_quota": 2}, {"region": "eu-central-1"}]),
)
def test_both_paths_answer_alike(steps: list[Any], commits: list[bool], options: dict[str, Any]) -> None:
    """Good requests and bad ones, replays, other clients' encodings, damaged bytes: the same answers."""
    twins = Twins(**options)
    for signature in ("acs3", "rpc1"):  # so that the heads are known
        for style in range(5):
            twins.send(signed("GetSecretValue", {"SecretName": "none"}, {}, signature=signature, style=style))
    sent: list[bytes] = []
    for (call, harm, signature, style, seconds, how), commit in zip(steps, commits, strict=False):
        action, name, metadata, value = call
        query = {"VersionId": "v1", **metadata, "SecretName": name}
        form = {"SecretData": value} if value or action == "CreateSecret" else {}
        data = signed(
            action,
            query if action in ("CreateSecret", "PutSecretValue") else {**metadata, "SecretName": name},
            form,
            signature=signature,
            style=style,
            seconds=seconds,
            secret=KEY[1] if how != "other key" else "another",
        )
        data = sent[0] if how == "old" and sent else damage(data, *harm)
        sent.append(data)
        twins.send(data, NOW + 0.05)
        if commit:
            twins.commit()
    twins.compare()


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
@pytest.mark.parametrize("style", range(4))
def test_plain_requests_go_straight(signature: str, style: int) -> None:
    """From the second request of a client on, in whichever order and encoding it sends."""
    twins = Twins()
    for number in range(5):
        query = {"SecretName": f"team/app{number}", "VersionId": "v1", "Description": "ours & theirs"}
        response = twins.send(
            signed("CreateSecret", query, {"SecretData": f"a b {number}"}, signature=signature, style=style)
        )
        assert response is not None
        assert response.status == 200
    assert twins.straight == 4
    query = {"SecretName": "team/app0"}
    twins.send(signed("GetSecretValue", query, {}, signature=signature, style=style))
    assert twins.straight == 5
    twins.compare()


def test_a_name_that_is_taken_is_found_with_the_commit() -> None:
    """Of a group whose rows are written together, exactly those with a free name are stored."""
    twins = Twins()
    numbers = itertools.count()
    for count in (1, 3, 17, 40):
        for _ in range(count):
            number = next(numbers)
            for name in (f"n{number}", f"n{number // 2}"):  # every other one is there
                twins.send(
                    signed("CreateSecret", {"SecretName": name, "VersionId": "v1"}, {"SecretData": name})
                )
        twins.commit()
        twins.send(signed("DeleteSecret", {"SecretName": f"n{number // 3}"}, {}))
    assert twins.straight > 100
    twins.compare()


def test_nothing_is_done_twice() -> None:
    """A refused create counts once in the quota, a replay not at all."""
    twins = Twins(create_qps=2)
    requests = [
        signed("CreateSecret", {"SecretName": f"n{number}", "VersionId": "v1"}, {"SecretData": "x"})
        for number in range(6)
    ]
    for data in (*requests, *requests):
        twins.send(data)
    twins.compare()
    assert twins.straight >= 5


def test_a_secret_is_there_before_it_is_written() -> None:
    """Whatever is asked in the same turn sees what was created in it."""
    twins = Twins()
    for number, action in enumerate(("GetSecretValue", "DeleteSecret", "DescribeSecret", "CreateSecret")):
        name = {"SecretName": f"n{number}"}
        for _ in range(2):
            twins.send(signed("CreateSecret", {**name, "VersionId": "v1"}, {"SecretData": "x"}))
        twins.send(signed(action, {**name, "VersionId": "v1"} if action == "CreateSecret" else name, {}))
    twins.compare()


def test_heads_are_forgotten_and_not_learned_without_end() -> None:
    """A client that writes another head each time costs a bounded number of lessons, and no memory."""
    service = desk()
    path = service.kms._straight

    def send(number: int, at: float) -> None:
        data = signed("GetSecretValue", {"SecretName": "none"}, {}).replace(
            b"client 0", b"client %d" % number
        )
        request = read_plain(data)
        assert request is not None
        service.kms.handle(request, at)
        service.kms.learn(data, request, at)

    for number in range(LESSONS + 5):
        send(number, NOW)
    assert len(path._readers) == HEADS
    assert path._lessons == 0
    send(LESSONS + 5, NOW + 2)  # a tick
    assert path._lessons == LESSONS - 1


def test_users_and_temporary_keys_go_the_ordinary_way(tmp_path: Path) -> None:
    """What a caller may do is asked for every request of theirs."""
    policies = tmp_path / "policies.json"
    user = {"access_key_id": "user", "access_key_secret": "theirs", "allow": []}
    policies.write_bytes(orjson.dumps({"users": [user]}))
    twins = Twins(policies=policies)
    service = twins.one
    data = signed("GetSecretValue", {"SecretName": "none"}, {}, secret="theirs").replace(
        KEY[0].encode(), b"user"
    )
    request = read_plain(data)
    assert request is not None
    assert b"Forbidden.NoPermission" in service.kms.handle(request, NOW).body
    service.kms.learn(data, request, NOW)
    assert service.kms.answer_straight(data, NOW, NOW) is None


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE versions SET sealed = (SELECT sealed FROM versions v WHERE v.secret <> versions.secret)",
        "UPDATE secrets SET name = CASE name WHEN 'a' THEN 'b2' ELSE 'a' END",
        "UPDATE versions SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)",
        "UPDATE data_keys SET sealed = x'00'",
        "UPDATE secrets SET policy = '{}'",
        "UPDATE keys SET state = 'Disabled'",
        "",
    ],
)
def test_a_changed_row_is_noticed_by_whoever_answers_straight(
    tmp_path: Path, signature: str, sql: str
) -> None:
    """A value that is not what was stored under this name is never returned (H14); unchanged ones are."""
    before = desk(data_dir=tmp_path)
    for name in ("a", "b"):
        before.ask(create_secret.Request(name, "v1", SecretValue(f"value of {name}")))
    before.kms.close()
    db = sqlite3.connect(tmp_path / "kms.db", isolation_level=None)
    db.execute(sql)
    db.close()
    after = desk(data_dir=tmp_path)
    kms = after.kms
    names = [{"SecretName": "none"}, {"SecretName": "a"}]
    first, second = (signed("GetSecretValue", name, {}, signature=signature) for name in names)
    request = read_plain(first)
    assert request is not None
    kms.handle(request, NOW)
    kms.learn(first, request, NOW)  # of a client that is known
    made = kms.answer_straight(second, NOW, NOW)
    if sql:
        assert made is None or made.response.status == 500
    else:
        assert made is not None
        assert b"value of a" in made.response.body
    kms.close()
