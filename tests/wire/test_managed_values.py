"""Values of managed secrets: what was sent, and what a version of it holds."""

from __future__ import annotations

import pytest

from bulkseed.wire.validation.secret_types import holds_value

PAIR = '{"AccountName":"a","AccountPassword":"p"}'
TWO = '{"Accounts":[{"AccountName":"b","AccountPassword":"p"},{"AccountName":"a","AccountPassword":"p"}]}'


@pytest.mark.parametrize(
    ("kind", "sent", "found", "same"),
    [
        (None, "x", "x", True),
        (None, "x", "y", False),
        ("Rds", '{"Accounts":[{"AccountName":"a","AccountPassword":"p"}]}', PAIR, True),
        ("Rds", TWO, PAIR, True),
        ("Rds", '{"Accounts":[{"AccountName":"a","AccountPassword":"q"}]}', PAIR, False),
        ("Rds", "{}", PAIR, False),
        ("Rds", '{"Accounts":[{"AccountName":"a","AccountPassword":"p"}]}', "{}", False),
        (
            "RAMCredentials",
            '{"AccessKeys":[{"AccessKeyId":"i","AccessKeySecret":"s"}]}',
            '{"AccessKeyId":"i","AccessKeySecret":"s","GenerateTimestamp":"2023-03-25T10:42:40Z"}',
            True,
        ),
        ("ECS", '{"UserName":"u","Password":"p"}', "{}", False),
        ("Redis", "$Auto", PAIR, True),
        ("Redis", "other", PAIR, False),
        ("ECS", '{"UserName":"u","Password":"p"}', '{"Password":"p","UserName":"u"}', True),
        ("ECS", '{"UserName":"u","Password":"p"}', '{"Password":"q","UserName":"u"}', False),
    ],
)
def test_a_managed_value_is_compared_by_account(kind: str | None, sent: str, found: str, same: bool) -> None:
    """What the service answers for a version is one account of what was sent (A8)."""
    assert holds_value(kind, sent, found) == same
