"""The parts that every run is made of, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bulkseed.client.client import Client, Observer
from bulkseed.client.operations import OPERATIONS, Operation
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.driver import Driver, OnDisk, requests
from bulkseed.engine.lane import Lane
from bulkseed.engine.lifecycle import RunLifecycle
from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.outage import SERVICE, SOURCE, Answerer, OutageMonitor
from bulkseed.engine.recorder import Recorder, attempt_record
from bulkseed.engine.stop_loss import StopLoss
from bulkseed.engine.values.reader import ValueReader
from bulkseed.ledger import AttemptRecord, Claim
from bulkseed.pacing.retry_bucket import RetryBucket
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.moments import Sending, of_earlier_run
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Step


@dataclass(slots=True, frozen=True)
class Machinery:
    """The parts of one run."""

    lane: Lane
    recorder: Recorder
    client: Client
    driver: Driver
    outage: OutageMonitor
    stop_loss: StopLoss
    values: ValueReader

    def retry_state(self, policy: RetryPolicy, doubt_since: Sending | None) -> RetryState:
        """Return the state of a procedure that begins."""
        lane = self.lane
        return RetryState(policy, doubt_since, lane.sending, self.outage.working_time, lane.rng)


def in_doubt_since(claim: Claim) -> Sending | None:
    """Return when an earlier run sent something for a claim whose fate is not known."""
    since = claim.doubt_since
    return None if since is None else of_earlier_run(since, claim.doubt_service, dated=claim.dated)


def assemble(
    run: RunLifecycle[Any],
    lane: Lane,
    recorder: Recorder,
    options: RunOptions,
    hooks: RunHooks,
    on_disk: OnDisk,
    operations: Mapping[Step[Any], Operation[Any, Any]] = OPERATIONS,
) -> Machinery:
    """Put the parts of a run together."""
    observers: list[Observer] = [hooks.stats.attempted, recorder.attempted]
    observers += [partial(_tell, run, observer) for observer in hooks.observers]
    client = lane.client(*observers)

    def monitor(of: Answerer) -> OutageMonitor:
        return OutageMonitor(
            lane.clock.awake,
            hooks.stop,
            hooks.stats,
            patience=5 * options.rules.retry.budget,
            of=of,
        )

    outage = monitor(SERVICE)
    retries = None if options.qps > 0 else RetryBucket()
    driver = Driver(requests(client, operations), outage, hooks.stop, on_disk, retries)
    values = ValueReader(lane, hooks, monitor(SOURCE), options.rules.retry)
    stop_loss = StopLoss(hooks.stop, options.stop_after)
    return Machinery(lane, recorder, client, driver, outage, stop_loss, values)


def _tell(
    run: RunLifecycle[Any],
    observer: Callable[[AttemptRecord], None],
    work: WorkItem[Any],
    operation: Operation[Any, Any],
    status: int | None,
    answer: object,
) -> None:
    """Tell a caller's observer; an error of it stops the run, and takes nothing from what is on record."""
    try:
        observer(attempt_record(work, operation, status, answer))
    except Exception as error:  # noqa: BLE001  # a caller's code may raise anything
        run.fail(error)
