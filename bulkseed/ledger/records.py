"""What goes into the ledger and comes out of `Ledger.admit`. Times are epoch seconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkseed.model import InvalidLine, Outcome, SecretDefinition
from bulkseed.wire.message import QuotaGroup


class Claim(NamedTuple):
    """A definition that may be sent now: its claim is on disk."""

    definition: SecretDefinition
    row_id: int
    doubt_since: float | None = None  # time of an earlier claim whose fate is not known
    owned: bool = False  # created or adopted by this ledger at some time
    attempts: int = 0  # sent in earlier runs
    theirs: bool = False  # it was there before us, as an earlier run found before updating it


class Settlement(NamedTuple):
    """What became of a claim. `PENDING` gives it back for a later run; its last answer on record stays."""

    row_id: int
    outcome: Outcome
    settled_at: float
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    doubt: bool = False  # an attempt may have had effect without our knowing


class Creation(NamedTuple):
    """The answer that a secret was created: its attempt and its end in one, as nearly all are."""

    row_id: int
    sent_at: float
    latency: float
    request_id: str | None = None
    arn: str | None = None


class AttemptRecord(NamedTuple):
    """One request that was sent. `latency`: seconds until its answer, or its loss (no `status`)."""

    row_id: int
    lane: QuotaGroup
    sent_at: float
    latency: float
    status: int | None = None
    code: str | None = None


@dataclass(slots=True)
class Admission:
    """What a block of manifest entries came to; each entry is counted in exactly one field."""

    to_send: list[Claim] = field(default_factory=list)
    settled: Counter[Outcome] = field(default_factory=Counter)  # by earlier runs
    invalid: list[InvalidLine] = field(default_factory=list)  # as read, and duplicates
    unsent: int = 0  # left pending because no claim was asked for
