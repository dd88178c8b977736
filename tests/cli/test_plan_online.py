"""``bulkseed plan --online``: what only the service knows, before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

from bulkseed.engine.ask import Questioner, open_questioner
from bulkseed.engine.preflight import look
from bulkseed.errors import ServiceError
from bulkseed.ledger.preview import Preview
from bulkseed.model import Fault, Origin, SecretDefinition, SecretValue, Target
from bulkseed.service.faults import KINDS, Arrival, Disturbance
from bulkseed.service.local import local_service
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_key, create_secret, delete_secret, disable_key
from bulkseed.wire.message import Lane

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
    assert "2 of the names exist already, 1 are in their delete window" in text
    assert "room for 7 more secrets (3 of 10 used): 3 TOO FEW" in text


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
        assert "0 of the names exist already" in text
        assert "TOO FEW" not in text


def test_keys_that_cannot_be_used_are_named(tmp_path: Path, target: Target) -> None:
    """An unknown and a disabled key are found before the first secret is refused."""
    good, disabled = asyncio.run(_make_keys(target))
    names = [good, disabled, "no-such-key"]
    manifest = write_manifest(
        tmp_path / "m.jsonl", [{**d, "EncryptionKeyId": names[i % 3]} for i, d in enumerate(simple(6))]
    )
    code, document, text = plan(manifest, target, cwd=tmp_path)
    online = document["online"]
    assert isinstance(online, dict)
    assert online["keys"]["checked"] == 3
    assert set(online["keys"]["unusable"]) == {disabled, "no-such-key"}
    assert code == 1
    assert f"encryption key {disabled} cannot be used: is Disabled" in text


def test_wrong_credentials_are_found_at_once(tmp_path: Path, target: Target) -> None:
    """Exit code 3 with what to do."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(1))
    env = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
    done = bulkseed("plan", manifest, "--online", "--endpoint", target.endpoint, cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert "SignatureDoesNotMatch" in done.stderr


async def _create(target: Target, count: int) -> None:
    """Create app/00000 and so on."""
    async with open_questioner(target) as service:
        for i in range(count):
            call = create_secret.Request(f"app/{i:05d}", "v1", SecretValue("fake-value")).encode()
            # The lane only says how fast; the service here does not limit it.
            assert not isinstance(await service.ask(Lane.READ, call, create_secret.Reply.read), Fault)


async def _look(target: Target, numbers: range) -> tuple[int | None, int | None]:
    """Return how many of these names exist, and how many of them are to be deleted."""
    definitions = [
        SecretDefinition(f"app/{i:05d}", SecretValue("v"), "v1", Origin("m", i + 1)) for i in numbers
    ]
    async with open_questioner(target) as service:
        with Preview(None) as preview:
            preview.look(definitions)
            found = await look(service, [], None, preview, len(definitions))
    return found.existing, found.in_delete_window


async def _delete(target: Target, name: str) -> None:
    async with open_questioner(target) as service:
        call = delete_secret.Request(name).encode()
        assert not isinstance(await service.ask(Lane.CREATE, call, delete_secret.Reply.read), Fault)


async def _make_keys(target: Target) -> tuple[str, str]:
    async with open_questioner(target) as service:
        good, disabled = [await _make_key(service) for _ in range(2)]
        call = disable_key.Request(disabled).encode()
        assert not isinstance(await service.ask(Lane.MANAGE, call, disable_key.Reply.read), Fault)
    return good, disabled


async def _make_key(service: Questioner) -> str:
    made = await service.ask(Lane.MANAGE, create_key.Request().encode(), create_key.Reply.read)
    assert not isinstance(made, Fault)
    return made.key_metadata.key_id
