"""No secret leaves: no value's bytes are in any file, log, output, repr or traceback, whatever happens."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, write_manifest
from support.histories import FOLDER
from support.torture import served
from support.world import ACCESS_KEY_SECRET, Network, Trouble, World

from bulkseed.ledger import read_ledger
from bulkseed.model import NoReply, Origin, Row, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.message import Request, Response

VALUES = st.one_of(
    st.text(min_size=10, max_size=60),
    st.text("0123456789abcdef-", min_size=16, max_size=40),  # like a request id
    st.uuids().map(str),
    st.from_regex(r"[A-Z][a-z]{6,12}\.[A-Z][a-z]{6,12}", fullmatch=True),  # like an error code
    st.from_regex(r"[A-Z][A-Za-z]{12,20}", fullmatch=True),
    st.text("0123456789", min_size=12, max_size=20),  # like an account in an ARN
    st.text("abcdefghij./+=@_-", min_size=12, max_size=40),  # like a version id
).filter(lambda text: len(text.strip()) >= 10 and len(set(text)) > 3)


def spellings(secret: str) -> dict[str, bytes]:
    """Return what a secret may look like on its way."""
    raw = secret.encode()
    return {
        "raw": raw,
        "percent-encoded": quote(secret, safe="").encode(),
        "form-encoded": quote_plus(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "repr": repr(secret)[1:-1].encode(),
        "base64": base64.b64encode(raw),
        "hex": raw.hex().encode(),
    }


def find_leaks(secrets: dict[str, str], places: dict[str, bytes]) -> list[str]:
    """Say which secret is in which place, and how it is spelled."""
    return [
        f"{what} is in {place}, {spelling}"
        for what, secret in secrets.items()
        for spelling, needle in spellings(secret).items()
        for place, content in places.items()
        if needle in content
    ]


@dataclass
class Mess:
    """A run over a service that echoes the value wherever it can, and perhaps an error in the middle."""

    value: str
    statuses: list[int]
    troubles: list[Trouble]
    on_exists: OnExists
    on_delete_window: OnDeleteWindow
    explodes: str | None
    codes: list[str | None] = field(default_factory=list)


messes = st.builds(
    Mess,
    value=VALUES,
    statuses=st.lists(st.sampled_from([200, 200, 400, 403, 404, 409, 429, 500, 503]), min_size=1, max_size=6),
    troubles=st.lists(
        st.builds(Trouble, st.sampled_from(["none", "drop-after", "truncate", "refused"])), max_size=4
    ),
    on_exists=st.sampled_from(OnExists),
    on_delete_window=st.sampled_from(OnDeleteWindow),
    explodes=st.sampled_from([None, None, "on_row", "transport", "manifest"]),
    codes=st.lists(
        st.sampled_from([None, None, "Rejected.ResourceExist", "Rejected.ResourceInDeleteWindow"]), max_size=6
    ),
)


@settings(max_examples=150)
@given(messes)
def test_no_value_leaves_a_run(mess: Mess) -> None:
    """Replies echo the value in every field and header; errors strike anywhere; it is nowhere to be found."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(_run, mess, Path(folder))


async def _run(mess: Mess, folder: Path) -> None:
    places: dict[str, bytes] = {}
    with _watched() as told, closing(_world(mess, folder)) as world:
        try:
            rules = Rules(RetryPolicy(max_attempts=3), mess.on_exists, mess.on_delete_window)
            summary = await world.live(_entries(mess), qps=0, rules=rules, stop_after=5)
            places["the summary"] = repr(summary).encode()
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not tell
            places["the exception"] = repr(error).encode()
            places["the traceback"] = "".join(traceback.format_exception(error)).encode()
        for row in world.rows:
            places[f"row {row.name}"] = repr(row).encode()
        with read_ledger(world.path) as ledger:
            places["the ledger's dump"] = "\n".join(ledger.connection.iterdump()).encode()
    places["logs and output"] = told.getvalue().encode()
    places |= _files(folder)
    leaks = find_leaks({"the value": mess.value, "the key": ACCESS_KEY_SECRET}, places)
    assert not leaks, leaks


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _entries(mess: Mess) -> Iterator[SecretDefinition]:
    for number in range(4):
        yield SecretDefinition(f"name-{number}", SecretValue(mess.value), "v1", Origin("m.jsonl", number + 1))
    if mess.explodes == "manifest":
        raise RuntimeError("the manifest's reader failed")


