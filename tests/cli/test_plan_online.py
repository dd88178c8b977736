"""``bulkseed plan --online``: what only the service knows, before anything is sent."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.command import bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

from bulkseed.client.operations import question
from bulkseed.engine.ask import Questioner, open_questioner
from bulkseed.errors import ServiceError
from bulkseed.jobs.existing_names import look_up_gone
from bulkseed.jobs.preflight import check
from bulkseed.ledger import Creation, open_ledger
from bulkseed.ledger.preview import Preview
from bulkseed.ledger.settled_names import settled_names
from bulkseed.model import Fault, Origin, QuotaGroup, SecretDefinition, SecretValue, Target
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS, Arrival, Disturbance
from bulkseed.service.shell.local import local_service
from bulkseed.wire.actions import (
    create_key,
    create_secret,
    delete_secret,
    describe_key,
    disable_key,
    list_secrets,
)

KEYS = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """Serve a local KMS with room for ten secrets."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, "--secret-quota=10") as (target, _):
        yield target


def plan(manifest: Path, target: Target, *more: str, cwd: Path) -> tuple[int, dict[str, object], str]:
    """Return exit code, JSON and text of a plan."""
    call = ["plan", manifest, "--online", "--endpoint", target.endpoint, *more]
    told = bulkseed(*call, "--output", "json", cwd=cwd, env=KEYS)
    text = bulkseed(*call, cwd=cwd, env=KEYS)
    assert "fake-value" not in told.stdout + text.stdout + told.stderr + text.stderr
    return told.returncode, json.loads(told.stdout), text.stdout


def test_names_and_room_are_told_before_the_run(tmp_path: Path, target: Target) -> None:
    """What exists, what is in its delete window, and that three secrets too many are to be created."""
    there = write_manifest(tmp_path / "there.jsonl", simple(3))
    assert bulkseed("apply", there, "--endpoint", target.endpoint, cwd=tmp_path, env=KEYS).returncode == 0
    asyncio.run(_delete(target, "app/00002"))
    manifest = write_manifest(tmp_path / "m.jsonl", simple(13))
    code, document, text = plan(manifest, target, cwd=tmp_path)
    online = document["online"]
    assert isinstance(online, dict)
    assert (online["existing"], online["in_delete_window"]) == (2, 1)
    assert online["quota"] == {"total": 10, "used": 3, "left": 7}
    assert code == document["exit_code"] == 1
    assert "2 of the names to create exist already, 1 are in their delete window" in text
    assert "not enough room: 10 to create, 7 left (3 of 10 used)" in text
    code, document, text = plan(there, target, cwd=tmp_path)
    assert (code, document["to_send"]) == (0, 0)
    assert (
        "0 of the names to create exist already" in text
    )  # those that the ledger has settled are not counted again


async def test_few_names_are_asked_for_and_many_are_looked_up_in_the_pages() -> None:
    """Whichever takes fewer calls; both find the same, those to be deleted apart."""
    lists = 0

    def count(arrival: Arrival) -> None:
        nonlocal lists
        lists += arrival.action == "ListSecrets"

    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    async with local_service(options, hook=count) as target:
        await _create(target, 450)
        await _delete(target, "app/00447")
        assert await _look(target, range(440, 460)) == (9, 1)
        assert lists == 1 + 2
        assert await _look(target, range(40, 540)) == (409, 1)
        assert lists == 3 + 5


def test_a_name_that_is_seen_twice_counts_once() -> None:
    """A list that shifts between two pages repeats names; what was seen last is true; others do not count."""
    definitions = [SecretDefinition(f"n{i}", SecretValue("v"), "v1", Origin("m", i + 1)) for i in range(5)]
    with Preview(None) as preview:
        preview.look(definitions)
        preview.saw(["n0", "n1", "another"], deleted=False)
        preview.saw(["n1", "n2"], deleted=False)
        preview.saw(["n2"], deleted=True)
        assert preview.seen() == (2, 1)
        assert list(preview.names(2)) == [["n0", "n1"], ["n2", "n3"], ["n4"]]


