"""An item on its way through a run, and what is known of its attempts so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bulkseed.policy.moments import OurMoment, Sending, ServiceMoment

if TYPE_CHECKING:
    from bulkseed.client.operations import Operation

Item_co = TypeVar("Item_co", covariant=True)


class WorkItem(Generic[Item_co]):
    """An item, the ledger's id of its row (0: it has none), and its attempts.

    `first_sent_at` and `sent_at` are epoch seconds, `latency` is in seconds. `sent_at`, `latency` and `last`
    are of the last attempt; `repeated` says that it repeated the operation of the one before. `wall` and
    `ahead` are what the wall clock said before it was sent, and what was known of the service's clock.
    """

    __slots__ = (
        "ahead",
        "attempts",
        "first_sent_at",
        "item",
        "last",
        "latency",
        "repeated",
        "row_id",
        "sent_at",
        "wall",
    )

    def __init__(self, item: Item_co, row_id: int = 0) -> None:
        self.item = item
        self.row_id = row_id
        self.attempts = 0
        self.first_sent_at: float | None = None
        self.last: Operation[Any, Any] | None = None
        self.repeated = False
        self.sent_at = 0.0
        self.latency = 0.0
        self.wall = 0.0
        self.ahead: float | None = None

    @property
    def sending(self) -> Sending:
        """When the last attempt was sent."""
        service = None if self.ahead is None else ServiceMoment(self.sent_at + self.ahead)
        return Sending(OurMoment(self.sent_at, self.wall), service)
