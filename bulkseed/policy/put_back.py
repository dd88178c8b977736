"""How a secret of ours gets back the version before. See `bulkseed.policy.steps` for the protocol.

Rules that live here: a version is put back only where the one in force is the one that this ledger put last,
in the secret that it made. Nothing is deleted: the version that goes out of force stays one of the secret's.
The request names both versions, and the service refuses it if another one is in force by then. It is claimed
on disk before the first attempt, as the row would not be true any more.
"""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.policy import steps
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import (
    ABSENT,
    SCHEDULED,
    OwnedSecret,
    RollbackEnd,
    RollbackOutcome,
    RollingBack,
    changed,
    difference,
    failed,
)
from bulkseed.policy.steps import OK, Aborted, ClaimRollback, Described, Done, GiveUp
from bulkseed.policy.verdicts import classify, maybe_applied

GONE = "the service does not have it any more"
ANOTHER = "another secret has its name now"


def put_back(owned: OwnedSecret, superseded: str, last: str, retry: RetryState) -> RollingBack:
    """Put `superseded` back in force where `last` is. `retry` is in doubt if that was claimed before.

    For people it is ``rollback --restore-values``. The step `RESTORE` is something else: it takes a secret
    out of its delete window.
    """
    try:
        return (yield from _put_back(owned, superseded, last, retry))
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer, retry.in_doubt)
        return failed(given_up.answer, retry)


def _put_back(owned: OwnedSecret, superseded: str, last: str, retry: RetryState) -> RollingBack:
    claimed = False
    underway = False  # a request of ours may yet arrive
    while True:
        found = yield from retry.ask(steps.DESCRIBE)
        if isinstance(found, Fault):
            return changed(GONE, False) if classify(found) in ABSENT else failed(found, retry)
        if reason := _obstacle(owned, found):
            return changed(reason, underway)
        versions = yield from retry.ask(steps.COUNT_VERSIONS)
        if isinstance(versions, Fault):
            return failed(versions, retry)
        if versions.current == superseded:
            return RollbackEnd(RollbackOutcome.RESTORED, f"version {superseded} is in force", status=OK)
        if versions.current != last:
            force = f"{versions.current} is" if versions.current else "another one may be"
            return changed(f"ours was version {last}, and {force} in force", underway)
        if not underway:
            retry.doubt_since = None  # what an earlier rollback claimed was not done
        if not claimed:
            yield ClaimRollback(found.dated)
            claimed = True
        answer = yield from retry.ask_once(steps.PUT_BACK)
        if isinstance(answer, Done):
            message = f"version {superseded} is in force again"
            return RollbackEnd(RollbackOutcome.RESTORED, message, status=OK, request_id=answer.request_id)
        if not retry.may_repeat(steps.PUT_BACK, answer):
            return failed(answer, retry)
        underway = underway or maybe_applied(answer)


def _obstacle(owned: OwnedSecret, found: Described) -> str | None:
    if found.to_be_deleted:
        return SCHEDULED
    if owned.dated is not None and found.dated != owned.dated:  # both are the service's own words
        return ANOTHER
    return difference(owned, found)
