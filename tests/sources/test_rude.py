"""What every store of the network does at times: no answer, half of one, a page of HTML, a refusal."""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.certificates import Authority
from support.cloud_stores import AzureStore
from support.rude_proxy import RUDENESS, RudeProxy, rude_proxy
from support.store import Store
from support.stores import STORES, Servers
from urllib3.util.ssl_ import create_urllib3_context

from bulkseed.model import Fault, NoReply, ReadValue, SecretDefinition, UnreadValue
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url
from bulkseed.sources.table import source_class

NETWORK = ("vault", "aws-sm", "aws-ssm", "azure-kv", "gcp-sm", "kms", "k8s")


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """The servers that the tests of this module share."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=NETWORK)
def rude(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, RudeProxy]]:
    """The address of a store with two secrets, through what stands before it."""
    with STORES[request.param](servers, monkeypatch) as store:
        store.put("first", {"k": "canary"})
        store.put("second", {"k": "canary"})
        behind = _server_of(store)
        tls = None
        if behind.startswith("https:"):
            authority = Authority(tmp_path)
            tls = authority.server_context("127.0.0.1")
        with rude_proxy(behind, tls) as proxy:
            address = store.url.replace(behind.partition("//")[2], proxy.address.partition("//")[2])
            if isinstance(store, AzureStore):
                store.azure.url = proxy.address
                address = address.replace(str(store.azure.ca_file), str(authority.ca_file))
            elif request.param == "k8s":
                config = Path(os.environ["KUBECONFIG"])
                config.write_text(config.read_text().replace(behind, proxy.address))
            yield address, proxy


def _server_of(store: Store) -> str:
    """Return the address of a store's server."""
    if store.url.startswith("k8s:"):
        found = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        return str(found["clusters"][0]["cluster"]["server"])
    found = re.search(r"(?:endpoint=|vault\+)(https?://[^/&]+)", store.url)
    assert found is not None
    return found[1]


@pytest.fixture(params=NETWORK)
def encrypted(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a store with one secret, over TLS."""
    with STORES[request.param](servers, monkeypatch) as store, ExitStack() as stack:
        store.put("first", {"k": "canary"})
        behind = _server_of(store)
        if behind.startswith("https:"):
            yield store.url
            return
        authority = Authority(tmp_path)
        front = stack.enter_context(rude_proxy(behind, authority.server_context("127.0.0.1"))).address
        if request.param != "k8s":
            query = "&" if "?" in store.url else "?"
            yield f"{store.url.replace(behind, front)}{query}auth.ca_file={authority.ca_file}"
            return
        config = Path(os.environ["KUBECONFIG"])
        found = json.loads(config.read_text())
        found["clusters"][0]["cluster"] |= {"server": front, "certificate-authority": str(authority.ca_file)}
        config.write_text(json.dumps(found))
        yield store.url


def open_source(address: str) -> SourceManifest:
    """List the store."""
    return SourceManifest([from_url(address, {"rate": 0})])


def value_of(entry: object) -> UnreadValue:
    """Return the value that is still at the store."""
    assert isinstance(entry, SecretDefinition)
    assert isinstance(entry.data, UnreadValue)
    return entry.data


async def test_what_fails_in_passing_is_repeated_and_costs_no_secret(
    rude: tuple[str, RudeProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing asks again; a read says that it is worth another try, and shows nothing of what came."""
    address, proxy = rude
    source_class(from_url(address))  # imports the kind
    for name, module in list(sys.modules.items()):
        if name.startswith("bulkseed.sources.kinds") and hasattr(module, "TIMEOUT"):
            monkeypatch.setattr(module, "TIMEOUT", 0.5)  # seconds
    proxy.to_do += ["page 502"]
    with open_source(address) as source:
        entries = list(source)
        assert [entry.name for entry in entries if isinstance(entry, SecretDefinition)] == ["first", "second"]
        value = value_of(entries[0])
        hang = () if address.startswith("kms:") else ("hang",)  # our own client's deadlines have tests
        for what in (*RUDENESS, *hang):
            proxy.to_do.append(what)
            answer = await value.read()
            assert isinstance(answer, Fault | NoReply), what
            if isinstance(answer, Fault):
                expected = Verdict.THROTTLED if what == "throttle" else Verdict.RETRY
                assert classify(answer) is expected, (what, answer)
            assert "canary" not in repr(answer)
        assert isinstance(await value.read(), ReadValue)


async def test_no_client_writes_keys_or_values_where_the_program_around_it_would_have_them(
    encrypted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SSLKEYLOGFILE is set and all is logged: neither has what could show a value (H24).

    Some libraries log whole answers, which have values as text or in Base64.
    """
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    assert create_urllib3_context().keylog_filename == str(keys)  # else nothing is shown here
    caplog.set_level("DEBUG")
    with open_source(encrypted) as source:
        [entry] = source
        assert isinstance(await value_of(entry).read(), ReadValue)
        source.credentials()
    assert [line for line in keys.read_text().splitlines() if not line.startswith("#")] == []
    logged = "".join(str(vars(record)) + record.getMessage() for record in caplog.records)
    assert "canary" not in logged
    assert b64encode(b"canary").decode() not in logged
