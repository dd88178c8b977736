"""How a definition becomes a secret: from its claim to its row. See `bulkseed.policy.steps` for the protocol.

Rules that live here: when doubt arises, how it is resolved, what ``--on-exists`` and ``--on-delete-window``
mean, what is left alone.
"""

from __future__ import annotations

from bulkseed.model import Created, Fault, Outcome
from bulkseed.policy import steps
from bulkseed.policy.follow import follow
from bulkseed.policy.moments import Sending
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import (
    Aborted,
    Ending,
    Found,
    GiveUp,
    MarkForeign,
    MarkHeld,
    Procedure,
    Subject,
    answered,
    ended,
    gave_up,
)
from bulkseed.policy.verdicts import Verdict, as_existing, classify

Creating = Procedure[Ending | Aborted]

MAX_VERSIONS = 10
"""A standard secret keeps this many versions; one more drops the oldest (PutSecretValue page)."""

NOT_READABLE = "exists; whether it is ours is unknown: grant kms:GetSecretValue to find out"
VALUE_LOST = (
    "exists; whether it is ours is unknown: an earlier run may have created it, and the value that it "
    "generated ended with it (ActionTrail tells who created it): raise its VersionId and apply with "
    "--regenerate, or delete it"
)
VERSION_LOST = (
    "exists; whether it is ours is unknown: an earlier run may have created it with another version, whose "
    "value can be read no more; ActionTrail tells who created it"
)
NOT_DESCRIBED = "exists; whether it is ours is unknown: grant kms:DescribeSecret to find out"
NOT_COMPARED = "exists and was not compared: grant kms:GetSecretValue to compare"
DATED_BEFORE = (
    "exists with this version and value, and the service dates it before this ledger's claim: whether it is "
    "ours is unknown, as clocks may have been wrong"
)
LOST_AND_DATED_BEFORE = (
    "exists with this version, an earlier run may have created it with a value that ended with it, and the "
    "service dates it before that run's claim: whether it is ours is unknown, as clocks may have been wrong"
)
UNDATED = (
    "exists with this version, and no clock tells whether it is older than this ledger's claim: whether it "
    "is ours is unknown (ActionTrail tells who created it)"
)
TAKEN_BACK = "ours: a rollback had deleted it, and it was taken back from its delete window"
RESTORED = "was scheduled for deletion, and was restored"
ROTATED = "exists, and the service has rotated it since: whether it is ours is unknown (ActionTrail tells)"
LEFT_ALONE = "exists and was left alone: a value is generated for a new secret only"


def create(rules: Rules, subject: Subject, retry: RetryState) -> Creating:
    """Create the secret of a definition, or find out what is there instead."""
    value_lost = subject.generated and retry.in_doubt  # an earlier run sent another one
    try:
        return (yield from _Creation(rules, subject, retry, value_lost).run())
    except GiveUp as given_up:
        return gave_up(given_up, doubt=retry.in_doubt)


