"""`bulkseed.definition`: a definition without a file."""

from __future__ import annotations

from typing import Any

import pytest

import bulkseed


def test_parameters_make_a_definition() -> None:
    """All forms of a manifest are allowed (G20)."""
    made = bulkseed.definition(
        {"SecretName": "app/db", "SecretData": {"port": 1.5, "n": 2**70}, "Tags": {"team": "a"}}
    )
    assert (made.name, made.version_id) == ("app/db", "v1")
    assert made.data.reveal() == f'{{"port":1.5,"n":{2**70}}}'
    assert made.tags == '[{"TagKey":"team","TagValue":"a"}]'
    assert bulkseed.definition({"SecretName": "密码", "SecretData": "x"}, unchecked=True).name == "密码"


@pytest.mark.parametrize(
    "parameters",
    [
        {"SecretName": "a"},
        {"SecretName": "a b", "SecretData": "fake-canary"},
        {"SecretName": "a", "SecretData": {"fake-canary": float("nan")}},
        {"SecretName": "a", "SecretData": {b"fake-canary": 1}},
        {"SecretName": "a", "SecretData": "fake-canary\ud800"},
        {"SecretName": "a", "secretdata": "fake-canary"},
    ],
)
def test_what_is_no_definition_is_said_without_the_value(parameters: dict[str, Any]) -> None:
    """One error with every reason."""
    with pytest.raises(bulkseed.ManifestError) as caught:
        bulkseed.definition(parameters)
    assert "canary" not in str(caught.value)
