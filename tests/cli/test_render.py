"""What is printed of a run for people."""

from __future__ import annotations

import dataclasses

import pytest

from bulkseed.cli.render import print_effort
from bulkseed.cli.rollback import print_rollback_effort
from bulkseed.model import Summary

ENDS: dict[str, float | None] = {"p50": 1.0, "p99": 2.0}
RUN = Summary("r", "m.ledger.db", "e", "r", 2, {}, 2, 0, 0, 0.99, 0.0, 2, 1234.5, None, ENDS, None, 0)


def test_less_than_a_second_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """Two requests in a few milliseconds are not thousands a second (G24)."""
    print_effort(RUN)
    assert "rate" not in capsys.readouterr().out
    print_effort(dataclasses.replace(RUN, elapsed_s=1.0))
    assert "rate: 1,234.50/s, no ceiling, at most 2 in any second\nlatency: " in capsys.readouterr().out


def test_deletions_are_held_against_their_own_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """They bunch behind the listings that bound them: 41 in a second are no breach of the listings' 40."""
    print_rollback_effort(
        dataclasses.replace(RUN, elapsed_s=2.0, limit_qps=200.0, max_in_one_second=41, mean_qps=41.22)
    )
    told = " ".join(capsys.readouterr().out.split())
    assert "rate: 41.22/s of 200/s allowed, at most 41 in any second" in told
    assert "pace: about 40 deletions/s on average whatever --qps says, since" in told
