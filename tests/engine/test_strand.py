"""Strands: in order each, side by side among each other, in a pool that they share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bulkseed.engine.strand import Strand


def test_a_strand_runs_one_thing_after_another() -> None:
    """Whatever threads there are: in the order of submission, and never two of a strand at a time."""
    running: dict[int, int] = {0: 0, 1: 0, 2: 0}
    order: dict[int, list[int]] = {0: [], 1: [], 2: []}
    wrong: list[int] = []

    def work(strand: int, number: int) -> None:
        running[strand] += 1
        if running[strand] != 1:
            wrong.append(number)
        order[strand].append(number)
        running[strand] -= 1

    with ThreadPoolExecutor(4) as pool:
        strands = [Strand(pool) for _ in range(3)]
        futures = [strands[s].submit(work, s, n) for n in range(200) for s in range(3)]
        for future in futures:
            future.result()
    assert not wrong
    assert all(numbers == list(range(200)) for numbers in order.values())


def test_a_strand_that_waits_does_not_hold_up_another() -> None:
    """Two strands, two threads: one is blocked, the other goes on."""
    block = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        slow, quick = Strand(pool), Strand(pool)
        blocked = slow.submit(block.wait)
        behind = slow.submit(lambda: "later")
        assert quick.submit(lambda: "now").result() == "now"
        assert not blocked.done()
        assert not behind.done()
        block.set()
        assert behind.result() == "later"


def test_what_a_function_raises_is_its_future_s_and_the_next_one_runs() -> None:
    """An error is no end of the strand."""
    with ThreadPoolExecutor(1) as pool:
        strand = Strand(pool)
        broken = strand.submit(lambda: 1 / 0)
        after = strand.submit(lambda: "after")
        with pytest.raises(ZeroDivisionError):
            broken.result()
        assert after.result() == "after"


def test_what_is_cancelled_before_its_turn_is_not_run() -> None:
    """As with any executor."""
    block = threading.Event()
    ran: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        strand = Strand(pool)
        strand.submit(block.wait)
        cancelled = strand.submit(lambda: ran.append("cancelled"))
        last = strand.submit(lambda: ran.append("last"))
        assert cancelled.cancel()
        block.set()
        last.result()
    assert ran == ["last"]
