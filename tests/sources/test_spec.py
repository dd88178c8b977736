"""Addresses and TOML files of sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkseed.errors import CredentialsError, ManifestError, UsageError
from bulkseed.sources.spec import from_toml, from_url

ADDRESS = "vault+https://vault.example:8200/secret/prod"


def test_an_address_is_kind_place_and_path() -> None:
    """Transport, host and path are apart; the label is the address without its query."""
    spec = from_url(f"{ADDRESS}?rate=50&include=a/**&include=b/*&tags.owner=ops&kv=2")
    assert (spec.scheme, spec.host, spec.path) == ("vault+https", "vault.example:8200", "secret/prod")
    assert spec.label == ADDRESS
    assert (spec.rate, spec.include, spec.tags, spec.options) == (
        50.0,
        ("a/**", "b/*"),
        {"owner": "ops"},
        {"kv": "2"},
    )


def test_a_file_of_sources_has_the_same_keys(tmp_path: Path) -> None:
    """A TOML file lists sources; what is given beside it wins."""
    path = tmp_path / "vault.toml"
    path.write_text(
        f'[[source]]\nfrom = "{ADDRESS}"\nname = "x/{{path}}"\nkeys = "split"\nchanged_since = 2026-01-01\n'
        'tags = { owner = "{tag:owner}" }\n[source.auth]\nmethod = "approle"\nsecret_id = { env = "S" }\n'
    )
    [spec] = from_toml(path, {"name": "y/{path}/{key}"})
    assert (spec.name, spec.keys, spec.changed_since) == ("y/{path}/{key}", "split", 1767225600.0)
    assert spec.folder == tmp_path


@pytest.mark.parametrize(
    "query",
    ["rate=fast", "in_flight=0", "characters=drop", "changed_since=soon", "tags=x", "auth=x", "name.a=x"],
)
def test_what_makes_no_sense_is_refused_with_its_key(query: str) -> None:
    """The message names the key, and never repeats what was given."""
    with pytest.raises(UsageError) as caught:
        from_url(f"{ADDRESS}?{query}")
    name, _, given = query.partition("=")
    assert name.partition(".")[0] in str(caught.value)
    assert f"{given!r}" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "vault+https://user:canary@vault.example/secret",
        f"{ADDRESS}?token=canary",
        f"{ADDRESS}?auth.secret_id=canary",
        f"{ADDRESS}?auth.password=canary",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    """What everybody can see in a list of processes must hold no secret."""
    with pytest.raises(UsageError) as caught:
        from_url(address)
    assert "canary" not in str(caught.value)


def test_a_secret_is_taken_from_where_auth_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable or a file relative to the TOML file; what is not there is named by its key."""
    (tmp_path / "sid").write_text("canary\n")
    path = tmp_path / "s.toml"
    path.write_text(
        f'[[source]]\nfrom = "{ADDRESS}"\n[source.auth]\n'
        'secret_id = { file = "sid" }\ntoken = { env = "BULKSEED_TEST_TOKEN" }\n'
    )
    [spec] = from_toml(path)
    found = spec.secret("secret_id")
    assert found is not None
    assert found.reveal() == "canary"
    assert "canary" not in repr(spec)
    with pytest.raises(CredentialsError, match=r"auth\.token\.env"):
        spec.secret("token")
    monkeypatch.setenv("BULKSEED_TEST_TOKEN", "fake")
    assert spec.secret("token") is not None


@pytest.mark.parametrize("text", ["[source", "x = 1", "[[source]]\nname = 'x'", "[[sources]]\nfrom = 'x:'"])
def test_a_file_that_is_no_list_of_sources_is_refused(tmp_path: Path, text: str) -> None:
    """Its name is in the message, what stands in it is not."""
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises((UsageError, ManifestError), match=r"bad\.toml"):
        from_toml(path)
