"""Samples for actions of every shape: run as they are, a language in few processes, they do what they say."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from support.kms import sdk
from support.programs import program
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.typescript import compile_all

from bulkseed.model import Target
from bulkseed.wire.samples import SAMPLES
from bulkseed.wire.samples.sketch import Sketch

VALUE = "odd 'value' \"é\" $HOME + * ~ %\\n\nand a line"
BINARY = base64.b64encode(bytes(range(256))).decode()
PLAIN = base64.b64encode("plain ü".encode()).decode()
DIGEST = base64.b64encode(bytes(range(32))).decode()
ACCOUNTS = '{"Accounts":[{"AccountName":"app","AccountPassword":"fake"}]}'
SECRETS = {"CreateSecret": ("SecretData",), "Encrypt": ("Plaintext",)}
ENDS = "\n--- ends ---\n"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A served KMS."""
    with served(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (target, _):
        yield target


def run(command: list[str], folder: Path, text: str | None = None) -> str:
    """Run a command with the keys and the values in its environment; return what it prints."""
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "embedded", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET.reveal()}
    env = os.environ | keys | {"SECRET_DATA": BINARY, "PLAINTEXT": PLAIN}
    done = subprocess.run(
        command, env=env, cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def curl(samples: list[str], folder: Path) -> list[Any]:
    """Run each in a shell of its own."""
    program("curl", "curl"), program("perl", "perl")
    return [json.loads(run(["sh", "-c", sample], folder)) for sample in samples]


def python(samples: list[str], folder: Path) -> list[Any]:
    """Run all in one process, each as a program of its own."""
    script = f"import json, sys\nfor code in json.load(sys.stdin):\n    exec(code, {{}})\n    print({ENDS!r})"
    printed = run([sys.executable, "-c", script], folder, json.dumps(samples))
    return [ast.literal_eval(text.strip()) for text in printed.split(ENDS)[:-1]]


def go(samples: list[str], folder: Path) -> list[Any]:
    """Build one program that has each as a package."""
    (folder / "go.mod").write_text("module samples\n\ngo 1.19\n")
    calls = []
    for number, sample in enumerate(samples):
        package = f"call{number}"
        (folder / package).mkdir()
        assert sample.startswith("package main\n")
        code = sample.replace("package main", f"package {package}", 1).replace(
            "func main()", "func Call()", 1
        )
        (folder / package / "call.go").write_text(code)
        calls.append(f"\t{package}.Call()\n\tprint({json.dumps(ENDS)})\n")
    imports = "".join(f'\t"samples/call{number}"\n' for number in range(len(samples)))
    show = "func print(text string) { os.Stdout.WriteString(text) }\n"
    main = f'package main\n\nimport (\n\t"os"\n{imports})\n\n{show}\nfunc main() {{\n{"".join(calls)}}}\n'
    (folder / "main.go").write_text(main)
    printed = run([program("go", "golang-go"), "run", "."], folder)
    return [json.loads(text) for text in printed.split(ENDS)[:-1]]


def typescript(samples: list[str], folder: Path) -> list[Any]:
    """Compile all at once; run each."""
    return [json.loads(run(command, folder)) for command in compile_all(samples, folder)]


RUN: dict[str, Callable[[list[str], Path], list[Any]]] = {
    "curl": curl,
    "Python": python,
    "Python, asyncio": python,
    "TypeScript": typescript,
    "Go": go,
}


def stored(client: Client, prefix: str) -> dict[str, str]:
    """Store what the samples speak of; return the ids of its keys."""
    for name, kind, value, config in (
        (f"{prefix}/a", "Generic", VALUE, None),
        (f"{prefix}/b", "Generic", VALUE, None),
        (f"{prefix}/rds", "Rds", ACCOUNTS, {"SecretSubType": "SingleUser", "DBInstanceId": "rm-1"}),
    ):
        client.create_secret(
            models.CreateSecretRequest(
                secret_name=name, version_id="v1", secret_type=kind, secret_data=value, extended_config=config
            )
        )
    plain, signing = (
        client.create_key(models.CreateKeyRequest(key_spec=spec)).body.key_metadata
        for spec in ("Aliyun_AES_256", "EC_P256")
    )
    return {"plain": plain.key_id, "signing": signing.key_id, "version": signing.primary_key_version}


def calls(prefix: str, keys: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the public parameters of a call of each shape."""
    return {
        "DescribeRegions": {},
        "ListSecrets": {
            "PageNumber": "2",
            "PageSize": "1",
            "FetchTags": "true",
            "Filters": json.dumps([{"Key": "SecretName", "Values": [f"{prefix}/a", f"{prefix}/b"]}]),
        },
        "TagResources": {
            "ResourceType": "secret",
            "ResourceId.1": f"{prefix}/a",
            "ResourceId.2": f"{prefix}/b",
            "Tag.1.Key": "team",
            "Tag.1.Value": "a+b",
            "Tag.2.Key": "alone",
        },
        "CreateSecret": {"SecretName": f"{prefix}/binary", "VersionId": "v1", "SecretDataType": "binary"},
        "GetSecretValue": {"SecretName": f"{prefix}/a", "VersionStage": "ACSCurrent"},
        "BatchGetSecretValue": {
            "SecretsList": json.dumps([{"SecretName": f"{prefix}/{name}"} for name in "ab"])
        },
        "Encrypt": {"KeyId": keys["plain"], "EncryptionContext": '{"a":"ü"}'},
        "AsymmetricSign": {
            "KeyId": keys["signing"],
            "KeyVersionId": keys["version"],
            "Algorithm": "ECDSA_SHA_256",
            "Digest": DIGEST,
        },
        "UpdateSecret": {"SecretName": f"{prefix}/rds", "ExtendedConfig.CustomData": '{"n":"é"}'},
    }


@pytest.mark.parametrize(
    ("language", "signature"),
    [(name, "acs3") for name in RUN] + [("curl", "rpc1")],  # the others' signatures are their libraries'
)
def test_samples_of_every_shape(target: Target, tmp_path: Path, language: str, signature: str) -> None:
    """No parameters, a page, lists, tags, a binary value, reading values, keys, an object in an object."""
    client = sdk(target)
    prefix = f"{language.replace(', ', '-').lower()}/{signature}"
    keys = stored(client, prefix)
    asked = calls(prefix, keys)
    samples = [
        SAMPLES[language](
            Sketch(
                action,
                given,
                SECRETS.get(action, ()),
                target.endpoint,
                target.region,
                signature,
            )
        )
        for action, given in asked.items()
    ]
    said = dict(zip(asked, RUN[language](samples, tmp_path), strict=True))

    assert "cn-hangzhou" in [region["RegionId"] for region in said["DescribeRegions"]["Regions"]["Region"]]
    assert said["ListSecrets"]["PageNumber"] == 2
    assert [it["SecretName"] for it in said["ListSecrets"]["SecretList"]["Secret"]] == [f"{prefix}/b"]
    for name in "ab":
        described = client.describe_secret(
            models.DescribeSecretRequest(secret_name=f"{prefix}/{name}", fetch_tags="true")
        )
        assert {tag.tag_key: tag.tag_value for tag in described.body.tags.tag} == {"team": "a+b", "alone": ""}
    binary = client.get_secret_value(models.GetSecretValueRequest(secret_name=f"{prefix}/binary")).body
    assert (binary.secret_data, binary.secret_data_type) == (BINARY, "binary")
    assert said["GetSecretValue"]["SecretData"] == VALUE
    values = said["BatchGetSecretValue"]["SecretValues"]
    values = values if isinstance(values, list) else values["SecretValue"]
    assert [it["SecretName"] for it in values] == [f"{prefix}/a", f"{prefix}/b"]
    opened = models.DecryptRequest(
        ciphertext_blob=said["Encrypt"]["CiphertextBlob"], encryption_context={"a": "ü"}
    )
    assert client.decrypt(opened).body.plaintext == PLAIN
    verified = models.AsymmetricVerifyRequest(
        key_id=keys["signing"], key_version_id=keys["version"], algorithm="ECDSA_SHA_256", digest=DIGEST,
        value=said["AsymmetricSign"]["Value"],
    )  # fmt: skip
    assert client.asymmetric_verify(verified).body.value is True
    described = client.describe_secret(models.DescribeSecretRequest(secret_name=f"{prefix}/rds"))
    assert json.loads(described.body.extended_config)["CustomData"] == {"n": "é"}
