"""Row D1: a network that stalls does not make a real run exceed its limit; see `benchmarks.stalls`."""

from __future__ import annotations

from benchmarks.stalls import measure


def test_a_stall_of_the_network_lets_no_second_see_more_than_the_limit() -> None:
    """Real sockets, a service that counts arrivals: what was held back arrives at once, and still fits.

    (D1)
    """
    found = measure(20, 0.7, lead=0.1, tail=1.1)
    assert found.arrived > 0
    assert found.most <= 20
