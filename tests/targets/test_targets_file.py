"""``targets.toml``: what it may hold, and what is said about what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkseed.errors import UsageError
from bulkseed.targets.spec import read_targets

GOOD = """
[defaults]
qps = 10
set = { Description = "moved" }

[[target]]
name = "prod-hz"
region = "cn-hangzhou"
profile = "prod"
match = ["prod/*"]
set = { DKMSInstanceId = "kst-fake" }
workers = ["egress-a*"]

[[target]]
name = "dr"
region = "cn-beijing"
role_arn = "acs:ram::1234567890123456:role/bulkseed"
qps = 5
"""


def read(tmp_path: Path, text: str) -> str:
    """Return what is said about a file with this text."""
    path = tmp_path / "targets.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_targets(path)
    return str(caught.value)


def test_defaults_are_for_every_target(tmp_path: Path) -> None:
    """A target's own value wins; tables of defaults are joined."""
    path = tmp_path / "targets.toml"
    path.write_text(GOOD)
    first, second = read_targets(path)
    assert (first.name, first.qps, second.qps) == ("prod-hz", 10.0, 5.0)
    assert first.set == {"Description": "moved", "DKMSInstanceId": "kst-fake"}
    assert second.set == {"Description": "moved"}
    assert (first.match, second.match, first.workers) == (("prod/*",), (), ("egress-a*",))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('access_key_secret = "hunter2"', "no keys in this file"),
        ('security_token = "hunter2"', "no keys in this file"),
        ('regoin = "x"', "did you mean region?"),
        ('name = "../x"', "its ledger is named after it"),
        ("qps = -1", "qps must be a number"),
        ("qps = nan", "qps must be a number"),
        ("qps = true", "qps must be a number"),
        ('match = "prod/*"', "must be a list of texts"),
        ('role_arn = "acs:ram::1:user/x"', "role_arn must be like"),
        ('endpoint = "embedded"', "endpoint must be an address"),
        ('signature = "v4"', "must be one of acs3, rpc1"),
        ('set = { SecretName = "x" }', "SecretName can have no default"),
        ('set = { SecretData = "hunter2" }', "values belong in manifests"),
        ("set = { Description = 1 }", "table of texts"),
        ('region = ""', "has no region"),
    ],
)
def test_what_makes_no_sense_is_named(line: str, said: str, tmp_path: Path) -> None:
    """The message names the file, the target and the key, and shows no value that could be a secret."""
    keys = {"name": '"a"', "region": '"cn-hangzhou"'}
    key = line.partition(" ")[0]
    lines = [f"{k} = {v}" for k, v in keys.items() if k != key]
    told = read(tmp_path, "\n".join(["[[target]]", *lines, line]))
    assert said in told
    assert "targets.toml: target 1" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("text", ["", "[[target", "[defaults]\nqps = 1", "target = 1", "[x]\n"])
def test_a_file_without_targets_is_refused(text: str, tmp_path: Path) -> None:
    """Nothing to do is a mistake of the caller's."""
    assert "targets.toml" in read(tmp_path, text)


def test_names_that_a_file_system_may_not_tell_apart_are_refused(tmp_path: Path) -> None:
    """Two targets never share a ledger."""
    one = '[[target]]\nname = "%s"\nregion = "cn-hangzhou"\n'
    assert "two targets are named" in read(tmp_path, one % "Prod" + one % "prod")


def test_two_roles_of_one_account_and_region_are_refused(tmp_path: Path) -> None:
    """A role names its account: they would share one quota, whatever endpoint they use."""
    one = '[[target]]\nname = "%s"\nregion = "%s"\nrole_arn = "acs:ram::%d:role/%s"\n'
    vpc = 'endpoint = "https://kms-vpc.cn-beijing.aliyuncs.com"\n'
    first = one % ("a", "cn-beijing", 7, "one")
    assert "one account and region" in read(tmp_path, first + one % ("b", "cn-beijing", 7, "two") + vpc)
    path = tmp_path / "targets.toml"
    path.write_text(first + one % ("b", "cn-beijing", 8, "one") + one % ("c", "cn-hangzhou", 7, "one"))
    assert [spec.name for spec in read_targets(path)] == ["a", "b", "c"]
