"""Lines of a manifest that name single secrets at a store, for those who may read and not list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import bulkseed, environment, write_manifest
from support.openbao import ROOT_TOKEN, Bao, openbao

from bulkseed.model import Fault, NoReply, ReadValue, UnreadValue
from bulkseed.sources.named import NamedValues

READ_ONLY = (
    'path "+/data/*" { capabilities = ["read"] }\npath "secret/data/denied" { capabilities = ["deny"] }'
)
EMBEDDED = ("--endpoint", "embedded", "--qps", "0")


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    """A server with two engines."""
    with openbao() as server:
        server.mount("kv")
        server.put("secret", "db", {"user": "fake", "password": "canary-db"})
        server.put("secret", "denied", {"k": "canary"})
        server.put("kv", "api", {"key": "canary-api"})
        yield server


def lines(bao: Bao) -> list[dict[str, object]]:
    """Return definitions whose values are at the store."""
    named = {
        "whole": {"source": f"vault+http://{bao.host}/secret/db"},
        "key": {"source": f"vault+http://{bao.host}/secret/db", "key": "password"},
        "other-engine": {"source": f"vault+http://{bao.host}/kv/api", "key": "key"},
        "no-key": {"source": f"vault+http://{bao.host}/secret/db", "key": "none"},
        "denied": {"source": f"vault+http://{bao.host}/secret/denied"},
    }
    return [{"SecretName": name, "SecretDataFrom": wanted} for name, wanted in named.items()]


def test_a_manifest_names_values_that_its_user_may_read_and_not_list(bao: Bao, tmp_path: Path) -> None:
    """Planned without a read, moved, compared; what cannot be read is a row; no value is in any file."""
    write_manifest(tmp_path / "m.jsonl", [json.dumps(line) for line in lines(bao)])
    env = environment(VAULT_TOKEN=bao.token(READ_ONLY))
    planned = bulkseed("plan", "m.jsonl", *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert "5 to create, 0.5 s at 10/s, values were not read" in planned.stdout
    applied = bulkseed("apply", "m.jsonl", *EMBEDDED, cwd=tmp_path, env=env)
    assert "definitions: 5 = 3 created + 2 rejected" in applied.stdout
    assert "Source.NoKey" in applied.stdout
    assert "Source.Denied" in applied.stdout
    verified = bulkseed("verify", "m.jsonl", *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert "definitions: 5 = 3 identical + 2 unreadable" in verified.stdout
    explained = bulkseed("explain", "m.jsonl", "--line", "1", cwd=tmp_path, env=env)
    assert "source is not read here" in explained.stderr
    seen = "".join(done.stdout + done.stderr for done in (planned, applied, verified, explained))
    assert "canary" not in seen
    assert not [path for path in tmp_path.glob("*.db*") if b"canary" in path.read_bytes()]


async def test_a_store_is_logged_in_to_once_and_its_engines_share_a_pace(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines name it; after the end nothing is read any more."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    values = NamedValues(rate=100)
    paths = ["secret/db", "kv/api", "secret/denied", "secret/db"]
    found = [values(f"vault+http://{bao.host}/{path}", None, Path()) for path in paths]
    unread = [value for value in found if isinstance(value, UnreadValue)]
    answers = [await value.read() for value in unread]
    assert [type(answer) for answer in answers] == [ReadValue] * 4
    [store] = values._stores.values()
    first, second = store.opened
    assert first.pacer is second.pacer
    assert first.pacer.sent == 2 * 2 + 4  # who it is, which engine, and a value each
    values.close()
    assert isinstance(await unread[0].read(), NoReply)


async def test_what_cannot_be_opened_keeps_the_pace_of_its_store(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line tries again; all of them together send no more than the rate."""
    monkeypatch.setenv("VAULT_TOKEN", bao.token(READ_ONLY))
    values = NamedValues(rate=100)
    found = [values(f"vault+http://{bao.host}/none/{name}", None, Path()) for name in "abc"]
    answers = [await value.read() for value in found if isinstance(value, UnreadValue)]
    assert [answer.code for answer in answers if isinstance(answer, Fault)] == ["Source.Denied"] * 3
    [store] = values._stores.values()
    assert store._pacer is not None
    assert store._pacer.sent == 3 * 3  # who it is, which engine, and whether the token lives
    values.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("canary", "an address begins with its kind"),
        ("redis:canary", "there is no such kind of source"),
        ("vault+https://u:canary@x/y", "use auth"),
        ("vault+https://x/y?token=canary", "would show to others"),
        ("vault+https://x/y?what=canary", "no option what"),
        ("vault+https://x/secret/../../sys", "'..'"),
        ("vault+https://x/secret/%2e%2e/sys", "'..'"),
        ("dotenv:canary", "by its name"),
    ],
)
def test_what_names_no_secret_is_told_without_repeating_it(address: str, said: str) -> None:
    """A value may have been written there; a path never leaves its engine."""
    told = NamedValues()(address, None, Path())
    assert isinstance(told, str)
    assert said in told
    assert "canary" not in told
