"""How a run is run, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.ledger import AttemptRecord
from bulkseed.model import Row
from bulkseed.policy.options import Rules


@dataclass(slots=True, frozen=True)
class RunOptions:
    """The choices for a run.

    Attributes:
        qps: the ceiling for attempts in the job's quota group in any one-second window; 0 for none.
        workers: how many items are in flight at most; None lets rate and latency decide.
        rules: retries, and what an existing secret means.
        stop_after: this many equal failures in a row stop the run.
        limit: send at most this many definitions.
        account_for_rest: after a stop, read what is left of the manifest and count it as pending; if not, not
            even a read that is under way is waited for.
        afresh: forget what earlier runs have found, when the run begins.
        gone: settled names that the service does not have any more; they are taken up again.
    """

    qps: float = 10.0
    workers: int | None = None
    rules: Rules = field(default_factory=Rules)
    stop_after: int = 50
    limit: int | None = None
    account_for_rest: bool = True
    afresh: bool = False
    gone: Collection[str] = ()


class SourceRead(NamedTuple):
    """A read of one value at its source, as it ended: began at (epoch seconds), and took (seconds).

    `code`: what it was refused with; None: it was read, or there was no answer (`answered` is False).
    """

    began_at: float
    latency: float
    answered: bool
    code: str | None


@dataclass(slots=True, frozen=True)
class RunHooks:
    """Who hears of a run while it goes on. Keep callbacks short: they run on the event loop.

    Attributes:
        on_row: called with every row as it is decided.
        observers: each is called with every attempt when it has ended.
        stats: counters to watch.
        stop: to ask the run to stop. Create it inside the event loop.
        source_observers: each is called with every read of a value at its source when it has ended.
    """

    on_row: Callable[[Row], None] | None = None
    observers: Sequence[Callable[[AttemptRecord], None]] = ()
    stats: Stats = field(default_factory=Stats)
    stop: Stop = field(default_factory=Stop)
    source_observers: Sequence[Callable[[SourceRead], None]] = ()
