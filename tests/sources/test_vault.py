"""OpenBao as a source: ways to log in, both engines, namespaces, tokens that die, little permission."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.json_server import Answer, Asked, json_server
from support.openbao import ROOT_TOKEN, Bao, openbao
from support.rude_proxy import rude_proxy

from bulkseed.errors import CredentialsError, ManifestError, UsageError
from bulkseed.model import Fault, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources import open_source
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url

READ = 'path "kv/*" { capabilities = ["read", "list"] }'


@pytest.fixture(scope="module")
def server() -> Iterator[Bao]:
    """A server with ways to log in, and an engine with one secret."""
    with openbao() as running:
        running.mount("kv")
        running.put("kv", "app/db", {"k": "fake"})
        running.ask("PUT", "sys/policies/acl/reads", {"policy": READ})
        running.ask("POST", "sys/auth/approle", {"type": "approle"})
        running.ask("POST", "auth/approle/role/mover", {"token_policies": "reads", "token_ttl": "60s"})
        running.ask("POST", "sys/auth/userpass", {"type": "userpass"})
        user = {"password": "fake-password", "token_policies": "reads"}
        running.ask("POST", "auth/userpass/users/mover", user)
        yield running


@pytest.fixture
def approle(server: Bao, tmp_path: Path) -> str:
    """The query that logs in by AppRole."""
    role = server.ask("GET", "auth/approle/role/mover/role-id")["data"]["role_id"]
    secret = server.ask("POST", "auth/approle/role/mover/secret-id")["data"]["secret_id"]
    (tmp_path / "secret-id").write_text(f"{secret}\n")
    return f"auth.method=approle&auth.role_id={role}&auth.secret_id.file={tmp_path / 'secret-id'}"


def listing(server: Bao, query: str, path: str = "kv") -> SourceManifest:
    """List an engine without a ceiling."""
    return SourceManifest([from_url(f"vault+http://{server.host}/{path}?rate=0&{query}")])


async def texts(source: SourceManifest) -> dict[str, str]:
    """Return names and texts, or the codes of faults."""
    found = {}
    for entry in source:
        assert isinstance(entry, SecretDefinition)
        assert isinstance(entry.data, UnreadValue)
        answer = await entry.data.read()
        assert isinstance(answer, ReadValue | Fault)
        found[entry.name] = answer.data.reveal() if isinstance(answer, ReadValue) else answer.code
    return found


async def test_an_approle_logs_in_and_logs_in_again_when_its_token_dies(server: Bao, approle: str) -> None:
    """Its token is revoked after the listing: the read takes a new one, and nothing is lost."""
    with listing(server, approle) as source:
        for accessor in server.ask("LIST", "auth/token/accessors")["data"]["keys"]:
            found = server.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})
            if "reads" in found["data"]["policies"]:
                server.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
        assert await texts(source) == {"app/db": '{"k":"fake"}'}


async def test_a_user_logs_in_by_password(server: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is where auth says; a wrong one is a matter of credentials and is not repeated."""
    monkeypatch.setenv("MOVER", "fake-password")
    query = "auth.method=userpass&auth.username=mover&auth.password.env=MOVER"
    with listing(server, query) as source:
        assert await texts(source) == {"app/db": '{"k":"fake"}'}
    monkeypatch.setenv("MOVER", "canary")
    with pytest.raises(CredentialsError, match="refuses the login") as caught:
        listing(server, query)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("auth.method=magic", "must be one of"),
        ("auth.method=approle", "role_id is missing"),
        ("auth.method=userpass&auth.username=x", "password is missing"),
        ("kv=3", "kv must be 1 or 2"),
        ("colour=red", "no option colour"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_listed(
    server: Bao, monkeypatch: pytest.MonkeyPatch, query: str, said: str
) -> None:
    """The message names what is missing or unknown."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    with pytest.raises(UsageError, match=said):
        listing(server, query)


def test_plain_http_is_for_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values would travel in plaintext."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    with pytest.raises(UsageError, match="plaintext"):
        SourceManifest([from_url("vault+http://vault.example/kv")])


async def test_the_first_version_of_the_engine_has_no_versions(
    server: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secrets are read as they are; a path has its parts in folders as in the second."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.mount("old", version=1)
    server.ask("POST", "old/a/b", {"k": "fake", "n": 1.10})
    with listing(server, "in_flight=4", "old") as source:
        assert await texts(source) == {"a/b": '{"k":"fake","n":1.1}'}


async def test_a_namespace_is_asked_by_its_header(server: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two namespaces have an engine of the same name."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.ask("POST", "sys/namespaces/team", {})
    header = {"X-Vault-Namespace": "team"}
    server.ask("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}}, **header)
    server.ask("POST", "kv/own", {"k": "of-the-team"}, **header)
    with listing(server, "auth.namespace=team&name={namespace}/{path}") as source:
        assert await texts(source) == {"team/own": '{"k":"of-the-team"}'}


async def test_list_without_metadata_moves_and_says_what_it_cannot_see(server: Bao, tmp_path: Path) -> None:
    """Many may list and read, and not see versions: that is said, and the values are moved."""
    policy = 'path "kv/metadata/*" { capabilities = ["list"] }\npath "kv/data/*" { capabilities = ["read"] }'
    (tmp_path / "token").write_text(server.token(policy))
    with listing(server, f"auth.token.file={tmp_path / 'token'}") as source:
        assert "grant read on kv/metadata" in source.notes[0]
        assert await texts(source) == {"app/db": '{"k":"fake"}'}


def test_a_prefix_that_may_not_be_listed_is_an_error(server: Bao, tmp_path: Path) -> None:
    """It is told apart from an empty one."""
    (tmp_path / "token").write_text(server.token('path "kv/data/*" { capabilities = ["read"] }'))
    with pytest.raises(ManifestError, match="does not let us"):
        listing(server, f"auth.token.file={tmp_path / 'token'}")


@pytest.mark.parametrize("detailed", [True, False])
def test_what_is_deleted_while_it_is_listed_hides_nothing_else(
    server: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detailed: bool
) -> None:
    """A secret and a whole folder go after the first part of the listing: all others are listed."""
    monkeypatch.setattr(open_source, "BLOCK", 1)
    for path in ("a/x", "a/y", "a/z", "b/y", "c/z"):
        server.put("kv", f"race/{path}", {"k": "fake"})
    kinds = ("metadata", "detailed-metadata") if detailed else ("metadata",)
    policy = [f'path "kv/{kind}/*" {{ capabilities = ["list", "read"] }}' for kind in kinds]
    (tmp_path / "token").write_text(server.token("\n".join(policy)))

    def told(_label: str, size: int) -> None:
        for path in ("a/y", "b/y") if size == 1 else ():
            server.ask("DELETE", f"kv/metadata/race/{path}")

    spec = from_url(f"vault+http://{server.host}/kv/race?rate=0&auth.token.file={tmp_path / 'token'}")
    with SourceManifest([spec], tell=told) as source:
        names = [entry.name for entry in source]
    assert names == ["a/x", *["a/y"] * detailed, "a/z", "c/z"]  # details come with the folder
    for path in ("a/x", "a/z", "c/z"):
        server.ask("DELETE", f"kv/metadata/race/{path}")


def test_a_token_that_dies_while_keys_are_asked_for_ends_the_listing(
    server: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no matter of single secrets: none is called bad for it."""
    monkeypatch.setattr(open_source, "BLOCK", 1)
    for path in ("a", "b"):
        server.put("kv", f"split/{path}", {"k": "fake"})
    token = server.token(READ)
    (tmp_path / "token").write_text(token)

    def told(_label: str, size: int) -> None:
        if size == 1:
            server.ask("POST", "auth/token/revoke", {"token": token})

    query = f"rate=0&keys=split&name={{path}}/{{key}}&auth.token.file={tmp_path / 'token'}"
    spec = from_url(f"vault+http://{server.host}/kv/split?{query}")
    with pytest.raises(CredentialsError, match="token"):
        SourceManifest([spec], tell=told)


async def test_a_secret_and_a_folder_of_one_name_are_two(
    server: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``a`` beside ``a/``: neither hides the other; the prefix of one secret takes that one."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.put("kv", "both", {"k": "leaf"})
    server.put("kv", "both/inner", {"k": "inner"})
    with listing(server, "include=both&include=both/**") as source:
        assert await texts(source) == {"both": '{"k":"leaf"}', "both/inner": '{"k":"inner"}'}
    with listing(server, "in_flight=4", "kv/app/db") as source:
        assert await texts(source) == {"db": '{"k":"fake"}'}


async def test_another_address_that_the_server_names_is_followed(
    server: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby sends its clients on to the active node, for lists and for values."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    sent_on: list[str] = []

    def send_on(asked: Asked) -> Answer:
        sent_on.append(asked.target.partition("?")[0])
        return 307, {"Location": server.address + asked.target}, {}

    with (
        json_server(send_on) as standby,
        SourceManifest([from_url(f"vault+{standby}/kv/app?rate=0")]) as source,
    ):
        assert await texts(source) == {"db": '{"k":"fake"}'}
    assert "/v1/kv/data/app/db" in sent_on


async def test_values_go_through_the_proxy_of_the_environment(
    server: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lists do; a proxy may be the only way to the store."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    with rude_proxy(server.address) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        with listing(server, "include=app/db") as source:
            proxy.to_do.append("throttle")
            assert await texts(source) == {"app/db": "Source.Throttled"}


async def test_an_answer_of_more_than_a_mebibyte_is_too_large(
    server: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the secret's own fault, and no reason to ask again."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.put("kv", "huge", {"k": "x" * (1 << 20)})
    with listing(server, "include=huge") as source:
        assert await texts(source) == {"huge": "Source.TooLarge"}
    server.ask("DELETE", "kv/metadata/huge")
