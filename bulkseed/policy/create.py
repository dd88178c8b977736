"""One definition's way from claim to row, as a generator: it yields steps and is sent their answers.

`journey` decides; the engine acts. The engine sends `None` for a `Wait` that is over or a `Disown` that is on
disk, closes the generator to leave a definition pending, and reads the `Settled` that it returns. Rules that
live here: when doubt arises, how it is resolved, what ``--on-exists`` and ``--on-delete-window`` mean, when
attempts or budget run out.
"""

from __future__ import annotations

from bulkseed.model import Created, Fault, Outcome
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Answer, Counted, Disown, Done, Found, GiveUp, Journey, Settled, Step, ended
from bulkseed.policy.verdicts import Verdict, classify

MAX_VERSIONS = 10
"""A standard secret keeps this many versions; one more drops the oldest (PutSecretValue page)."""

NOT_READABLE = "exists; whether it is ours is unknown: grant kms:GetSecretValue to find out"
VALUE_LOST = (
    "exists; whether it is ours is unknown: an earlier run may have created it, and the value that it "
    "generated ended with it; ActionTrail tells who created it"
)
LEFT_ALONE = "exists and was left alone: a value is generated for a new secret only"


def journey(rules: Rules, version_id: str, retry_state: RetryState) -> Journey:
    """Carry one definition through; see the module's head for the protocol."""
    try:
        return (yield from _create(rules, version_id, retry_state))
    except GiveUp as given_up:
        return given_up.end


def _create(rules: Rules, version_id: str, me: RetryState) -> Journey:
    answer = yield from me.ask(Step.CREATE)
    if isinstance(answer, Created):
        return Settled(Outcome.CREATED, status=200, request_id=answer.request_id, arn=answer.arn)
    assert isinstance(answer, Fault)  # noqa: S101  # ask() returns no NoReply
    verdict = classify(answer)
    if verdict is Verdict.IN_DELETE_WINDOW and rules.on_delete_window is OnDeleteWindow.RESTORE:
        restored = yield from me.ask(Step.RESTORE)
        if isinstance(restored, Fault):
            return ended(Outcome.REJECTED, restored, doubt=me.in_doubt)
        answer = Fault("Rejected.ResourceExist", 409, request_id=answer.request_id)  # it is there again
    elif verdict is not Verdict.EXISTED:
        return ended(Outcome.REJECTED, answer, doubt=me.in_doubt)
    if me.doubt_since is not None and not me.theirs:
        return (yield from _probe(rules, version_id, me, me.doubt_since, answer))
    return (yield from _exists(rules, version_id, me, answer))


def _probe(rules: Rules, version_id: str, me: RetryState, since: float, existed: Fault) -> Journey:
    """An attempt of ours went unanswered and now the name is taken: is it our secret?"""
    found = yield from me.ask(Step.READ_VERSION)
    if isinstance(found, Fault):
        if found.code == "Forbidden.ResourceNotFound":  # it lacks the version that ours would have
            return (yield from _exists(rules, version_id, me, existed))
        return _unknown(rules, existed, found)
    assert isinstance(found, Found)  # noqa: S101  # a read is answered by Found or Fault
    if found.created_at is None:
        return _unknown(rules, existed, found)
    if found.version_id != version_id or found.created_at < since:
        return (yield from _exists(rules, version_id, me, existed))
    if found.same_value:
        return Settled(Outcome.ADOPTED, status=200, request_id=existed.request_id)
    if me.value_lost:
        return _unknown(rules, existed, found, VALUE_LOST)
    return (yield from _exists(rules, version_id, me, existed))


def _unknown(rules: Rules, existed: Fault, why: Answer, message: str = NOT_READABLE) -> Settled:
    """It exists, and whether it is ours cannot be found out; the doubt stays on record."""
    refused = isinstance(why, Fault) and why.code != "Forbidden.NoPermission"
    if refused or rules.on_exists is OnExists.FAIL:
        return ended(Outcome.REJECTED, why if isinstance(why, Fault) else existed, doubt=True)
    return ended(Outcome.EXISTING, existed, message, doubt=True)


def _exists(rules: Rules, version_id: str, me: RetryState, existed: Fault) -> Journey:
    if rules.on_exists is OnExists.SKIP:
        return ended(Outcome.EXISTING, existed)
    if rules.on_exists is OnExists.FAIL:
        return ended(Outcome.REJECTED, existed)
    if me.generated:  # another value says nothing about theirs, and is no reason to replace it
        return ended(Outcome.EXISTING, existed, LEFT_ALONE)
    step = Step.READ_VERSION if rules.on_exists is OnExists.VERIFY else Step.READ_CURRENT
    found = yield from me.ask(step)
    if isinstance(found, Fault):
        if found.code == "Forbidden.NoPermission":
            message = "exists and was not compared: grant kms:GetSecretValue to compare"
            return ended(Outcome.EXISTING, existed, message)
        if found.code == "Forbidden.ResourceNotFound" and step is Step.READ_VERSION:
            return ended(Outcome.CONFLICT, found, f"exists without a version {version_id}")
        return ended(Outcome.REJECTED, found)
    assert isinstance(found, Found)  # noqa: S101  # a read is answered by Found or Fault
    if found.same_value:
        if me.theirs and found.version_id == version_id:  # an earlier run's update, whose answer was lost
            return Settled(Outcome.UPDATED, status=200)
        other = None if found.version_id == version_id else f"the current version is {found.version_id}"
        return Settled(Outcome.IDENTICAL, message=other, status=200)
    if found.version_id == version_id:
        message = f"version {version_id} exists with another value"
        if rules.on_exists is OnExists.UPDATE:
            message += ", and a version's value cannot be changed: choose another VersionId"
        return Settled(Outcome.CONFLICT, message=message, status=200)
    return (yield from _update(version_id, me))


def _update(version_id: str, me: RetryState) -> Journey:
    counted = yield from me.ask(Step.COUNT_VERSIONS)
    if isinstance(counted, Fault):
        return ended(Outcome.REJECTED, counted)
    assert isinstance(counted, Counted)  # noqa: S101  # a count is answered by Counted or Fault
    if counted.versions >= MAX_VERSIONS:
        message = (
            f"has {counted.versions} versions already: a new one would drop the oldest; remove one first"
        )
        return Settled(Outcome.CONFLICT, message=message, status=200)
    yield Disown()
    put = yield from me.ask(Step.PUT)
    if isinstance(put, Fault):
        if classify(put) is Verdict.EXISTED:
            message = (
                f"version {version_id} exists with another value, and a version's value cannot be changed: "
                "choose another VersionId"
            )
            return ended(Outcome.CONFLICT, put, message)
        return ended(Outcome.REJECTED, put)
    assert isinstance(put, Done)  # noqa: S101  # a write is answered by Done or Fault
    if not put.current:  # the service had it already, and moves no stage then
        found = yield from me.ask(Step.READ_CURRENT)
        if not isinstance(found, Found) or found.version_id != version_id:
            message = (
                f"version {version_id} has this value, but another one is current: choose another VersionId"
            )
            return Settled(Outcome.CONFLICT, message=message, status=200)
    return Settled(Outcome.UPDATED, status=200, request_id=put.request_id)
