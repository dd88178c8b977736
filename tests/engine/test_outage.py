"""Outages and streaks: what ends them."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from bulkseed.engine.outage import OUTAGE_AFTER, OUTAGE_FAILURES, SOURCE, OutageMonitor
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.stop_loss import StopLoss
from bulkseed.model import NoReply
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.transport.results import not_connected

LOST = NoReply("no reply in time", maybe_applied=True)


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_creation_ends_an_outage_which_used_up_no_working_time() -> None:
    """An attempt from before the outage that is answered in it shows that the service is back."""
    time, stats, stop = Time(), Stats(), Stop()
    outage = OutageMonitor(time, stop, stats, patience=100.0)
    outage.got_through()
    time.now = OUTAGE_AFTER + 1
    for _ in range(OUTAGE_FAILURES):
        outage.answered(LOST)
    assert (outage.outage, stats.waiting_for, outage.working_time()) == (True, "the service", 0.0)
    assert stats.last_problem == LOST.reason
    time.now = 30.0
    outage.got_through()
    time.now = 34.0
    assert (outage.outage, stats.waiting_for, outage.working_time()) == (False, "", 4.0)
    outage.answered(LOST)
    assert (outage.outage, outage.working_time()) == (False, 4.0)
    assert not stop.requested


def test_an_outage_of_a_source_is_not_told_as_one_of_the_service() -> None:
    """Each is waited for by itself, and whoever looks is sent to the right one."""
    time, stats, stop = Time(), Stats(), Stop()
    service = OutageMonitor(time, stop, stats, patience=100.0)
    source = OutageMonitor(time, stop, stats, patience=100.0, of=SOURCE)
    for outage in (service, source):
        outage.got_through()
    time.now = OUTAGE_AFTER + 1
    for outage in (source, service):
        for _ in range(OUTAGE_FAILURES):
            outage.answered(LOST)
    assert stats.waiting_for == "the source and the service"
    service.got_through()
    assert stats.waiting_for == "the source"
    time.now = 101.0
    source.answered(LOST)
    assert stop.reason == "nothing got through for 101 s: check the source, then run again to resume"


def test_a_source_that_never_answered_has_another_address_than_the_service() -> None:
    """Nobody is sent to look at --endpoint for it."""
    time, stats, stop = Time(), Stats(), Stop()
    source = OutageMonitor(time, stop, stats, patience=100.0, of=SOURCE)
    for time.now in (0.0, OUTAGE_AFTER + 1, 101.0):
        source.answered(LOST)
    assert stop.reason == "the source never answered (no reply in time): check its address and the network"


def test_a_success_ends_a_streak_of_failures() -> None:
    """Only equal failures in a row stop a run, and a success or another failure comes between."""
    stop = Stop()
    stop_loss = StopLoss(stop, stop_after=3)
    for _ in range(5):
        stop_loss.failed("rejected", "Forbidden.NoPermission")
        stop_loss.failed("rejected", "Forbidden.NoPermission")
        stop_loss.succeeded()
        stop_loss.failed("rejected", "InvalidParameter")
    assert not stop.requested
    stop_loss.failed("rejected", "InvalidParameter")
    assert not stop.requested
    stop_loss.failed("rejected", "InvalidParameter")
    assert stop.exit_code == 3
    assert stop.reason is not None
    assert "3 definitions in a row were rejected (InvalidParameter)" in stop.reason


@pytest.mark.parametrize(
    ("number", "no_such_host"),
    [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False), (socket.EAI_FAIL, False)],
)
def test_a_name_that_is_not_there_is_told_from_a_silent_resolver(number: int, no_such_host: bool) -> None:
    """A resolver that is silent may answer in a moment; a name that it does not know is a wrong one (G22)."""
    key = ConnectionKey(
        "kms.invalid", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    )
    error = aiohttp.ClientConnectorDNSError(key, socket.gaierror(number, "said the resolver"))
    loss = not_connected(error, parse_endpoint("https://kms.invalid"), 1.0)
    assert loss.no_such_host is no_such_host
    assert loss.reason == "the name kms.invalid cannot be resolved: said the resolver"
