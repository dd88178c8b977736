"""A claim on its way through a run."""

from __future__ import annotations

from bulkseed.client.operations import Operation
from bulkseed.ledger import Claim


class WorkItem:
    """A claim on its way, with what its attempts have left so far.

    `sent_at` and `latency` are those of the last attempt, in seconds.
    """

    __slots__ = ("attempts", "claim", "first_sent_at", "last", "latency", "sent_at")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.attempts = 0
        self.first_sent_at: float | None = None
        self.last: Operation | None = None
        self.sent_at = 0.0
        self.latency = 0.0
