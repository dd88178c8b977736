"""Runs over a source: from OpenBao into the local KMS, and what they read on the way."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.openbao import ROOT_TOKEN, Bao, openbao

import bulkseed
from bulkseed.engine.options import RunOptions
from bulkseed.jobs.verify import verify
from bulkseed.model import Outcome, Summary, Target, UnreadValue, Verified
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from bulkseed.sources.pace import Turn
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url

FREE = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


@pytest.fixture(scope="module")
def server() -> Iterator[Bao]:
    """A server for the tests of this module."""
    with openbao() as running:
        yield running


@pytest.fixture
def bao(server: Bao, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bao]:
    """The server with an empty engine "kv", and its root's token where clients look for it."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.mount("kv")
    yield server
    server.ask("DELETE", "sys/mounts/kv")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets an entry for every value that is read at a source."""
    seen: list[int] = []
    read = SourceManifest._read

    @functools.wraps(read)
    async def counted(*arguments: object) -> object:
        seen.append(1)
        return await read(*arguments)  # type: ignore[arg-type]  # whatever it is given

    monkeypatch.setattr(SourceManifest, "_read", counted)
    return seen


async def apply(bao: Bao, target: Target, ledger: Path, query: str = "rate=0", **wishes: object) -> Summary:
    """Move what is below "kv/prod"."""
    with (
        SourceManifest([from_url(f"vault+http://{bao.host}/kv/prod?{query}")]) as source,
        bulkseed.open_ledger(ledger, target) as opened,
    ):
        return await bulkseed.seed(source, target, opened, qps=0, **wishes)  # type: ignore[arg-type]  # as given


async def test_a_store_is_moved_and_a_resume_reads_nothing(
    bao: Bao, tmp_path: Path, reads: list[int]
) -> None:
    """Everything is created once; what is settled is not read again, and verify finds it identical."""
    for number in range(40):
        bao.put("kv", f"prod/team-{number % 4}/s{number}", {"k": f"canary-{number}"})
    async with bulkseed.local_service() as target:
        path = tmp_path / "l.db"
        summary = await apply(bao, target, path)
        assert summary.outcomes[Outcome.CREATED] == summary.definitions == 40
        assert len(reads) == 40
        again = await apply(bao, target, path)
        assert again.outcomes[Outcome.CREATED] == 40
        assert again.attempts == 0
        assert len(reads) == 40
        with (
            SourceManifest([from_url(f"vault+http://{bao.host}/kv/prod?rate=0")]) as source,
            bulkseed.open_ledger(tmp_path / "v.db", target) as opened,
        ):
            found = await verify(source, target, opened, options=RunOptions(qps=0))
    assert found.results[Verified.IDENTICAL] == 40
    assert b"canary" not in path.read_bytes()


async def test_every_listed_secret_becomes_one_row_whatever_is_wrong_with_it(
    bao: Bao, tmp_path: Path
) -> None:
    """Deleted, denied, too large, badly named, two of one name, a denied folder: a row each."""
    bao.put("kv", "prod/good", {"k": "fake"})
    bao.put("kv", "prod/large", {"k": "x" * 40_000})
    bao.put("kv", "prod/denied", {"k": "fake"})
    bao.put("kv", "prod/bad%20name", {"k": "fake"})
    bao.put("kv", "prod/closed/inside", {"k": "fake"})
    bao.put("kv", "prod/gone", {"k": "fake"})
    bao.ask("DELETE", "kv/data/prod/gone")
    for name in ("a", "b"):
        bao.put("kv", f"prod/{name}/twin", {"k": "fake"})
    token = bao.token(
        'path "kv/*" { capabilities = ["read", "list"] }\n'
        'path "kv/data/prod/denied" { capabilities = ["deny"] }\n'
        'path "kv/metadata/prod/closed/*" { capabilities = ["deny"] }\n'
        'path "kv/detailed-metadata/prod/closed/*" { capabilities = ["deny"] }\n'
    )
    (tmp_path / "token").write_text(token)
    query = f"rate=0&name={{name}}&auth.token.file={tmp_path / 'token'}"
    rows: dict[str, bulkseed.Row] = {}
    async with bulkseed.local_service() as target:
        summary = await apply(
            bao, target, tmp_path / "l.db", query, on_row=lambda row: rows.setdefault(str(row.line), row)
        )
        with (
            SourceManifest([from_url(f"vault+http://{bao.host}/kv/prod?{query}")]) as source,
            bulkseed.open_ledger(tmp_path / "v.db", target) as opened,
        ):
            found = await verify(source, target, opened, options=RunOptions(qps=0))
    assert summary.definitions == 8
    assert summary.outcomes[Outcome.CREATED] == 1
    assert summary.outcomes[Outcome.INVALID] == 5
    assert {row.code for row in rows.values() if row.outcome is Outcome.REJECTED} == {
        "Source.Denied",
        "Source.TooLarge",
    }
    assert +found.results == {Verified.IDENTICAL: 1, Verified.UNREADABLE: 2, Verified.INVALID: 5}
    assert found.run.exit_code == 1
    reasons = sorted(row.message or "" for row in rows.values() if row.outcome is Outcome.INVALID)
    assert [reason.partition(" ")[0] for reason in reasons] == [
        "'a/twin'",
        "'b/twin'",
        "'bad",
        "'closed/'",
        "'gone'",
    ]
    assert "'b/twin'" in reasons[0]
    assert summary.exit_code == 1


async def test_a_dead_token_stops_the_run_and_its_rows_stay_pending(bao: Bao, tmp_path: Path) -> None:
    """What every later read would meet is no row's fault: the run stops, and the next one goes on."""
    for number in range(12):
        bao.put("kv", f"prod/s{number}", {"k": "fake"})
    token = bao.token('path "kv/*" { capabilities = ["read", "list"] }')
    (tmp_path / "token").write_text(token)
    where = from_url(f"vault+http://{bao.host}/kv/prod?rate=0&auth.token.file={tmp_path / 'token'}")
    async with bulkseed.local_service() as target:
        with (
            SourceManifest([where]) as source,
            bulkseed.open_ledger(tmp_path / "l.db", target) as ledger,
        ):
            bao.ask("POST", "auth/token/revoke", {"token": token})
            summary = await bulkseed.seed(source, target, ledger, qps=0)
        assert summary.exit_code == 3
        assert summary.outcomes[Outcome.PENDING] == 12
        assert "credentials" in (summary.stopped_by or "")
        after = await apply(bao, target, tmp_path / "l.db")
    assert after.outcomes[Outcome.CREATED] == 12


