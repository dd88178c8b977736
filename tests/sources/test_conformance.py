"""What every kind of source promises, against its real server where there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.store import Store
from support.stores import STORES, Servers

from bulkseed.errors import ManifestError
from bulkseed.model import Fault, InvalidLine, ManifestEntry, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources import open_source as opening
from bulkseed.sources.named import NamedValues
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url
from bulkseed.sources.table import SOURCES


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """The servers that the tests of this module share."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """One store of each kind, with nothing in it."""
    with STORES[request.param](servers, monkeypatch) as opened:
        yield opened


def test_every_kind_of_source_has_a_store_here() -> None:
    """A new row of the table is held to what all promise."""
    assert STORES.keys() == SOURCES.keys()


def open_source(store: Store, **wishes: object) -> SourceManifest:
    """List the folder of a store."""
    return SourceManifest([from_url(store.url, {"rate": 0, **wishes})])


def listed(store: Store, **wishes: object) -> list[ManifestEntry]:
    """Return what is listed, and close."""
    with open_source(store, **wishes) as source:
        return list(source)


async def text_of(entry: ManifestEntry) -> str | Fault:
    """Read an entry's value."""
    assert isinstance(entry, SecretDefinition)
    assert isinstance(entry.data, UnreadValue)
    answer = await entry.data.read()
    assert isinstance(answer, ReadValue | Fault)
    return answer.data.reveal() if isinstance(answer, ReadValue) else answer


async def test_all_are_listed_once_and_read_as_they_were_put(store: Store) -> None:
    """Every secret is one entry, in an order that stays, and its value is what was put."""
    values = {f"team-{number % 3}/s{number:02}": {"k": f"fake-{number}", "a": "x"} for number in range(30)}
    for path, value in values.items():
        store.put(path, value)
    with open_source(store) as source:
        assert source.count() == 30
        entries = list(source)
        texts = {entry.name: await text_of(entry) for entry in entries}
    assert texts == {path: json.dumps(v, sort_keys=True, separators=(",", ":")) for path, v in values.items()}
    assert [entry.name for entry in listed(store)] == [entry.name for entry in entries]


async def test_one_is_read_by_its_name_without_a_listing(store: Store) -> None:
    """Whole, and one of its keys; what is not there is told. What is held as one file is listed instead."""
    store.put("team/db", {"k": "fake", "a": "x"})
    address, _, query = store.url.partition("?")
    values = NamedValues(rate=0)
    try:
        wanted = [("team/db", None), ("team/db", "k"), ("team/none", None)]
        found = [values(f"{address}/{path}?{query}".rstrip("?"), key, Path()) for path, key in wanted]
        if store.HELD:
            assert all(isinstance(each, str) and "by its name" in each for each in found)
            return
        reads = [await each.read() for each in found if isinstance(each, UnreadValue)]
    finally:
        values.close()
    texts = [read.data.reveal() if isinstance(read, ReadValue) else read for read in reads]
    assert texts[:2] == ['{"a":"x","k":"fake"}', "fake"]
    assert isinstance(texts[2], Fault)
    assert texts[2].code == "Source.NotFound"


async def test_a_changed_value_is_another_version(store: Store) -> None:
    """A listing shows another version after a change, and the same one without."""
    if not store.VERSIONS:
        return
    store.put("same", {"k": "fake"})
    store.put("changed", {"k": "fake"})
    before = {entry.name: entry.version_id for entry in listed(store)}
    store.put("changed", {"k": "other"})
    after = {entry.name: entry.version_id for entry in listed(store)}
    assert after["same"] == before["same"]
    assert after["changed"] != before["changed"]


async def test_a_read_brings_the_version_that_was_listed_or_says_that_it_moved(store: Store) -> None:
    """What changed after the listing never goes out under the version that was listed."""
    store.put("moving", {"k": "first"})
    with open_source(store) as source:
        [entry] = source
        store.put("moving", {"k": "second"})
        found = await text_of(entry)
    if store.PINS:
        assert found == '{"k":"first"}'
    else:
        assert isinstance(found, Fault)
        assert found.code == "Source.Moved"


async def test_a_deleted_one_is_never_taken_from_an_older_version(store: Store) -> None:
    """It is an invalid row that says so, or it is not listed, as the store has it."""
    store.put("kept", {"k": "fake"})
    store.put("gone", {"k": "first"})
    store.put("gone", {"k": "second"})
    store.delete("gone")
    entries = {entry.name: entry for entry in listed(store)}
    assert isinstance(entries["kept"], SecretDefinition)
    if store.KEEPS_DELETED:
        gone = entries["gone"]
        assert isinstance(gone, InvalidLine)
        assert "deleted" in gone.reasons[0]
    else:
        assert "gone" not in entries


async def test_one_that_is_gone_when_it_is_read_is_a_fault_of_its_own(store: Store) -> None:
    """Deleting one after the listing costs no other."""
    if store.HELD:
        return
    store.put("gone", {"k": "fake"})
    store.put("kept", {"k": "fake"})
    with open_source(store) as source:
        entries = {entry.name: entry for entry in source}
        store.delete("gone")
        gone, kept = await text_of(entries["gone"]), await text_of(entries["kept"])
    assert kept == '{"k":"fake"}'
    assert isinstance(gone, Fault)
    assert gone.code in {"Source.Deleted", "Source.NotFound"}


