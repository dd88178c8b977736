"""Carries claims whose version changed: first what an earlier run left open, then the new version."""

from __future__ import annotations

from dataclasses import replace

from bulkseed.client.work_item import WorkItem
from bulkseed.engine.machinery import Machinery, in_doubt_since
from bulkseed.ledger import Claim
from bulkseed.model import Outcome, SecretDefinition, UnreadValue
from bulkseed.policy.advice import TAKEN_FOR_OURS
from bulkseed.policy.follow import Earlier, confirm, follow
from bulkseed.policy.moments import ServiceMoment
from bulkseed.policy.options import OnDeleteWindow, Rules
from bulkseed.policy.steps import Aborted, Ending, Subject


class Follower:
    """Puts new versions of secrets of ours."""

    def __init__(self, machinery: Machinery, rules: Rules) -> None:
        self._machinery = machinery
        self._policy = rules.retry
        self._regenerate = rules.regenerate
        self._restore = rules.on_delete_window is OnDeleteWindow.RESTORE

    async def look(self, claim: Claim) -> tuple[Claim, Ending | Aborted | None]:
        """Find out what became of another version that an earlier run may have written.

        Return the claim as it is then: `held` is the version of ours that the service has, and a doubt that
        is over is gone. It stays where the value of that version can be read no more, and where times do not
        tell whose it is. Call it before the definition's own value is read. Or return how the claim ended.
        """
        earlier = self._earlier(claim)
        if earlier is None:
            return claim, None
        unread = isinstance(earlier.data, UnreadValue)
        if unread and await self._machinery.values.read(earlier, None) is not None:
            return claim, None
        retry = self._machinery.retry_state(self._policy, in_doubt_since(claim))
        now = self._machinery.lane.sending()
        subject = Subject(earlier.version_id, generated=earlier.generated)
        procedure = confirm(subject, retry, now, owned=claim.held is not None)
        found = await self._machinery.driver.drive(WorkItem(earlier, claim.row_id), procedure, retry)
        if not isinstance(found, Earlier):
            return claim, found or Ending(Outcome.PENDING, doubt=True)
        if found is Earlier.UNKNOWN:
            return claim, None
        held = earlier.version_id if found is Earlier.OURS else claim.held
        return claim._replace(held=held, doubt_since=None, doubt_service=None, doubt_version=None), None

    async def put(
        self, work: WorkItem[SecretDefinition], claim: Claim, held: str, *, known: bool
    ) -> Ending | Aborted:
        """Put the definition's version where `held` is in force.

        `known`: the secret was known to be ours when the run took it up. If not, its value was compared, or
        there is none to compare with, which its row then says.
        """
        retry = self._machinery.retry_state(self._policy, in_doubt_since(claim))
        made = None if claim.service_time is None else ServiceMoment(claim.service_time)
        subject = Subject(work.item.version_id)
        procedure = follow(held, subject, retry, restore=self._restore, made=made)
        end = await self._machinery.driver.drive(work, procedure, retry)
        if isinstance(end, Ending) and end.outcome is Outcome.UPDATED and work.item.generated and not known:
            end.message = TAKEN_FOR_OURS
        return end or Ending(Outcome.PENDING, doubt=retry.in_doubt)

    def _earlier(self, claim: Claim) -> SecretDefinition | None:
        """Return the definition as an earlier run had it, if a source can give its value, yet unread.

        Of a value that was generated then nothing is known but its version.
        """
        definition, version = claim.definition, claim.doubt_version
        if version is None:
            return None
        if definition.generated:
            return replace(definition, version_id=version) if self._regenerate else None
        if not isinstance(definition.data, UnreadValue):
            return None
        earlier = definition.data.at(version)
        return None if earlier is None else replace(definition, version_id=version, data=earlier)
