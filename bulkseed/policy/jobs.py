"""What runs are for: a row for each kind of job, with its words and the rules that others need to know.

Whoever has a command's name from a ledger looks it up here, and asks its row; nobody else compares names.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import NamedTuple

from bulkseed.model import Outcome, QuotaGroup, Verified
from bulkseed.policy.rollback import RollbackOutcome


class JobKind(NamedTuple):
    """A kind of job.

    Attributes:
        name: the command, as the ledger's runs have it.
        title: what a report of it is called.
        words: what the rows that it settles are called.
        meanings: its ends, and what each means.
        group: the quota group of most of its requests: its runs are paced by it.
        streaks: ends that stop a run if they come too often in a row.
        problems: ends that a display shows as the last problem.
        unread: how a definition ends whose value its source does not give; None: as the reading of it did.
        takes_definitions: whether its runs take up the definitions of a manifest; else the ledger's rows.
        ledger_of: the kind whose ledgers its runs write to; "": its own, to which no other kind writes.
    """

    name: str
    title: str
    words: type[Outcome | Verified]
    meanings: Mapping[StrEnum, str]
    group: QuotaGroup
    streaks: AbstractSet[StrEnum] = frozenset()
    problems: AbstractSet[StrEnum] = frozenset()
    unread: Verified | None = None
    takes_definitions: bool = True
    ledger_of: str = ""

    def shares_ledger(self, other: JobKind) -> bool:
        """Tell whether runs of both kinds may stand in one ledger."""
        return (self.ledger_of or self.name) == (other.ledger_of or other.name)


APPLY = JobKind(
    name="apply",
    title="Provisioning report",
    words=Outcome,
    meanings={
        Outcome.CREATED: "the service said so",
        Outcome.ADOPTED: "ours: made by an earlier attempt, or taken back",
        Outcome.IDENTICAL: "there with the same version and value, not known to be ours",
        Outcome.EXISTING: "there, not known to be ours",
        Outcome.UPDATED: "had another value before; the manifest's is now current",
        Outcome.BEHIND: "ours; the manifest has another version",
        Outcome.CONFLICT: "another value is there, or another version is in force",
        Outcome.REJECTED: "refused for good, by the service or by its source",
        Outcome.EXHAUSTED: "attempts or budget ran out",
        Outcome.VALUE_LOST: "ours perhaps, with a generated value that nobody has",
        Outcome.INVALID: "bad manifest line, never sent",
        Outcome.PENDING: "the run ended before this was finished",
    },
    group=QuotaGroup.CREATE,
    streaks={Outcome.REJECTED, Outcome.EXHAUSTED},
    problems={Outcome.REJECTED, Outcome.EXHAUSTED, Outcome.CONFLICT, Outcome.VALUE_LOST},
)

VERIFY = JobKind(
    name="verify",
    title="Verification report",
    words=Verified,
    meanings={
        Verified.IDENTICAL: "the service has this version with this value",
        Verified.PRESENT: "there; its value was generated, so not compared",
        Verified.DIFFERS: "has another value, or another version is in force",
        Verified.BEHIND: "the service has another version, and not this one",
        Verified.MISSING: "the service has no such secret, or not this version",
        Verified.UNREADABLE: "could not be read, so it is not known",
        Verified.INVALID: "bad manifest line, nothing to compare",
        Verified.PENDING: "the run ended before this was read",
    },
    group=QuotaGroup.READ,
    streaks={Verified.UNREADABLE},
    problems={Verified.UNREADABLE, Verified.DIFFERS, Verified.BEHIND, Verified.MISSING},
    unread=Verified.UNREADABLE,
)

ROLLBACK = JobKind(
    name="rollback",
    title="Rollback report",
    words=Outcome,
    meanings={
        RollbackOutcome.DELETED: "by this ledger's rollbacks",
        RollbackOutcome.GONE: "was not there any more, or scheduled for deletion",
        RollbackOutcome.RESTORED: "the version before is in force again",
        RollbackOutcome.CHANGED: "not surely as this ledger made it, so left alone",
        RollbackOutcome.FAILED: "is as it was, the service did not do it",
        RollbackOutcome.PENDING: "the run ended before this was certain",
    },
    group=QuotaGroup.CREATE,
    takes_definitions=False,
    ledger_of=APPLY.name,
)

JOBS: dict[str, JobKind] = {kind.name: kind for kind in (APPLY, VERIFY, ROLLBACK)}