class _Creation:
    """A creation. `value_lost`: an earlier run may have created it, with a value now unknown."""

    def __init__(self, rules: Rules, subject: Subject, retry: RetryState, value_lost: bool) -> None:
        self._rules = rules
        self._subject = subject
        self._retry = retry
        self._value_lost = value_lost

    def run(self) -> Creating:
        retry, rules = self._retry, self._rules
        answer = yield from retry.ask(steps.CREATE)
        if isinstance(answer, Created):
            return answered(Outcome.CREATED, request_id=answer.request_id, arn=answer.arn)
        verdict, restored = classify(answer), False
        if verdict is Verdict.IN_DELETE_WINDOW and rules.on_delete_window is OnDeleteWindow.RESTORE:
            told = yield from retry.ask(steps.RESTORE)
            if isinstance(told, Fault) and classify(told, steps.RESTORE) is not Verdict.NOT_SCHEDULED:
                return ended(Outcome.REJECTED, told, doubt=retry.in_doubt)
            restored = not isinstance(told, Fault)
            answer = as_existing(answer)
        elif verdict is not Verdict.EXISTED:
            return ended(Outcome.REJECTED, answer, doubt=retry.in_doubt)
        if self._subject.deleted is not None and not self._subject.foreign:
            end = yield from self._taken_back(self._subject.deleted, answer)
            if end is not None:
                return end
        if retry.doubt_since is not None and not self._subject.foreign:
            return (yield from self._probe(retry.doubt_since, answer))
        end = yield from self._exists(answer)
        if restored and isinstance(end, Ending):
            end.message = f"{RESTORED}; {end.message}" if end.message else RESTORED
        return end

    def _taken_back(self, deleted: str, existed: Fault) -> Procedure[Ending | Aborted | None]:
        """Tell how it ended if the secret is the one whose deletion a rollback of ours had planned.

        What it was created at tells: that stays when it is restored. None: it is another one.
        """
        subject = self._subject
        described = yield from self._retry.ask(steps.DESCRIBE)
        if isinstance(described, Fault):
            return self._unknown(existed, described, NOT_DESCRIBED)
        if described.dated != deleted:
            return None
        created = None if described.created is None else described.created.service
        yield MarkHeld(subject.deleted_version or subject.version_id, None, created)
        found = yield from self._retry.ask(steps.READ_VERSION)
        if isinstance(found, Found) and found.version_id == subject.version_id:
            if found.same_value or subject.generated:
                return answered(Outcome.ADOPTED, message=TAKEN_BACK, created=created)
            message = f"is ours, was restored, and version {subject.version_id} of it has another value"
            return answered(Outcome.CONFLICT, message=message)
        if isinstance(found, Fault) and classify(found) is not Verdict.NOT_FOUND:
            return ended(Outcome.REJECTED, found)
        return (yield from follow(subject.deleted_version or subject.version_id, subject, self._retry))

    def _probe(self, since: Sending, existed: Fault) -> Creating:
        """An attempt of ours went unanswered and now the name is taken: find out whether it is our secret."""
        found = yield from self._retry.ask(steps.READ_VERSION)
        if isinstance(found, Fault):
            if classify(found) is Verdict.NOT_FOUND:  # it lacks the version that ours would have
                if self._value_lost and self._subject.lost:
                    return ended(Outcome.VALUE_LOST, existed, VALUE_LOST, doubt=True)
                if self._subject.lost:
                    return self._unknown(existed, message=VERSION_LOST)
                return (yield from self._exists(existed))
            return self._unknown(existed, found)
        if found.rotated or found.created is None:
            return self._unknown(existed, message=ROTATED if found.rotated else NOT_READABLE)
        if found.version_id != self._subject.version_id:
            return (yield from self._exists(existed))
        if found.created.before(since):
            end = yield from self._exists(existed)
            unproved = self._value_lost and not found.created.surely_before(since)
            speaks_for_us = found.same_value or unproved
            if speaks_for_us and isinstance(end, Ending) and end.outcome is not Outcome.UPDATED:
                end.doubt = True  # only a time speaks against it
                end.message = DATED_BEFORE if found.same_value else LOST_AND_DATED_BEFORE
                if not (since.dated and found.created.dated):
                    end.message = UNDATED
            return end
        if found.same_value:
            return answered(
                Outcome.ADOPTED,
                request_id=existed.request_id,
                created=found.created.service,
            )
        if self._value_lost:
            return ended(Outcome.VALUE_LOST, existed, VALUE_LOST, doubt=True)
        return (yield from self._exists(existed))

    def _unknown(self, existed: Fault, why: Fault | None = None, message: str = NOT_READABLE) -> Ending:
        """It exists, and whether it is ours cannot be found out; the doubt stays on record."""
        unreadable = why is not None and classify(why) is Verdict.NO_PERMISSION
        if unreadable and self._rules.on_exists in {OnExists.VERIFY, OnExists.UPDATE}:
            return ended(Outcome.REJECTED, why, NOT_COMPARED, doubt=True)
        if (why is not None and not unreadable) or self._rules.on_exists is OnExists.FAIL:
            return ended(Outcome.REJECTED, why or existed, doubt=True)
        return ended(Outcome.EXISTING, existed, message, doubt=True)

    def _exists(self, existed: Fault) -> Creating:
        on_exists, version_id = self._rules.on_exists, self._subject.version_id
        if on_exists is OnExists.SKIP:
            return ended(Outcome.EXISTING, existed)
        if on_exists is OnExists.FAIL:
            return ended(Outcome.REJECTED, existed)
        if self._subject.generated:  # another value says nothing about it, and is no reason to replace it
            return ended(Outcome.EXISTING, existed, LEFT_ALONE)
        if on_exists is OnExists.VERIFY:
            found = yield from self._retry.ask(steps.READ_VERSION)
            if isinstance(found, Fault) and classify(found) is Verdict.NOT_FOUND:
                return ended(Outcome.CONFLICT, found, f"exists without a version {version_id}")
            return self._compare(found) or answered(
                Outcome.CONFLICT, message=f"the service answered without version {version_id}"
            )
        found = yield from self._retry.ask(steps.READ_CURRENT)
        return self._compare(found) or (yield from self._update())

    def _compare(self, found: Found | Fault) -> Ending | None:
        """Return the end that a comparison brings; None if another version with another value is there."""
        on_exists, version_id = self._rules.on_exists, self._subject.version_id
        if isinstance(found, Fault):
            refused = classify(found) is Verdict.NO_PERMISSION
            return ended(Outcome.REJECTED, found, NOT_COMPARED if refused else None)
        if found.rotated:
            message = f"the service has rotated it since, to {found.told}"
            return answered(Outcome.IDENTICAL, message=message)
        if found.same_value:
            if self._subject.foreign and found.version_id == version_id:
                return answered(Outcome.UPDATED)  # by an earlier run, whose answer was lost
            other = None if found.version_id == version_id else f"the current version is {found.told}"
            return answered(Outcome.IDENTICAL, message=other)
        if found.version_id == version_id:
            message = f"version {version_id} exists with another value"
            if on_exists is OnExists.UPDATE:
                message += ", and a version's value cannot be changed: choose another VersionId"
            return answered(Outcome.CONFLICT, message=message)
        return None

    def _update(self) -> Creating:
        version_id, retry = self._subject.version_id, self._retry
        counted = yield from retry.ask(steps.COUNT_VERSIONS)
        if isinstance(counted, Fault):
            return ended(Outcome.REJECTED, counted)
        if counted.versions >= MAX_VERSIONS:
            message = (
                f"has {counted.versions} versions already: a new one would drop the oldest; remove one first"
            )
            return answered(Outcome.CONFLICT, message=message)
        yield MarkForeign()
        try:
            put = yield from retry.ask(steps.PUT)
        except GiveUp as given_up:
            return gave_up(given_up, doubt=True)  # a put that was not answered may have taken effect
        if isinstance(put, Fault):
            if classify(put, steps.PUT) is Verdict.EXISTED:
                message = (
                    f"version {version_id} exists with another value, and a version's value cannot be "
                    "changed: choose another VersionId"
                )
                return ended(Outcome.CONFLICT, put, message)
            return ended(Outcome.REJECTED, put)
        if not put.current:  # the service had it already, and moves no stage then
            found = yield from retry.ask(steps.READ_CURRENT)
            if not isinstance(found, Found) or found.version_id != version_id:
                message = (
                    f"version {version_id} has this value, but another one is current: "
                    "choose another VersionId"
                )
                return answered(Outcome.CONFLICT, message=message)
        return answered(Outcome.UPDATED, request_id=put.request_id)
