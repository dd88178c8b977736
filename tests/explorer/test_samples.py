"""Samples of code in other languages: run as they are, against a served KMS, they do what they say."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.kms import sdk
from support.programs import program
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.typescript import compile_all

from bulkseed.model import Target
from bulkseed.wire.actions.codec import Field, shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.message import Call
from bulkseed.wire.samples import SAMPLES
from bulkseed.wire.samples.sketch import Sketch, secret_parameters, sketch, variable

VALUE = "canary $(id) `id` with spaces, 'quotes', \"more\", \\u000a and 密码 + * ~ %\nand a line"
NAME = "app/its.HOME=1@x+y"
PUBLIC = {
    "SecretName": NAME,
    "VersionId": "v1",
    "Description": 'a "quoted" $text; 密码',
    "Tags": '[{"TagKey":"a","TagValue":"b"}]',
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A served KMS."""
    with served(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (target, _):
        yield target


def typescript(code: str, folder: Path) -> list[str]:
    """Compile with the strict compiler; return the command that runs the result."""
    return compile_all([code], folder)[0]


def curl(code: str, _folder: Path) -> list[str]:
    """Return the command that runs the script."""
    program("curl", "curl"), program("perl", "perl")
    return ["sh", "-c", code]


def go(code: str, folder: Path) -> list[str]:
    """Write the program; return the command that builds and runs it."""
    (folder / "call.go").write_text(code)
    return [program("go", "golang-go"), "run", "call.go"]


RUN: dict[str, Any] = {
    "curl": curl,
    "Python": lambda code, _: [sys.executable, "-c", code],
    "Python, asyncio": lambda code, _: [sys.executable, "-c", code],
    "TypeScript": typescript,
    "Go": go,
}


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
@pytest.mark.parametrize("language", RUN)
def test_a_sample_creates_what_it_says(target: Target, tmp_path: Path, language: str, signature: str) -> None:
    """The value comes from the environment, without which nothing is sent, and arrives as it was."""
    name = f"{NAME}/{language.replace(', ', '-').lower()}/{signature}"
    public = PUBLIC | {"SecretName": name}
    made = Sketch("CreateSecret", public, ("SecretData",), target.endpoint, target.region, signature)
    command = RUN[language](SAMPLES[language](made), tmp_path)
    env = os.environ | {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "embedded",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET.reveal(),
    }
    for value, codes in ((None, range(1, 256)), (VALUE, [0])):
        given = env if value is None else env | {"SECRET_DATA": value}
        done = subprocess.run(
            command, env=given, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode in codes, done.stderr
    assert name in done.stdout
    from alibabacloud_kms20160120 import models

    client = sdk(target)
    assert client.get_secret_value(models.GetSecretValueRequest(secret_name=name)).body.secret_data == VALUE
    described = client.describe_secret(models.DescribeSecretRequest(secret_name=name, fetch_tags="true")).body
    assert described.description == PUBLIC["Description"]
    assert [tag.tag_key for tag in described.tags.tag] == ["a"]


def spelled(f: Field) -> str:
    """Return the name of a field as it travels; of a list, that of its first item."""
    return f.wire if not f.numbered else f"{f.wire}.1" if f.kind is str else f"{f.wire}.1.Key"


@pytest.mark.parametrize("action", ACTIONS)
def test_the_sdk_knows_every_name_of_a_sample(action: str) -> None:
    """For each action with all its parameters, the SDK's models have what the sample gives, and its types."""
    from alibabacloud_kms20160120 import client, models

    secret = secret_parameters(action)
    typed = {bool: "true", int: "7"}
    named = {"SecretsList": '[{"SecretName":"a"}]'}
    given = {
        spelled(f): named.get(f.wire) or typed.get(f.kind, "{}")
        for f in shape(ACTIONS[action].request)
        if f.wire not in secret
    }
    made = Sketch(action, given, tuple(secret), "http://127.0.0.1:1", "cn-hangzhou")
    code = SAMPLES["Python"](made)
    inside = code.rpartition("\nprint(client.")[2]
    method, _, request = inside.partition("(")
    assert hasattr(client.Client, method)
    text = request.rpartition(").body.to_map())")[0]
    if text:
        environ = {variable(name): "x" for name in secret}
        made = eval(text, {"models": models, "os": SimpleNamespace(environ=environ)})  # noqa: S307  # our own text
        for name, parameter in inspect.signature(type(made)).parameters.items():
            value = getattr(made, name)
            kind = str(parameter.annotation).partition("[")[0].rpartition(".")[2]
            assert value is None or type(value).__name__ in (kind, kind.lower()), name


def test_the_sdk_takes_a_samples_lists() -> None:
    """Numbered parameters are lists in the SDK, of texts or of its own records."""
    from alibabacloud_kms20160120 import models

    given = {"ResourceType": "secret", "ResourceId.1": "a", "ResourceId.2": "b", "Tag.1.Key": "k"}
    given |= {"Tag.1.Value": "v", "Tag.2.Key": "alone"}
    code = SAMPLES["Python"](Sketch("TagResources", given, (), "http://127.0.0.1:1", "cn-hangzhou"))
    text = code.rpartition("client.tag_resources(")[2].rpartition(").body.to_map())")[0]
    request = eval(text, {"models": models})  # noqa: S307  # our own text
    assert request.resource_id == ["a", "b"]
    assert [(tag.key, tag.value) for tag in request.tag] == [("k", "v"), ("alone", None)]


def test_no_sample_holds_a_value() -> None:
    """Samples are made without the values of secret parameters."""
    call = Call("CreateSecret", "SecretName=a&VersionId=v1", "SecretData=canary")
    made = sketch(call, "https://kms.example:443", "cn-hangzhou", temporary=True)
    for name, sample in SAMPLES.items():
        code = sample(made)
        assert "canary" not in code
        assert "SECRET_DATA" in code, name
