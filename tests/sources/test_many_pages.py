"""Stores of more than a thousand secrets by the command, and batches of which only a part comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.cloud_stores import azure_store, google_store
from support.command import bulkseed, environment
from support.fake_aws import FakeAws, fake_aws
from support.fake_azure import IDENTITY

from bulkseed.model import Fault, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url

MANY = 1_050
AWS = {"AWS_ACCESS_KEY_ID": "fake-id", "AWS_SECRET_ACCESS_KEY": "fake-secret"}
FREE = ("--source-rate", "0", "--endpoint", "embedded", "--qps", "0")


def moved(address: str, folder: Path, *flags: str, **env: str) -> str:
    """Move by the command, verify, and look for values in what is printed and in files; return the end."""
    given = environment(**env)
    applied = bulkseed("apply", address, *flags, *FREE, cwd=folder, env=given)
    verified = bulkseed("verify", address, *flags, *FREE, cwd=folder, env=given)
    for done in (applied, verified):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "canary" not in done.stdout + done.stderr
    assert not [path for path in folder.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    [told, compared] = [done.stdout.partition("definitions: ")[2] for done in (applied, verified)]
    return f"{told.splitlines()[0]}, {compared.splitlines()[0]}"


def test_secrets_manager_by_the_command(tmp_path: Path) -> None:
    """Every page of a hundred is asked for once; what is moved is what the pattern takes, by batches."""
    with fake_aws({f"prod/s{n:04}": f"canary-{n}" for n in range(MANY)}) as aws:
        address = f"aws-sm://eu-west-1/prod?endpoint={aws.url}"
        planned = bulkseed("plan", address, *FREE[:4], cwd=tmp_path, env=environment(**AWS))
        assert "1,050 to create" in planned.stdout, planned.stdout + planned.stderr
        assert aws.asked == ["ListSecrets"] * 11
        found = moved(address, tmp_path, "--include", "s*9", **AWS)
        assert "BatchGetSecretValue" in aws.asked
    assert found == "105 = 105 created, 105 = 105 identical"


def test_a_vault_of_azure_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise, by pages of 25."""
    with azure_store(None, monkeypatch) as store:
        store.azure.page = 25
        for number in range(MANY):
            store.azure.put(f"prod--s{number:04}", f"canary-{number}")
        env = {"IDENTITY_ENDPOINT": store.azure.identity, "IDENTITY_HEADER": IDENTITY}
        planned = bulkseed("plan", store.url, *FREE[:4], cwd=tmp_path, env=environment(**env))
        assert "1,050 to create" in planned.stdout, planned.stdout + planned.stderr
        found = moved(store.url, tmp_path, "--include", "s*99", **env)
    assert found == "10 = 10 created, 10 = 10 identical"


def test_a_project_of_google_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise; versions are asked for of what the pattern takes, and of nothing else."""
    with google_store(None, monkeypatch) as store:
        store.google.page = 200
        for number in range(MANY):
            store.google.secrets[f"prod__s{number:04}"] = []
            store.google._add(f"prod__s{number:04}", "Y2FuYXJ5")  # of a canary, in Base64
        account = {"GOOGLE_APPLICATION_CREDENTIALS": os.environ["GOOGLE_APPLICATION_CREDENTIALS"]}
        found = moved(store.url, tmp_path, "--include", "s*99", **account)
    assert found == "10 = 10 created, 10 = 10 identical"


async def read_all(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Read everything at once, and return texts, or codes of faults, by name."""
    import anyio

    for name, text in AWS.items():
        monkeypatch.setenv(name, text)
    found: dict[str, str] = {}

    async def read(name: str, value: UnreadValue) -> None:
        answer = await value.read()
        assert isinstance(answer, ReadValue | Fault)
        assert "canary" not in repr(answer)
        found[name] = answer.data.reveal() if isinstance(answer, ReadValue) else answer.code

    with SourceManifest([from_url(f"aws-sm://eu-west-1/prod?rate=0&endpoint={aws.url}")]) as source:
        async with anyio.create_task_group() as group:
            for entry in source:
                assert isinstance(entry, SecretDefinition)
                assert isinstance(entry.data, UnreadValue)
                group.start_soon(read, entry.name, entry.data)
    return found


async def test_a_batch_that_gives_a_part_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error is one secret's own; what is left out, or has another version, is read by itself."""
    with fake_aws({f"prod/s{n}": f"text-{n}" for n in range(40)}) as aws:
        aws.errors = {"prod/s3": "AccessDeniedException", "prod/s4": "ResourceNotFoundException"}
        aws.left_out, aws.stale = {"prod/s5"}, {"prod/s6"}
        found = await read_all(aws, monkeypatch)
        assert aws.asked.count("GetSecretValue") >= 2
    expected = {f"s{n}": f"text-{n}" for n in range(40)}
    assert found == expected | {"s3": "Source.Denied", "s4": "Source.NotFound"}


async def test_where_batches_are_denied_values_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many may read each secret and not batches: they are asked for no more."""
    with fake_aws({f"prod/s{n}": f"text-{n}" for n in range(200)}) as aws:
        aws.batches = False
        found = await read_all(aws, monkeypatch)
        assert aws.asked.count("GetSecretValue") == 200
        assert aws.asked.count("BatchGetSecretValue") <= 8  # those under way when the first was denied
    assert found == {f"s{n}": f"text-{n}" for n in range(200)}


def test_an_empty_page_of_parameters_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows it is listed."""
    for name, text in AWS.items():
        monkeypatch.setenv(name, text)
    with (
        fake_aws({}) as aws,
        SourceManifest([from_url(f"aws-ssm://eu-west-1/prod?rate=0&endpoint={aws.url}")]) as source,
    ):
        [entry] = source
    assert isinstance(entry, SecretDefinition)
    assert (entry.name, entry.version_id) == ("db", "v3")
