"""The vocabulary of procedures: the steps they yield, the answers they are sent, the ends they return."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto

from bulkseed.model import Created, Fault, NoReply, Outcome


class Step(Enum):
    """A request to make for this definition."""

    CREATE = auto()
    READ_VERSION = auto()  # the version that the definition names
    READ_CURRENT = auto()  # the version in force
    DESCRIBE = auto()  # when the secret was created
    COUNT_VERSIONS = auto()
    PUT = auto()
    RESTORE = auto()
    DELETE = auto()


@dataclass(slots=True, frozen=True)
class Wait:
    """Do nothing for this long."""

    seconds: float


@dataclass(slots=True, frozen=True)
class Disown:
    """Put on disk that the secret is not ours. A later run could not tell, once it has a version of ours."""


@dataclass(slots=True, frozen=True)
class Found:
    """A version as read back. `created_at` is in our clock's epoch seconds, the latest it can have been."""

    version_id: str
    same_value: bool
    created_at: float | None


@dataclass(slots=True, frozen=True)
class Described:
    """When a secret was created, whatever versions it got since; as in `Found`.

    `dated` is the service's own text, `not_before` the earliest it can have been by our clock. `unchanged`:
    it was never updated since.
    """

    created_at: float | None
    dated: str | None = None
    not_before: float | None = None
    unchanged: bool = False
    to_be_deleted: bool = False


@dataclass(slots=True, frozen=True)
class Counted:
    """How many versions the secret has, and the ids of the first of them."""

    versions: int
    ids: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Done:
    """A write other than CreateSecret succeeded. `current`: its version is known to be the one in force."""

    request_id: str | None = None
    current: bool = True


@dataclass(slots=True)  # one for every secret: freezing would triple what it costs to make
class Settled:
    """How a definition's journey ended. `doubt`: an attempt of ours may yet have taken effect."""

    outcome: Outcome
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    doubt: bool = False


@dataclass(slots=True, frozen=True)
class Aborted:
    """The run must stop: `fault` would hit every later call. The definition stays pending."""

    fault: Fault | NoReply
    doubt: bool


Answer = Created | Found | Described | Counted | Done | Fault | NoReply


Journey = Generator[Step | Wait | Disown, Answer | None, Settled | Aborted]


class GiveUp(Exception):  # noqa: N818  # not an error: it ends the journey from inside a nested generator
    """Ends a journey early, with `end`."""

    def __init__(self, end: Settled | Aborted) -> None:
        self.end = end


def ended(
    outcome: Outcome,
    answer: Fault | NoReply | None = None,
    message: str | None = None,
    *,
    doubt: bool = False,
) -> Settled:
    """Return an end that `answer` brought about."""
    if isinstance(answer, Fault):
        return Settled(outcome, answer.code or None, message, answer.status, answer.request_id, doubt=doubt)
    if isinstance(answer, NoReply):
        return Settled(outcome, None, message or answer.reason, doubt=doubt)
    return Settled(outcome, message=message, doubt=doubt)