async def test_a_service_that_goes_away_while_it_lists_is_one_clear_error() -> None:
    """What happens to one of several questions ends the plan in words."""
    lists = 0

    def break_off(arrival: Arrival) -> Disturbance | None:
        nonlocal lists
        if arrival.action != "ListSecrets":
            return None
        lists += 1
        return KINDS["500-before"](None) if lists > 1 else None

    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    async with local_service(options, hook=break_off) as target:
        await _create(target, 101)
        with pytest.raises(ServiceError, match="InternalFailure"):
            await _look(target, range(50))


def test_all_is_well(tmp_path: Path, target: Target) -> None:
    """Enough room, nothing there, no key named: exit code 0, and nothing was created by asking."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(5))
    for _ in range(2):
        code, document, text = plan(manifest, target, cwd=tmp_path)
        assert (code, document["to_send"]) == (0, 5)
        assert "0 of the names to create exist already" in text
        assert "room for 10 more secrets (0 of 10 used)" in text
        assert "not enough" not in text


def test_keys_that_cannot_be_used_are_named(tmp_path: Path, target: Target) -> None:
    """An unknown, a disabled and an asymmetric key are found before the first secret is refused."""
    good, disabled, asymmetric = asyncio.run(_make_keys(target))
    names = [good, disabled, asymmetric, "no-such-key"]
    manifest = write_manifest(
        tmp_path / "m.jsonl", [{**d, "EncryptionKeyId": names[i % 4]} for i, d in enumerate(simple(8))]
    )
    code, document, text = plan(manifest, target, cwd=tmp_path)
    online = document["online"]
    assert isinstance(online, dict)
    assert sorted(online["keys"], key=lambda key: names.index(key["id"])) == [
        {"id": good, "usable": True, "reason": None},
        {"id": disabled, "usable": False, "reason": "is disabled"},
        {"id": asymmetric, "usable": False, "reason": "is not a symmetric key for encryption"},
        {"id": "no-such-key", "usable": False, "reason": "does not exist"},
    ]
    assert code == 1
    assert f"encryption key {disabled} cannot be used: it is disabled" in text
    assert "encryption keys that can be used: 1\n" in text


def test_what_may_not_be_asked_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    """Each permission that is missing costs its own answer only, and is no reason for another exit code."""
    actions = ["kms:ListSecrets", "kms:GetKmsInstanceQuotaInfos", "kms:DescribeKey"]
    users = [
        {
            "name": f"without-{i}",
            "access_key_id": f"id-{i}",
            "access_key_secret": "fake-secret",
            "allow": [{"action": [a for a in actions if a != actions[i]], "resource": "*"}],
        }
        for i in range(3)
    ]
    policies = tmp_path / "policies.json"
    policies.write_text(json.dumps({"users": users}))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--policies={policies}") as (target, _):
        key, *_ = asyncio.run(_make_keys(target))
        manifest = write_manifest(tmp_path / "m.jsonl", [{**d, "EncryptionKeyId": key} for d in simple(2)])
        for i, action in enumerate(actions):
            env = environment(
                ALIBABA_CLOUD_ACCESS_KEY_ID=f"id-{i}", ALIBABA_CLOUD_ACCESS_KEY_SECRET="fake-secret"
            )
            call = ["plan", manifest, "--online", "--endpoint", target.endpoint]
            told = bulkseed(*call, "--output", "json", cwd=tmp_path, env=env)
            online = json.loads(told.stdout)["online"]
            unknown = [
                online["existing"] is None, online["quota"] is None, online["keys"][0]["usable"] is None
            ]  # fmt: skip
            assert (told.returncode, unknown) == (0, [n == i for n in range(3)])
            assert [action in question for question in online["unknown"]] == [True]
            assert f"grant {action}\n" in bulkseed(*call, cwd=tmp_path, env=env).stdout


def test_no_room_is_told_for_several_instances_at_once(tmp_path: Path, target: Target) -> None:
    """The quota of one of them says nothing about the others."""
    manifest = write_manifest(
        tmp_path / "m.jsonl", [{**d, "DKMSInstanceId": f"kst-{i}"} for i, d in enumerate(simple(12))]
    )
    code, document, text = plan(manifest, target, cwd=tmp_path)
    online = document["online"]
    assert isinstance(online, dict)
    assert (code, online["quota"]) == (0, None)
    assert "not told: how much room is left: the definitions go to 12 KMS instances" in text


class _OddService(BaseHTTPRequestHandler):
    """Has a clock that is an hour ahead, throttles the first question, and says odd things."""

    protocol_version = "HTTP/1.1"
    calls: ClassVar[list[str]] = []

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + 3600, usegmt=True)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        action = self.headers["x-acs-action"]
        self.calls.append(action)
        status, document = 200, {"RequestId": "r", "TotalCount": 0, "SecretList": {"Secret": []}}
        if len(self.calls) == 1:
            status, document = 429, {"Code": "Rejected.Throttling", "Message": "slow down"}
        elif action != "ListSecrets":
            status, document = 403, {"Code": "\x1b[2JFake.Code", "Message": "canary-hunter2"}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def test_a_clock_that_is_off_is_told_and_what_the_service_says_is_not_trusted(tmp_path: Path) -> None:
    """The Date header against our clock; a throttled question is repeated; an odd code is not shown."""
    manifest = write_manifest(tmp_path / "m.jsonl", [{**simple(1)[0], "EncryptionKeyId": "key-1"}])
    _OddService.calls.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _OddService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        call = ["plan", manifest, "--online", "--endpoint", f"http://127.0.0.1:{server.server_port}"]
        text = bulkseed(*call, cwd=tmp_path)
        told = bulkseed(*call, "--output", "json", cwd=tmp_path)
        server.shutdown()
        thread.join()
    assert _OddService.calls[:2] == ["ListSecrets", "ListSecrets"]
    assert 3597 <= json.loads(told.stdout)["online"]["clock_ahead_s"] <= 3601
    assert "the service's clock is +3" in text.stdout
    assert "whether key key-1 can be used (HTTP403)" in text.stdout
    shown = text.stdout + text.stderr + told.stdout + told.stderr
    assert "canary" not in shown
    assert "Fake" not in shown


def test_wrong_credentials_are_found_at_once(tmp_path: Path, target: Target) -> None:
    """Exit code 3 with what to do."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(1))
    env = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
    done = bulkseed("plan", manifest, "--online", "--endpoint", target.endpoint, cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert "SignatureDoesNotMatch" in done.stderr


async def test_questions_keep_to_the_quota_of_management() -> None:
    """40 in a second, however many ask at once."""
    times: list[float] = []
    options = ServiceOptions(manage_qps=0)

    def note(_: Arrival) -> None:
        times.append(time.monotonic())

    async with local_service(options, hook=note) as target, open_questioner(target) as service:
        began = time.monotonic()
        describe = question(describe_key.GROUP, describe_key.Request, describe_key.Reply.read)
        asked = [service.ask(describe, describe_key.Request("no-such-key")) for _ in range(60)]
        assert all(isinstance(answer, Fault) for answer in await asyncio.gather(*asked))
    assert len(times) == 60
    # The sender keeps to it exactly, as the pacer's tests see; a busy server notes arrivals late.
    assert all(arrived - began > 0.95 for arrived in times[40:])


async def _create(target: Target, count: int) -> None:
    """Create app/00000 and so on."""
    async with open_questioner(target) as service:
        for i in range(count):
            request = create_secret.Request(f"app/{i:05d}", "v1", SecretValue("fake-value"))
            # The group only says how fast; the service here does not limit it.
            create = question(QuotaGroup.READ, create_secret.Request, create_secret.Reply.read)
            assert not isinstance(await service.ask(create, request), Fault)


async def _look(target: Target, numbers: range) -> tuple[int | None, int | None]:
    """Return how many of these names exist, and how many of them are to be deleted."""
    definitions = [
        SecretDefinition(f"app/{i:05d}", SecretValue("v"), "v1", Origin("m", i + 1)) for i in numbers
    ]
    async with open_questioner(target, RetryPolicy(max_attempts=2)) as service:
        with Preview(None) as preview:
            preview.look(definitions)
            found = await check(service, [], [], preview, len(definitions))
    return found.existing, found.in_delete_window


async def _delete(target: Target, name: str) -> None:
    async with open_questioner(target) as service:
        delete = question(delete_secret.GROUP, delete_secret.Request, delete_secret.Reply.read)
        assert not isinstance(await service.ask(delete, delete_secret.Request(name)), Fault)


async def _make_keys(target: Target) -> tuple[str, str, str]:
    async with open_questioner(target) as service:
        good, disabled = [await _make_key(service) for _ in range(2)]
        asymmetric = await _make_key(service, "RSA_2048", "SIGN/VERIFY")
        disable = question(disable_key.GROUP, disable_key.Request, disable_key.Reply.read)
        assert not isinstance(await service.ask(disable, disable_key.Request(disabled)), Fault)
    return good, disabled, asymmetric


async def _make_key(service: Questioner, spec: str | None = None, usage: str | None = None) -> str:
    create = question(create_key.GROUP, create_key.Request, create_key.Reply.read)
    made = await service.ask(create, create_key.Request(key_spec=spec, key_usage=usage))
    assert not isinstance(made, Fault)
    return made.key_metadata.key_id


async def test_what_a_wrong_list_leaves_out_is_not_called_gone(tmp_path: Path) -> None:
    """A count that is too small hides pages; each name that no page had is asked for by itself."""
    names = [*(f"app/{i:05d}" for i in range(250)), "gone"]

    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    async with local_service(options) as honest:
        await _create(honest, 250)
        with open_ledger(tmp_path / "m.ledger.db", honest) as ledger:
            ledger.begin_run("run", [], {}, 0.0)
            value = SecretValue("v")
            entries = [SecretDefinition(n, value, "v1", Origin("m", i)) for i, n in enumerate(names)]
            claims = ledger.admit(entries, 0.0)
            ledger.record([], [], [Creation(c.row_id, 0.0, 0.1, None, None, None) for c in claims.to_send])
            async with open_questioner(honest) as service:
                lying = _Lying(service)
                with settled_names(ledger) as left:
                    assert await look_up_gone(lying, left) == ["gone"]  # type: ignore[arg-type]  # all it needs


async def test_a_list_that_lacks_some_is_told_as_that() -> None:
    """What was found are at least so many, where pages do not have as many as they say (A9)."""
    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    async with local_service(options) as honest:
        await _create(honest, 25)
        async with open_questioner(honest) as service:
            entry = SecretDefinition("app/00001", SecretValue("v"), "v1", Origin("m", 1))
            for asked, least in ((service, False), (_Lying(service, 30), True), (_Lying(service, 20), True)):
                with Preview(None) as preview:
                    preview.look([entry])
                    found = await check(asked, [], [None], preview, 1)  # type: ignore[arg-type]  # all it needs
                assert (found.existing, found.at_least) == (1, least)


class _Lying:
    """A questioner whose lists say that there are `count` secrets."""

    def __init__(self, service: Questioner, count: int = 100) -> None:
        self._service = service
        self._count = count
        self.time = service.time

    async def ask(self, operation: Any, item: Any) -> Any:
        """Ask, and change what a list counts."""
        answer = await self._service.ask(operation, item)
        return replace(answer, total_count=self._count) if isinstance(answer, list_secrets.Reply) else answer


def test_a_long_listing_tells_how_far_it_is(tmp_path: Path) -> None:
    """After a second there is a line on standard error, and none where all is answered before (F12)."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    slow = {"rules": [{"action": "ListSecrets", "fault": "delay", "delay_ms": 1300}]}
    (tmp_path / "slow.json").write_text(json.dumps(slow))
    for flags, lines in ((["--faults=slow.json"], 1), ([], 0)):
        flags = [flag.replace("slow.json", str(tmp_path / "slow.json")) for flag in flags]
        with served(tmp_path / "kms", *UNLIMITED_FLAGS, *flags) as (target, _):
            call = ["plan", "m.jsonl", "--online", "--endpoint", target.endpoint]
            done = bulkseed(*call, cwd=tmp_path, env=KEYS)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("answers so far") == lines, done.stderr
