"""Carries claims whose version changed: first what an earlier run left open, then the new version."""

from __future__ import annotations

from dataclasses import replace

from bulkseed.client.work_item import WorkItem
from bulkseed.engine.machinery import Machinery
from bulkseed.ledger import Claim
from bulkseed.model import Outcome, SecretDefinition, UnreadValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.follow import confirm, follow
from bulkseed.policy.steps import Aborted, Ending, Subject


class Follower:
    """Puts new versions of secrets of ours."""

    def __init__(self, machinery: Machinery, policy: RetryPolicy) -> None:
        self._machinery = machinery
        self._policy = policy

    async def look(self, claim: Claim) -> tuple[Claim, Ending | Aborted | None]:
        """Find out what became of another version that an earlier run may have written.

        Return the claim as it is then: `held` is the version of ours that the service has, and a doubt that
        is over is gone. It stays where the value of that version can be read no more. Call it before the
        definition's own value is read. Or return how the claim ended.
        """
        earlier = _earlier(claim)
        if earlier is None or await self._machinery.values.read(earlier, None) is not None:
            return claim, None
        retry = self._machinery.retry_state(self._policy, claim.doubt_since)
        now = self._machinery.lane.clock.time()
        procedure = confirm(Subject(earlier.version_id), retry, now, owned=claim.held is not None)
        found = await self._machinery.driver.drive(WorkItem(earlier, claim.row_id), procedure, retry)
        if not isinstance(found, bool):
            return claim, found or Ending(Outcome.PENDING, doubt=True)
        held = earlier.version_id if found else claim.held
        return claim._replace(held=held, doubt_since=None, doubt_version=None), None

    async def put(self, work: WorkItem[SecretDefinition], claim: Claim, held: str) -> Ending | Aborted:
        """Put the definition's version where `held` is in force."""
        retry = self._machinery.retry_state(self._policy, claim.doubt_since)
        procedure = follow(held, Subject(work.item.version_id), retry)
        end = await self._machinery.driver.drive(work, procedure, retry)
        return end or Ending(Outcome.PENDING, doubt=retry.in_doubt)


def _earlier(claim: Claim) -> SecretDefinition | None:
    """Return the definition as an earlier run had it, its value still to be read, if a source can give it."""
    value = claim.definition.data
    if claim.doubt_version is None or not isinstance(value, UnreadValue):
        return None
    earlier = value.at(claim.doubt_version)
    return (
        None if earlier is None else replace(claim.definition, version_id=claim.doubt_version, data=earlier)
    )
