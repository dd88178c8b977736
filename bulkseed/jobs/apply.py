"""Apply: provision definitions. The command is `apply`; from Python it is `bulkseed.seed`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection, Iterable, Sequence

from bulkseed.engine.job import RunJob
from bulkseed.engine.lane import Ports, open_lane
from bulkseed.engine.options import RunHooks, RunOptions, SourceRead
from bulkseed.engine.run import connections, run_job
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.jobs.account import check_account
from bulkseed.ledger import AttemptRecord, Ledger
from bulkseed.model import ManifestEntry, Row, Summary, Target
from bulkseed.pacing.ceilings import limits
from bulkseed.policy import jobs, steps
from bulkseed.policy.create import create
from bulkseed.policy.options import Rules
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT

APPLY = RunJob(jobs.APPLY, create, steps.CREATE, follows=True)


async def seed(
    definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
    target: Target,
    ledger: Ledger,
    *,
    qps: float = 10.0,
    workers: int | None = None,
    rules: Rules | None = None,
    stop_after: int = 50,
    limit: int | None = None,
    account_for_rest: bool = True,
    gone: Collection[str] = (),
    on_row: Callable[[Row], None] | None = None,
    observers: Sequence[Callable[[AttemptRecord], None]] = (),
    source_observers: Sequence[Callable[[SourceRead], None]] = (),
    stats: Stats | None = None,
    stop: Stop | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    job: RunJob = APPLY,
    ports: Ports | None = None,
) -> Summary:
    """Provision `definitions` into `target`, recording in `ledger`; run it again to resume.

    Args:
        definitions: what a manifest gives; definitions and invalid lines.
        target: the service.
        ledger: an open ledger that is bound to the target.
        qps: the ceiling for attempts to create in any one-second window; 0 for none.
        workers: how many definitions are in flight at most; None lets rate and latency decide.
        rules: retries, and what an existing secret means.
        stop_after: this many equal rejections in a row stop the run.
        limit: send at most this many definitions.
        account_for_rest: after a stop, read what is left of the manifest and count it as pending; if not, not
            even a read that is under way is waited for.
        gone: settled names that the service does not have any more; they are created again.
        on_row: called with every row as it is decided; keep it short, it runs on the event loop.
        observers: each is called with every attempt when it has ended.
        source_observers: each is called with every read of a value at its source when it has ended.
        stats: counters to watch while the run goes on.
        stop: to ask the run to stop.
        timeout: seconds per attempt.
        job: what to do with each definition.
        ports: what a test puts in the place of network, clocks and randomness.

    Returns:
        The summary; its exit code says whether everything is settled.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written; nothing was sent that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    options = RunOptions(qps, workers, rules or Rules(), stop_after, limit, account_for_rest, gone=gone)
    hooks = RunHooks(on_row, observers, stats or Stats(), stop or Stop(), source_observers)
    opening = open_lane(
        target, limits(job.kind.group, qps), connections=connections(options), timeout=timeout, ports=ports
    )
    async with opening as lane:
        if not gone:  # then it is known what is there
            await check_account(lane, ledger)
        return await run_job(job, definitions, lane, ledger, options, hooks)