async def test_one_that_is_deleted_while_it_is_listed_hides_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing goes on to its end, however far it has come with pages and questions about single ones."""
    monkeypatch.setattr(opening, "BLOCK", 1)
    for path in "abcd":
        store.put(path, {"k": "fake"})

    def told(_label: str, size: int) -> None:
        if size == 1:
            store.delete("b")

    with SourceManifest([from_url(store.url, {"rate": 0})], tell=told) as source:
        found = {entry.name for entry in source if isinstance(entry, SecretDefinition)}
    assert found - {"b"} == {"a", "c", "d"}


async def test_too_large_is_a_fault_of_its_own(store: Store) -> None:
    """A value that KMS cannot take is refused before it is sent, the largest is not."""
    if not store.LARGE:
        return
    fits, over = "x" * (30_720 - len('{"k":""}')), "x" * (30_721 - len('{"k":""}'))
    store.put("fits", {"k": fits})
    store.put("over", {"k": over})
    with open_source(store) as source:
        found = {entry.name: await text_of(entry) for entry in source}
    assert found["fits"] == f'{{"k":"{fits}"}}'
    assert isinstance(found["over"], Fault)
    assert found["over"].code == "Source.TooLarge"


async def test_odd_names_are_refused_by_name_or_encoded(store: Store) -> None:
    """A path that is no name is a row of its own; encoded, it is read as any other."""
    if not store.ODD:
        return
    store.put(store.ODD, {"k": "fake"})
    [refused] = listed(store)
    assert isinstance(refused, InvalidLine)
    assert store.ODD in refused.reasons[0]
    with open_source(store, characters="encode") as source:
        [entry] = source
        assert await text_of(entry) == '{"k":"fake"}'


async def test_keys_can_be_secrets_of_their_own(store: Store) -> None:
    """With keys = split, each key of a map is a secret; with a key's name, its value is the secret."""
    store.put("db", {"user": "fake-user", "password": "fake-password"})
    with open_source(store, keys="split", name="{path}/{key}") as source:
        found = {entry.name: await text_of(entry) for entry in source}
    assert found == {"db/user": "fake-user", "db/password": "fake-password"}
    with open_source(store, keys="password") as source:
        assert [await text_of(entry) for entry in source] == ["fake-password"]
    with open_source(store, keys="nothing") as source:
        [none] = [await text_of(entry) for entry in source]
    assert isinstance(none, Fault)
    assert none.code == "Source.NoKey"


async def test_patterns_choose(store: Store) -> None:
    """Of what is listed, include and exclude take a part."""
    for path in ("pay/a", "pay/tmp/b", "hr/c"):
        store.put(path, {"k": "fake"})
    chosen = listed(store, include=("pay/**",), exclude=("**/tmp/*",))
    assert [entry.name for entry in chosen] == ["pay/a"]


async def test_nothing_below_a_prefix_is_an_error(store: Store) -> None:
    """A mistyped prefix must not look like a finished move."""
    with pytest.raises(ManifestError, match="--allow-empty"):
        listed(store)
    with SourceManifest([from_url(store.url)], allow_empty=True) as source:
        assert list(source) == []


async def test_no_value_is_in_what_a_listing_leaves(store: Store) -> None:
    """Neither entries nor SQLite's temporary file hold a value, and an unread one cannot be used."""
    for number in range(20):
        store.put(f"s{number}", {"k": f"canary-{number}"})
    with open_source(store) as source:
        entries = list(source)
        seen = repr(entries) + "\n".join(source._catalogue._file.iterdump())
        assert "s19" in seen
        assert "canary" not in seen
        for entry in entries:
            assert isinstance(entry, SecretDefinition)
            with pytest.raises(RuntimeError, match="not been read"):
                entry.data.reveal()


async def test_the_rate_holds(store: Store) -> None:
    """Not one request more than the rate goes out in any second, the listing's included."""
    for number in range(15):
        store.put(f"s{number}", {"k": "fake"})
    with open_source(store, rate=20) as source:
        for entry in source:
            await text_of(entry)
        [opened] = source._sources
        assert opened.pacer.worst_second <= 20


def test_whose_credentials_these_are_is_told(store: Store) -> None:
    """A store that knows who asks is asked; no store fails a check-up over it."""
    store.put("s", {"k": "fake"})
    aws = "arn:aws:.*; its key does not expire"
    expected = {
        "vault": "token of token with root; it does not expire",
        "aws-sm": aws,
        "aws-ssm": aws,
        "azure-kv": "application fake-application; its token lives for .*, and is renewed",
        "gcp-sm": "fake@test.iam.gserviceaccount.com; its token lives for .*, and is renewed",
        "kms": "access key .*; its key does not expire",
        "k8s": "system:serviceaccount:jobs:bulkseed; its token lives for .*",
    }
    with open_source(store) as source:
        found = source.credentials()
        kind = store.url.partition("://")[0].partition("+")[0]
        told = [] if store.HELD else [expected[kind]]
        assert len(found) == len(told)
        assert all(map(re.fullmatch, told, found)), found
        assert len(source.paces) == 1
