"""``kill -9`` while creates pour in: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
import time
from pathlib import Path

import aiohttp
from support.serve_process import UNLIMITED_FLAGS, served
from yarl import URL

from bulkseed.model import Credentials, SecretValue, Target
from bulkseed.wire.actions import (
    create_secret,
    get_secret_value,
    list_secret_version_ids,
    list_secrets,
    rotate_secret,
)
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.message import Call, Response
from bulkseed.wire.signing.verify import SIGNATURES

ROUNDS = 3
CLIENTS = 16
ROTATED = ("r0", "r1", "r2", "r3")


def managed(name: str) -> create_secret.Request:
    """Return a CreateSecret of an account in a database that is simulated."""
    accounts = '{"Accounts":[{"AccountName":"app","AccountPassword":"first"}]}'
    config = '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}'
    return create_secret.Request(name, "v1", SecretValue(accounts), secret_type="Rds", extended_config=config)


class Caller:
    """Signs and sends calls over real sockets."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        assert isinstance(target.credentials, Credentials)
        self._session, self._endpoint = session, target.endpoint
        self._signer = SIGNATURES["acs3"](target.endpoint.partition("://")[2], target.credentials)
        self._nonces = (secrets.token_hex(16) for _ in itertools.count())

    async def send(self, call: Call) -> Response:
        """Send one call."""
        request = self._signer.sign(call, time.time(), next(self._nonces))
        url = URL(f"{self._endpoint}/?{request.query}", encoded=True)
        async with self._session.post(url, data=request.body, headers=request.headers) as response:
            return Response(response.status, {}, await response.read())


def value_for(name: str) -> str:
    """Return the value that a name has in this test."""
    return f"value of {name}" * 20


async def create_until_killed(target: Target, names: itertools.count[int], killed: asyncio.Event) -> set[str]:
    """Create as fast as it goes, and return what was acknowledged."""
    acknowledged: set[str] = set()
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, target)

        async def worker() -> None:
            while True:
                name = f"n{next(names)}"
                request = create_secret.Request(name, "v1", SecretValue(value_for(name)))
                try:
                    response = await caller.send(request.encode())
                except aiohttp.ClientError:
                    return
                assert response.status == 200, response
                acknowledged.add(name)

        workers = [asyncio.create_task(worker()) for _ in range(CLIENTS)]
        await killed.wait()
        await asyncio.gather(*workers)
    return acknowledged


async def stored(target: Target) -> dict[str, str]:
    """Return name → value of everything that the service has, each with its whole version."""
    found: dict[str, str] = {}
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, target)
        for page in itertools.count(1):
            listed = ACTIONS["ListSecrets"].reply.read(
                await caller.send(list_secrets.Request(page_number=page, page_size=100).encode())
            )
            assert isinstance(listed, list_secrets.Reply)
            if not listed.secret_list:
                return found
            for secret in listed.secret_list:
                name = secret.secret_name
                read = get_secret_value.Reply.read(await caller.send(get_secret_value.Request(name).encode()))
                assert isinstance(read, get_secret_value.Reply), read
                found[name] = read.secret_data.reveal()
                versions = list_secret_version_ids.Reply.read(
                    await caller.send(list_secret_version_ids.Request(name).encode())
                )
                assert isinstance(versions, list_secret_version_ids.Reply)
                assert versions.total_count == 1
    return found


async def test_acknowledged_creates_survive_kill_9(tmp_path: Path) -> None:
    """Several kills at random moments: every acknowledged create is there with its value."""
    acknowledged: set[str] = set()
    names = itertools.count()
    for _ in range(ROUNDS):
        with served(tmp_path, *UNLIMITED_FLAGS) as (target, process):
            killed = asyncio.Event()
            creating = asyncio.create_task(create_until_killed(target, names, killed))
            loop = asyncio.get_running_loop()
            moment = secrets.randbelow(300) / 1000 + 0.05
            loop.call_later(moment, process.send_signal, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            killed.set()
            acknowledged |= await creating
    with served(tmp_path, *UNLIMITED_FLAGS) as (target, _):
        found = await stored(target)
    assert acknowledged
    assert acknowledged <= found.keys()
    assert found == {name: value_for(name) for name in found}
    assert len(found) <= len(acknowledged) + ROUNDS * CLIENTS


async def rotate_until_killed(target: Target, killed: asyncio.Event) -> dict[str, int]:
    """Rotate each secret again and again, and return the last version of each that was acknowledged."""
    last = dict.fromkeys(ROTATED, 0)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, target)

        async def worker(name: str) -> None:
            begun = await caller.send(get_secret_value.Request(name).encode())
            reply = get_secret_value.Reply.read(begun)
            assert isinstance(reply, get_secret_value.Reply), reply
            for number in itertools.count(int(reply.version_id[1:]) + 1):
                request = rotate_secret.Request(name, f"v{number}")
                try:
                    response = await caller.send(request.encode())
                except aiohttp.ClientError:
                    return
                assert response.status == 200, response
                last[name] = number

        workers = [asyncio.create_task(worker(name)) for name in ROTATED]
        await killed.wait()
        await asyncio.gather(*workers)
    return last


async def test_acknowledged_rotations_survive_kill_9(tmp_path: Path) -> None:
    """What was rotated last is in force, or the one rotation after it whose answer was lost."""
    flags = (*UNLIMITED_FLAGS, "--rotate-per-hour=0")
    with served(tmp_path, *flags) as (target, process):
        async with aiohttp.ClientSession() as session:
            caller = Caller(session, target)
            for name in ROTATED:
                assert (await caller.send(managed(name).encode())).status == 200
        killed = asyncio.Event()
        rotating = asyncio.create_task(rotate_until_killed(target, killed))
        moment = secrets.randbelow(200) / 1000 + 0.2
        asyncio.get_running_loop().call_later(moment, process.send_signal, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        killed.set()
        last = await rotating
    assert any(last.values())
    with served(tmp_path, *flags) as (target, _):
        async with aiohttp.ClientSession() as session:
            caller = Caller(session, target)
            for name, number in last.items():
                found = {
                    stage: get_secret_value.Reply.read(
                        await caller.send(get_secret_value.Request(name, version_stage=stage).encode())
                    )
                    for stage in ("ACSCurrent", "ACSPrevious")
                }
                current, previous = found.values()
                assert isinstance(current, get_secret_value.Reply), current
                assert int(current.version_id[1:]) in (max(number, 1), number + 1)
                if number:
                    assert isinstance(previous, get_secret_value.Reply), previous
                    assert previous.secret_data != current.secret_data


def test_sigterm_ends_the_service_cleanly(tmp_path: Path) -> None:
    """Exit 0, nothing on standard error, and the write-ahead log is folded in."""
    with served(tmp_path) as (_, process):
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"")
    assert {path.name for path in tmp_path.iterdir()} == {".gitignore", "kms.db", "master.key", "nonces"}
