"""What goes into the ledger and comes out of `LedgerPort.admit`. Times are epoch seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkseed.model import InvalidLine, Outcome, QuotaGroup, SecretDefinition, Verified


class TakeUp(NamedTuple):
    """Which settled rows a run takes up again.

    `follow`: a secret of ours whose VersionId changed; if not, it is marked as behind. `reopen`: these
    outcomes of other people's secrets, unless the run that took them up last wanted the same. `gone`: names
    that the service does not have any more, as new.
    """

    follow: bool = True
    reopen: Collection[Outcome] = ()
    gone: Collection[str] = ()


class Proof(NamedTuple):
    """What tells whether credentials are of a ledger's account: names of secrets of ours in it."""

    account: str
    names: list[str]


class Claim(NamedTuple):
    """A definition that may be sent now: its claim is on disk. The defaults are those of a new name.

    `doubt_since`: the time of an earlier claim whose fate is not known; `doubt_version` is the version of
    that claim where the definition has another one by now. `foreign`: it was there before us, as an earlier
    run found before updating it. `held`: the secret is ours, and the service is known to have had this
    version of it in force. `service_time`: when a secret of ours was created, by the service's clock.
    `doubt_service`: `doubt_since` by the service's clock, as early as it can have been, if that is known.
    `dated`: `doubt_since` is by the clock that this run's times count by, so that they may be compared.
    `deleted`: the CreateTime, as the service writes it, of a secret of ours that a rollback deleted, and
    `deleted_version` the version that it had.
    """

    definition: SecretDefinition
    row_id: int
    doubt_since: float | None = None
    foreign: bool = False
    held: str | None = None
    doubt_version: str | None = None
    service_time: float | None = None
    deleted: str | None = None
    doubt_service: float | None = None
    dated: bool = True
    deleted_version: str | None = None


class Settlement(NamedTuple):
    """What became of a claim. `PENDING` gives it back for a later run; its last answer on record stays.

    `service_time` is when the secret was created, by the service's clock, if that was read.
    """

    row_id: int
    outcome: Outcome | Verified
    settled_at: float
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    doubt: bool = False  # an attempt may have had effect without our knowing
    service_time: float | None = None


class Creation(NamedTuple):
    """The answer that a secret was created: its attempt and its end in one, as nearly all are.

    `service_time` is the Date of the answer, by the service's clock.
    """

    row_id: int
    sent_at: float
    latency: float
    request_id: str | None = None
    arn: str | None = None
    service_time: float | None = None


class AttemptRecord(NamedTuple):
    """One request that was sent. `latency`: seconds until its answer, or its loss (no `status`)."""

    row_id: int
    group: QuotaGroup
    sent_at: float
    latency: float
    status: int | None = None
    code: str | None = None


@dataclass(slots=True)
class Admission:
    """What a block of manifest entries came to; each entry is counted in exactly one field."""

    to_send: list[Claim] = field(default_factory=list)
    settled: Counter[Outcome | Verified] = field(default_factory=Counter)  # by earlier runs
    invalid: list[InvalidLine] = field(default_factory=list)  # as read, and duplicates
    unsent: int = 0  # left pending because no claim was asked for
