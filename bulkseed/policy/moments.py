"""Moments that carry whose clock they are of, so that a comparison of two clocks does not type-check.

Rules that live here: what may be older than an attempt, what surely is, and by which clock. A creation is
compared by the service's clock alone where it was known when the attempt was made; by ours where it was not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MARGIN = 2.0
"""Seconds by which two times of the service's may differ without saying anything: a second that whole seconds
hide, and one for machines of the service whose clocks differ, and for a way that took long."""


AGREEMENT = 1.0
"""Seconds by which two clocks may part in a run, or between two, without one of them having been set."""


class Era(NamedTuple):
    """What a run's times count from: two runs with the same `boot` count by one clock, which is never set.

    `offset`: seconds that were added to that clock. `boot` is None where the system does not name its boots.
    """

    boot: str | None
    offset: float

    def since(self, earlier: Era) -> float | None:
        """Return the seconds by which our times of an earlier run are to be moved, to be those of this one.

        None: they cannot be compared, as another machine counted, or this one was started again. Where boots
        have no names, a wall clock that was set cannot be told from that.
        """
        moved = self.offset - earlier.offset
        named = self.boot is not None and earlier.boot is not None
        same = self.boot == earlier.boot if named else abs(moved) <= AGREEMENT
        return moved if same else None


@dataclass(slots=True, frozen=True)
class ServiceMoment:
    """A moment by the service's clock, in epoch seconds."""

    seconds: float

    def __lt__(self, other: ServiceMoment) -> bool:
        """Tell whether it is earlier."""
        return self.seconds < other.seconds

    def __add__(self, seconds: float) -> ServiceMoment:
        """Return the moment that is so much later."""
        return ServiceMoment(self.seconds + seconds)


@dataclass(slots=True, frozen=True)
class OurMoment:
    """A moment by both clocks of this machine, in epoch seconds.

    `steady`: by the one that is never set, `wall`: by the one that people and NTP set. A machine that was
    stopped and a wall clock that was set each spoil one of them.
    """

    steady: float
    wall: float

    def __lt__(self, other: OurMoment) -> bool:
        """Tell whether it is earlier by either clock: where they do not agree, nothing is sure."""
        return self.steady < other.steady or self.wall < other.wall

    def __add__(self, seconds: float) -> OurMoment:
        """Return the moment that is so much later."""
        return OurMoment(self.steady + seconds, self.wall + seconds)


@dataclass(slots=True, frozen=True)
class Sending:
    """When something was sent: by our clocks, and the earliest that it can have been by the service's.

    `service` is None if nothing was known of the service's clock by then.
    """

    ours: OurMoment
    service: ServiceMoment | None = None

    @property
    def dated(self) -> bool:
        """Whether any clock tells when it was."""
        return self.service is not None or self.ours.steady < math.inf


@dataclass(slots=True, frozen=True)
class CreationTime:
    """When a secret or version was created: the service's own time, in whole seconds, and what it is by ours.

    `latest` and `earliest` are the latest and earliest that it can have been by our clocks, as far as the
    service's is known now.
    """

    service: ServiceMoment
    latest: OurMoment
    earliest: OurMoment

    @property
    def dated(self) -> bool:
        """Whether anything tells what it is by our clocks."""
        return self.latest.steady > -math.inf

    def before(self, sending: Sending) -> bool:
        """Tell whether this may be older than what was sent."""
        if sending.service is not None:
            return self.service + 1.0 < sending.service
        return self.latest < sending.ours

    def surely_before(self, sending: Sending) -> bool:
        """Tell whether it is older beyond doubt: by far, and by the service's own clock."""
        return sending.service is not None and self.service + (1.0 + MARGIN) < sending.service


def of_earlier_run(seconds: float, service: float | None = None, *, dated: bool = True) -> Sending:
    """Return a moment that an earlier run has noted by a clock of ours, and perhaps by the service's.

    `dated`: that clock has gone on since. If not, and nothing is known of the service's, nothing that is
    there is younger.
    """
    steady = seconds if dated else math.inf
    ours = OurMoment(steady, -math.inf)  # the wall clock may have been set since this run began
    return Sending(ours, None if service is None else ServiceMoment(service))
