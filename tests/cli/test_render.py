"""What is printed of a run for people."""

from __future__ import annotations

import dataclasses

import pytest

from bulkseed.cli.render import print_effort
from bulkseed.model import Summary

ENDS: dict[str, float | None] = {"p50": 1.0, "p99": 2.0}
RUN = Summary("r", "m.ledger.db", "e", "r", 2, {}, 2, 0, 0, 0.99, 0.0, 2, 1234.5, None, ENDS, None, 0)


def test_less_than_a_second_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """Two requests in a few milliseconds are not thousands a second (G24)."""
    print_effort(RUN)
    assert "rate" not in capsys.readouterr().out
    print_effort(dataclasses.replace(RUN, elapsed_s=1.0))
    assert "rate: 1,234.50/s, no ceiling, at most 2 in any second\nlatency: " in capsys.readouterr().out
