"""Clients that nobody here wrote, each in an environment of its own, through one scenario, errors included.

They are installed from their registries, in CI only; elsewhere the tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.programs import program
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

from bulkseed.model import Credentials, Target

SCRIPTS = Path(__file__).parent / "witnesses"

Step = tuple[str, dict[str, str], str | None, dict[str, str]]
SCENARIO: list[Step] = [
    (
        "CreateSecret",
        {"SecretName": "w", "VersionId": "v1", "SecretData": " +&=%é😀"},
        None,
        {"SecretName": "w"},
    ),
    ("CreateSecret", {"SecretName": "w", "VersionId": "v1", "SecretData": "x"}, "Rejected.ResourceExist", {}),
    ("GetSecretValue", {"SecretName": "w"}, None, {"SecretData": " +&=%é😀", "VersionId": "v1"}),
    ("GetSecretValue", {"SecretName": "none"}, "Forbidden.ResourceNotFound", {}),
    (
        "PutSecretValue",
        {"SecretName": "w", "VersionId": "v2", "SecretData": "two"},
        None,
        {"VersionId": "v2"},
    ),
    ("GetSecretValue", {"SecretName": "w", "VersionStage": "ACSPrevious"}, None, {"VersionId": "v1"}),
    ("TagResource", {"SecretName": "w", "Tags": '[{"TagKey":"a","TagValue":"1"}]'}, None, {}),
    ("DescribeSecret", {"SecretName": "w"}, None, {"SecretName": "w"}),
    ("CreateKey", {"Description": "witness"}, None, {}),
    ("CreateAlias", {"KeyId": "$KeyId", "AliasName": "alias/w"}, None, {}),
    ("Encrypt", {"KeyId": "alias/w", "Plaintext": "cGxhaW4="}, None, {}),
    ("Decrypt", {"CiphertextBlob": "$CiphertextBlob"}, None, {"Plaintext": "cGxhaW4="}),
    ("DisableKey", {"KeyId": "$KeyId"}, None, {}),
    ("Encrypt", {"KeyId": "alias/w", "Plaintext": "cGxhaW4="}, "Rejected.Disabled", {}),
    ("DeleteAlias", {"AliasName": "alias/w"}, None, {}),
    ("Encrypt", {"KeyId": "alias/w", "Plaintext": "cGxhaW4="}, "Forbidden.AliasNotFound", {}),
    ("DeleteSecret", {"SecretName": "w", "ForceDeleteWithoutRecovery": "true"}, None, {"SecretName": "w"}),
    ("DescribeSecret", {"SecretName": "w"}, "Forbidden.ResourceNotFound", {}),
]

MANAGED = {
    "SecretName": "r",
    "VersionId": "v1",
    "SecretData": '{"Accounts":[{"AccountName":"app","AccountPassword":"fake"}]}',
    "SecretType": "Rds",
    "ExtendedConfig": '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}',
}
CACHED: list[Step] = [
    ("CreateSecret", {"SecretName": "w", "VersionId": "v1", "SecretData": "one é"}, None, {}),
    ("GetSecretValue", {"SecretName": "w"}, None, {"SecretData": "one é", "VersionId": "v1"}),
    ("PutSecretValue", {"SecretName": "w", "VersionId": "v2", "SecretData": "two"}, None, {}),
    ("GetSecretValue", {"SecretName": "w"}, None, {"SecretData": "one é", "VersionId": "v1"}),
    ("Refresh", {"SecretName": "w"}, None, {}),
    ("GetSecretValue", {"SecretName": "w"}, None, {"SecretData": "two", "VersionId": "v2"}),
    ("GetSecretValue", {"SecretName": "none"}, "Forbidden.ResourceNotFound", {}),
    ("CreateSecret", MANAGED, None, {}),
    (
        "GetSecretValue",
        {"SecretName": "r"},
        None,
        {"SecretData": '{"AccountName":"app","AccountPassword":"fake"}'},
    ),
]
"""For a client that caches: what it has read it gives again, until it is told to look anew."""

PYTHON = {
    "the newest SDK": ("sdk.py", "acs3", ["alibabacloud_kms20160120"]),
    "the newest SDK, RPC 1.0": ("sdk.py", "rpc1", ["alibabacloud_kms20160120"]),
    "SDK 2.0.0": ("sdk.py", "acs3", ["alibabacloud_kms20160120==2.0.0"]),
    "SDK 2.0.0, RPC 1.0": ("sdk.py", "rpc1", ["alibabacloud_kms20160120==2.0.0"]),
    "SDK 1.0.0": ("sdk.py", "rpc1", ["alibabacloud_kms20160120==1.0.0"]),
    "the legacy SDK": ("legacy.py", "rpc1", ["aliyun-python-sdk-core"]),
}
NODE = {
    "pop-core": ("pop_core.js", ["@alicloud/pop-core"]),
    "kms20160120": ("kms20160120.js", ["@alicloud/kms20160120", "@alicloud/rpc-client"]),
}


GO_SOURCES = "/usr/share/gocode"
GO_SDK = "src/github.com/denverdino/aliyungo/kms"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One service process for the whole file."""
    with served(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (target, _):
        yield target


def run(
    target: Target, command: list[str], signature: str, folder: Path, scenario: list[Step] = SCENARIO
) -> None:
    """Send a scenario to a client's script, and compare; then once more with a wrong secret."""
    assert isinstance(target.credentials, Credentials)
    given: dict[str, Any] = {
        "host": target.endpoint.partition("://")[2],
        "id": target.credentials.access_key_id,
        "secret": SECRET.reveal(),
        "signature": signature,
        "steps": [step[:2] for step in scenario],
    }

    def answers(**changes: Any) -> list[Any]:
        text = json.dumps(given | changes)
        env = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout)
        return found

    for (action, _, code, expected), (got, body) in zip(scenario, answers(), strict=True):
        assert got == code, action
        assert {name: body.get(name) for name in expected} == expected, action
    reading = "GetSecretValue" if scenario is CACHED else "DescribeSecret"
    refused = answers(secret="wrong", steps=[[reading, {"SecretName": "w"}]])[0][0]
    assert refused in ("SignatureDoesNotMatch", "InvalidAccessKeySecret"), "the error is raised, no crash"