@pytest.mark.parametrize(
    "arn", ["{arn}", "{value}", "{prefix}{value}", "acs:kms:cn-hangzhou:{value}:secret/{name}"]
)
def test_a_good_reply_excuses_no_later_one(arn: str) -> None:
    """After a reply that is as it should be, those that echo the value are looked at all the same."""
    value = "120394857610293847"  # like an account, and like a request id
    replies: list[Response] = []

    def echo(_request: Request, response: Response) -> Response:
        replies.append(response)
        if len(replies) == 1:
            return response
        said = orjson.loads(response.body)
        name, true = said["SecretName"], said["Arn"]
        said["RequestId"] = value
        said["Arn"] = arn.format(arn=true, prefix=true.removesuffix(name), name=name, value=value)
        return Response(200, response.headers, orjson.dumps(said))

    async def run(folder: Path) -> None:
        with closing(World(folder, rewrite=echo)) as world:
            entries = list(_entries(Mess(value, [], [], OnExists.SKIP, OnDeleteWindow.FAIL, None)))
            await world.live(entries, rules=Rules(), stop_after=5)
            with read_ledger(world.path) as ledger:
                rows = [*world.rows, *ledger.rows()]
                dump = "\n".join(ledger.connection.iterdump())
        assert len(replies) == len(entries)
        assert sum(row.arn is not None for row in world.rows) == (len(entries) if arn == "{arn}" else 1)
        assert value not in repr(rows) + dump

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(run, Path(folder))


class Exploding(Network):
    """A transport that fails as no transport should."""

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Fail on the third request, with everything at hand in the frame."""
        if len(self.world.sent) >= 2:
            body = request.body
            raise RuntimeError(f"a bug, {len(body)} bytes deep")
        return await super().send(request, on_write)


def _world(mess: Mess, folder: Path) -> World:
    statuses, codes = iter(mess.statuses), iter(mess.codes)

    def echo(_request: Request, response: Response) -> Response:
        status = next(statuses, None)
        if status is None:
            return response
        v = mess.value
        headers = {"x-acs-request-id": v, "x-acs-retry-after": v, "server": v, "date": v, v: v}
        document = {
            "Code": next(codes, None) or v,
            "Message": f"the value {v} is not good",
            "RequestId": v,
            "Arn": f"acs:kms:cn-hangzhou:{v}:secret/{v}",
            "SecretName": v,
            "SecretData": v if status != 200 else v + "!",
            "VersionId": v,
            "VersionStages": {"VersionStage": [v]},
            "CreateTime": v,
            "TotalCount": 1,
            "VersionIds": {"VersionId": [{"VersionId": v}]},
        }
        if status == 200:
            del document["Code"]
        return Response(status, headers, orjson.dumps(document))

    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    world = World(folder, options=options, troubles=mess.troubles, rewrite=echo)
    if mess.explodes == "transport":
        world.make_transport = Exploding
    if mess.explodes == "on_row":
        world.step = _explode  # type: ignore[method-assign]  # the world's step is called for every row
    return world


def _explode() -> None:
    raise RuntimeError("the caller's on_row failed")


@contextlib.contextmanager
def _watched() -> Iterator[io.StringIO]:
    """Collect every log record at debug level, and what is printed."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            yield told
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_what_carries_a_value_does_not_print_it() -> None:
    """Calls, requests and responses are in frames that error reporters show: their reprs are bare."""
    from bulkseed.client.operations import OPERATIONS
    from bulkseed.model import Credentials
    from bulkseed.policy.steps import CREATE, PUT
    from bulkseed.wire.signing.verify import SIGNATURES

    secret = "fake-canary-0815-value"
    definition = SecretDefinition("name", SecretValue(secret), "v1", Origin("m.jsonl", 1))
    places = {"definition": repr(definition), "row": repr(Row("name", "v1", outcome=None))}  # type: ignore[arg-type]  # any
    credentials = Credentials("id", SecretValue(KEY_SECRET), SecretValue(secret))
    places["credentials"] = repr(credentials)
    for name, signature in SIGNATURES.items():
        signer = signature("kms.test", Credentials("id", SecretValue(KEY_SECRET)))
        places[f"signer {name}"] = repr(signer)
        for step in (CREATE, PUT):
            call = OPERATIONS[step].encode(definition)
            places[f"call {step.name}"] = repr(call)
            places[f"request {step.name} {name}"] = repr(signer.sign(call, 1e9, "nonce"))
    places["response"] = repr(Response(200, {}, orjson.dumps({"SecretData": secret})))
    leaks = find_leaks(
        {"the value": secret, "the key": KEY_SECRET}, {k: v.encode() for k, v in places.items()}
    )
    assert not leaks, leaks


