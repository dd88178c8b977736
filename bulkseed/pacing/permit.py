"""The right to send one request."""

from __future__ import annotations


class Permit:
    """The right to send one request.

    `sent_at` is when it was written, on its pacer's clock; None: it was not.
    """

    __slots__ = ("placed_at", "sent_at")

    def __init__(self) -> None:
        self.sent_at: float | None = None
        self.placed_at: float  # owned by `SlidingWindow`, which sets it at the write
