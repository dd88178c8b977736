"""A verify: every definition is read back, paced by the read quota, and compared in memory.

It is a run like any other, with another procedure: the same intake, workers, retries, outages and stop-loss.
What it finds goes into a ledger of its own, so that one which was interrupted can be resumed: what was
identical then is believed, everything else is read again. Without `resume` nothing is believed. A manifest
that has changed meanwhile is a reason not to resume: values leave no trace to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from bulkseed.engine.job import RunJob
from bulkseed.engine.lane import Lane, Ports, open_lane
from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.run import connections, run_job
from bulkseed.engine.summary import with_results
from bulkseed.ledger import Ledger, LedgerPort, LedgerReader
from bulkseed.model import ManifestEntry, Row, Summary, Target, Verified
from bulkseed.pacing.ceilings import limits
from bulkseed.policy import jobs, steps
from bulkseed.policy import verify as policy
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT
from bulkseed.wire.quotas import QUOTAS

VERIFY = RunJob(jobs.VERIFY, policy.verify, steps.READ_VERSION)
PROBLEMS = [result for result in Verified if not result.settled and result is not Verified.PENDING]


@dataclass(slots=True, frozen=True)
class Verification:
    """What a verify found: the run's summary, and how many definitions had which result."""

    run: Summary
    results: Counter[Verified]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary in the shape that scripts rely on."""
        return with_results(self.run, {result.value: self.results[result] for result in Verified})

    def problems(self, ledger: LedgerReader) -> Iterator[Row]:
        """Yield the rows of what this run found not to be identical."""
        return (row for row in ledger.rows(PROBLEMS) if row.run_id == self.run.run_id)


async def verify(
    definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
    target: Target,
    ledger: Ledger,
    *,
    resume: bool = False,
    options: RunOptions | None = None,
    hooks: RunHooks | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    ports: Ports | None = None,
) -> Verification:
    """Read `definitions` back from `target` and compare.

    Args:
        definitions: what a manifest gives; definitions and invalid lines.
        target: the service.
        ledger: an open ledger of verifies, bound to the target.
        resume: believe what an earlier verify in this ledger found identical.
        options: the choices for the run; `qps` is the ceiling for reads, by default the quota.
        hooks: who hears of it.
        timeout: seconds per attempt.
        ports: what a test puts in the place of network, clocks and randomness.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written, or records other runs than verifies.
        UsageError: the target's endpoint makes no sense.
    """
    options, hooks = options or RunOptions(qps=QUOTAS[VERIFY.kind.group]), hooks or RunHooks()
    opening = open_lane(
        target,
        limits(VERIFY.kind.group, options.qps),
        connections=connections(options),
        timeout=timeout,
        ports=ports,
    )
    async with opening as lane:
        return await verify_in(lane, definitions, ledger, replace(options, afresh=not resume), hooks)


async def verify_in(
    lane: Lane,
    definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
    ledger: LedgerPort,
    options: RunOptions,
    hooks: RunHooks,
    threads: Executor | None = None,
) -> Verification:
    """Verify in a lane that is open; `afresh` of `options` says whether anything is believed.

    The rest is as of `verify`; `threads` as of `run_job`.
    """
    return verification_of(await run_job(VERIFY, definitions, lane, ledger, options, hooks, threads))


def verification_of(run: Summary) -> Verification:
    """Return what a run of a verify found."""
    return Verification(run, Counter({Verified(word.value): count for word, count in run.outcomes.items()}))