CANARY = 'fake-canary /+%"\\ 密 4f1d'
BAD = "fake-canary-in-a-bad-line-7a"


def test_no_value_leaves_the_command(tmp_path: Path) -> None:
    """At debug level, with bad lines, faults and conflicts: nothing in any file or output."""
    definitions = [{"SecretName": f"app/{i}", "SecretData": f"{CANARY} {i}"} for i in range(12)]
    bad: list[dict[str, str] | str] = [
        {"SecretName": "", "SecretData": BAD},
        {"SecretName": "app/x", "SecretData": BAD, "VersionId": BAD * 9, "Tags": BAD},
        {"SecretName": "app/0", "SecretData": BAD},
        '{"SecretName": "app/y", "SecretData": "' + BAD + '", "SecretDa',
        '["' + BAD + '"]',
        {"SecretName": "app/z", "SecretData": BAD, "SecretDataType": "binary"},
        {"SecretName": "app/w", "SecretData": BAD, "ExtendedConfig": BAD, "SecretType": BAD, BAD: BAD},
    ]
    manifest = write_manifest(tmp_path / "m.jsonl", [*definitions, *bad])
    changed = [d | {"SecretData": f"{CANARY} changed"} for d in definitions]
    other = write_manifest(tmp_path / "other.jsonl", changed)
    manifests = {manifest.name, other.name}
    faults = {
        "rules": [
            {"action": "CreateSecret", "requests": [1, 4, 7], "fault": "drop-after"},
            {"action": "CreateSecret", "requests": [2, 9], "fault": "truncate"},
            {"action": "GetSecretValue", "requests": [1, 2], "fault": "truncate"},
        ]
    }
    told: dict[str, bytes] = {}
    data_dir = tmp_path / "kms"
    with served(data_dir, faults) as endpoint:
        common = ["--endpoint", endpoint, "--qps", 0, "--log-level", "debug"]
        calls: list[list[object]] = [
            ["apply", manifest, *common, "--log-format", "json", "--output", "json"],
            ["apply", manifest, *common, "--progress", "plain"],
            ["apply", other, *common, "--on-exists", "verify", "--ledger", "other.ledger.db"],
            ["apply", other, *common, "--on-exists", "update", "--ledger", "other.ledger.db"],
            ["apply", other, *common, "--on-exists", "fail", "--ledger", "refused.ledger.db"],
            ["apply", manifest, *common, "--on-exists", "nonsense"],
            ["plan", manifest, "--endpoint", endpoint],
            ["ledger", "rows", "m.ledger.db"],
            ["ledger", "rejects", "m.ledger.db"],
            ["ledger", "rejects", "refused.ledger.db"],
            ["ledger", "status", "m.ledger.db"],
            ["ledger", "audit", "m.ledger.db"],
            ["ledger", "audit", "m.ledger.db", "--online", "--endpoint", endpoint],
            ["plan", manifest, "--online", "--endpoint", endpoint],
            ["explain", manifest, "--line", 1],
            ["verify", manifest, *common],
            ["verify", manifest, *common, "--output", "json"],
            ["report", "m.ledger.db"],
            ["report", "other.ledger.db"],
            ["report", "refused.ledger.db"],
            ["report", "m.verify.db"],
            ["rollback", "m.ledger.db", *common],
            ["rollback", "m.ledger.db", *common, "--yes"],
        ]
        for number, call in enumerate(calls):
            done = bulkseed(*call, cwd=tmp_path)
            assert "Traceback" not in done.stderr, done.stderr
            assert "Internal error" not in done.stderr, done.stderr
            assert done.returncode in ({2} if "nonsense" in call else {0, 1}), (call, done.stderr)
            told[f"output of {number}: {call[0]} {call[1]}"] = (done.stdout + done.stderr).encode()
    told |= {name: content for name, content in _files(tmp_path).items() if name not in manifests}
    assert {f"{name}.report.html" for name in ("m", "other", "refused", "m.verify")} <= set(told)
    secrets = {"a value": CANARY, "a bad line's value": BAD, "the key": KEY_SECRET}
    assert KEY_ID in environment()["ALIBABA_CLOUD_ACCESS_KEY_ID"]
    leaks = find_leaks(secrets, told)
    assert not leaks, leaks
