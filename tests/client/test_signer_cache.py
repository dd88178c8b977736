"""Keys that expire during a run are renewed in time, whoever gives them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import virtual_clock

from bulkseed.client.credentials import ASK_AGAIN, REFRESH_AHEAD, SignerCache
from bulkseed.errors import CredentialsError
from bulkseed.model import Credentials, SecretValue, Target
from bulkseed.pacing.clock import Clock

HOUR = 3600.0


class Source:
    """Gives keys that are good for some time, and counts how often it is asked."""

    def __init__(self, good_for: float | None, *, token: bool = True) -> None:
        self.asked: list[float] = []
        self.broken = False
        self._good_for = good_for
        self._token = SecretValue("fake-token") if token else None

    def fetch(self) -> Credentials:
        """Return new keys."""
        self.asked.append(virtual_clock.now() - virtual_clock.START)
        if self.broken:
            raise CredentialsError("none")
        expires_at = None if self._good_for is None else virtual_clock.now() + self._good_for
        return Credentials(f"key-{len(self.asked)}", SecretValue("fake"), self._token, expires_at)


async def use(source: Source, seconds: float) -> SignerCache:
    """Ask for a signer once a second, as many workers at a time."""
    target = Target("http://kms.test", "cn-hangzhou", source)
    signers = SignerCache(target, Clock(virtual_clock.now, virtual_clock.now))
    for _ in range(int(seconds)):
        await asyncio.gather(*(signers.signer() for _ in range(3)))
        await asyncio.sleep(1.0)
    return signers


def test_keys_are_renewed_before_they_expire() -> None:
    """Once for all workers, five minutes ahead; and not sooner."""

    async def main() -> None:
        source = Source(HOUR)
        signers = await use(source, 2.5 * HOUR)
        assert source.asked == pytest.approx([0.0, HOUR - REFRESH_AHEAD, 2 * (HOUR - REFRESH_AHEAD)], abs=2.0)
        assert signers.lasting is None

    virtual_clock.run(main)


def test_keys_with_a_token_and_no_known_end_are_asked_for_again_and_again() -> None:
    """They end some time: once a minute the source may give others."""

    async def main() -> None:
        source = Source(None)
        signers = await use(source, 10 * ASK_AGAIN)
        assert len(source.asked) == 10
        assert signers.lasting is None

    virtual_clock.run(main)


def test_keys_that_last_are_asked_for_once() -> None:
    """Without a token they are for ever."""

    async def main() -> None:
        source = Source(None, token=False)
        signers = await use(source, HOUR)
        assert len(source.asked) == 1
        assert signers.lasting is not None

    virtual_clock.run(main)


def test_a_source_that_fails_ahead_of_time_is_asked_again() -> None:
    """While the keys are good its failure matters to nobody; when they expire it ends the run (H4)."""

    async def main() -> None:
        source = Source(HOUR)
        asyncio.get_running_loop().call_later(1.0, setattr, source, "broken", True)
        with pytest.raises(CredentialsError):
            await use(source, 2 * HOUR)
        assert source.asked[1] == pytest.approx(HOUR - REFRESH_AHEAD, abs=2.0)
        assert REFRESH_AHEAD / ASK_AGAIN <= len(source.asked) <= 4 * REFRESH_AHEAD / ASK_AGAIN
        assert HOUR - 4 < source.asked[-1] <= HOUR
        assert virtual_clock.now() - virtual_clock.START >= HOUR - 4

    virtual_clock.run(main)


class Hanging:
    """Gives keys once, and then does not answer until it is let go."""

    def __init__(self, first: Credentials) -> None:
        self.first: Credentials | None = first
        self.let_go = threading.Event()

    def fetch(self) -> Credentials:
        """Return the keys, or hang."""
        given, self.first = self.first, None
        if given is None:
            self.let_go.wait()
            raise CredentialsError("let go")
        return given


class SetClock:
    """A wall clock that is set by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def test_a_source_that_hangs_holds_nobody_up() -> None:
    """While its keys are good, requests are signed with them; it keeps neither the run nor the process.

    (H4)
    """
    wall = SetClock()
    source = Hanging(Credentials("k", SecretValue("fake"), SecretValue("fake-token"), wall.now + HOUR))
    signers = SignerCache(Target("http://kms.test", "cn-hangzhou", source), Clock(wall=wall))
    signer = await signers.signer()
    wall.now += HOUR - REFRESH_AHEAD + 1
    asking = asyncio.create_task(signers.signer())
    await asyncio.sleep(0)
    assert await asyncio.wait_for(signers.signer(), 20) is signer
    assert not asking.done()
    threads = [t for t in threading.enumerate() if t.name == "bulkseed-reader"]
    assert all(thread.daemon for thread in threads)
    source.let_go.set()
    assert await asking is signer


async def test_a_source_that_hangs_from_the_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With words, in place of a command that never ends (H4)."""
    monkeypatch.setattr("bulkseed.client.credentials.FETCH_TIMEOUT", 0.01)
    source = Hanging(Credentials("k", SecretValue("fake")))
    source.first = None
    with pytest.raises(CredentialsError, match="does not answer within"):
        await SignerCache(Target("http://kms.test", "cn-hangzhou", source), Clock()).signer()
    source.let_go.set()


@contextmanager
def credentials_uri(document: dict[str, str]) -> Iterator[str]:
    """Serve credentials as ALIBABA_CLOUD_CREDENTIALS_URI expects them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name for it
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_keys_of_the_vendors_chain_are_never_taken_for_lasting() -> None:
    """Their own library fetches keys that end; it may keep the end to itself.

    The default chain of version 1.0 does not pass it on, so they are asked for again. It reads its
    environment when it is imported, so it has a process of its own.
    """
    document = {
        "Code": "Success",
        "AccessKeyId": "fake-key",
        "AccessKeySecret": "fake-secret",
        "SecurityToken": "fake-token",
        "Expiration": "2100-01-01T00:00:00Z",
    }
    env = {name: text for name, text in os.environ.items() if not name.startswith("ALIBABA_CLOUD_")}
    with credentials_uri(document) as uri:
        env |= {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", "ALIBABA_CLOUD_CREDENTIALS_URI": uri}
        done = subprocess.run(
            [sys.executable, "-c", FETCH], env=env, capture_output=True, text=True, check=True
        )
    key, token, end, lasting = json.loads(done.stdout)
    assert (key, token, lasting) == ("fake-key", "fake-token", None)
    assert end in {None, datetime(2100, 1, 1, tzinfo=UTC).timestamp()}


FETCH = """
import asyncio, json
from bulkseed.client.credentials import ProviderChain, SignerCache
from bulkseed.model import Target
from bulkseed.pacing.clock import Clock

async def main():
    chain = ProviderChain()
    found = chain.fetch()
    signers = SignerCache(Target("http://kms.test", "cn-hangzhou", chain), Clock())
    await signers.signer()
    token = found.security_token and found.security_token.reveal()
    print(json.dumps([found.access_key_id, token, found.expires_at, signers.lasting and "lasting"]))

asyncio.run(main())
"""