@contextmanager
def quota(bao: Bao, rate: int) -> Iterator[None]:
    """Let the store refuse more than `rate` requests a second."""
    bao.ask("POST", "sys/quotas/rate-limit/all", {"rate": rate, "interval": "1s"})
    try:
        yield
    finally:
        for _ in range(100):
            try:
                bao.ask("DELETE", "sys/quotas/rate-limit/all")
                break
            except AssertionError:  # it counts against the quota itself
                continue


async def test_a_source_that_throttles_loses_nothing(bao: Bao, tmp_path: Path) -> None:
    """Beyond the store's quota reads are refused for a while; every one is repeated until it is answered."""
    for number in range(60):
        bao.put("kv", f"prod/s{number}", {"k": "fake"})
    with quota(bao, 40):
        async with local_service(FREE) as target:
            rules = Rules(RetryPolicy(max_attempts=100))
            summary = await apply(bao, target, tmp_path / "l.db", rules=rules)
    assert summary.outcomes[Outcome.CREATED] == 60


async def test_a_rate_below_the_quota_of_the_source_is_never_refused(
    bao: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 50 requests a second, a store that refuses more than 60 answers all of them."""
    for number in range(60):
        bao.put("kv", f"prod/s{number}", {"k": "fake"})
    seen: list[bool] = []
    answered = Turn.answered

    def note(turn: Turn, *, throttled: bool, retry_after: float | None = None) -> None:
        seen.append(throttled)
        answered(turn, throttled=throttled, retry_after=retry_after)

    monkeypatch.setattr(Turn, "answered", note)
    with quota(bao, 60):
        async with local_service(FREE) as target:
            summary = await apply(bao, target, tmp_path / "l.db", "rate=50")
    assert summary.outcomes[Outcome.CREATED] == 60
    assert len(seen) >= 60
    assert not any(seen)


async def test_an_unread_value_never_travels(bao: Bao) -> None:
    """A definition whose value was not read cannot be encoded for any request."""
    from bulkseed.wire.actions import create_secret

    bao.put("kv", "prod/s", {"k": "fake"})
    with SourceManifest([from_url(f"vault+http://{bao.host}/kv/prod?rate=0")]) as source:
        [entry] = source
        assert isinstance(entry, bulkseed.SecretDefinition)
        assert isinstance(entry.data, UnreadValue)
        with pytest.raises(RuntimeError, match="not been read"):
            create_secret.encode(entry)