def install(command: list[str], folder: Path) -> None:
    """Install a client, in CI only."""
    if os.environ.get("CI") != "true":
        pytest.skip("clients of others are installed from their registries in CI only")
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", PYTHON)
def test_python_clients_do_the_scenario(name: str, target: Target, tmp_path: Path) -> None:
    """The vendor's SDKs for Python: oldest and newest, both signatures, and the legacy one."""
    script, signature, packages = PYTHON[name]
    install([sys.executable, "-m", "venv", str(tmp_path / "env")], tmp_path)
    python = str(tmp_path / "env" / "bin" / "python")
    install([python, "-m", "pip", "install", "-q", *packages], tmp_path)
    run(target, [python, str(SCRIPTS / script)], signature, tmp_path)


def test_the_caching_client_does_its_scenario(tmp_path: Path) -> None:
    """The vendor's caching client, which speaks TLS only, and reads managed secrets for its users."""
    install([sys.executable, "-m", "venv", str(tmp_path / "env")], tmp_path)
    python = str(tmp_path / "env" / "bin" / "python")
    install([python, "-m", "pip", "install", "-q", "aliyun-secret-manager-client"], tmp_path)
    certificate, key = Authority(tmp_path).issue("127.0.0.1")
    flags = (*UNLIMITED_FLAGS, f"--tls-cert={certificate}", f"--tls-key={key}")
    with served(tmp_path / "kms", *flags) as (target, _):
        # -P: the client has a module `sdk`, and so has the folder of the script.
        run(target, [python, "-P", str(SCRIPTS / "caching.py")], "rpc1", tmp_path, CACHED)


@pytest.mark.parametrize("name", NODE)
def test_node_clients_do_the_scenario(name: str, target: Target, tmp_path: Path) -> None:
    """The vendor's SDKs for JavaScript."""
    script, packages = NODE[name]
    npm, node = program("npm", "npm"), program("node", "nodejs")
    install([npm, "install", "--silent", "--prefix", str(tmp_path), *packages], tmp_path)
    run(target, [node, str(SCRIPTS / script)], "rpc1", tmp_path)


def test_the_go_sdk_of_debian_does_the_scenario(target: Target, tmp_path: Path) -> None:
    """Debian's package golang-github-denverdino-aliyungo-dev: GET, RPC 1.0."""
    go = program("go", "golang-go")
    paths = [*os.environ.get("GOPATH", "").split(":"), GO_SOURCES]
    if not any((Path(path) / GO_SDK).is_dir() for path in paths if path):
        missing = "needs Debian's package golang-github-denverdino-aliyungo-dev"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    env = {"GO111MODULE": "off", "GOPATH": ":".join(paths).strip(":"), "GOCACHE": str(tmp_path / "cache")}
    client = tmp_path / "client"
    build = [go, "build", "-o", str(client), str(SCRIPTS / "aliyungo.go")]
    subprocess.run(build, env={**os.environ, **env}, check=True)
    run(target, [str(client)], "rpc1", tmp_path)
