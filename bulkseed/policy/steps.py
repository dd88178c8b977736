"""The vocabulary of procedures: what they yield, the answers they are sent, and the ends they return.

A procedure is a generator that decides what happens to one item, and does nothing itself. It yields one of:

- a `Step`, a request to make. It is sent the answer.
- a `Wait`. It is sent None when the time is over.
- a `LedgerStep`. It is sent None when that is on disk.

Whoever drives it closes it to leave its item pending, and reads what it returns.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from bulkseed.model import Created, Fault, NoReply, Outcome, ReadValue, Verified
from bulkseed.policy.moments import CreationTime, Sending, ServiceMoment

OK = 200
"""The HTTP status of every success of the service."""

A_co = TypeVar("A_co", covariant=True)
T = TypeVar("T")


@dataclass(slots=True, frozen=True, eq=False)
class Step(Generic[A_co]):
    """A request to make for an item. It is answered by `A_co`, a `Fault` or a `NoReply`.

    `leaves_doubt`: without an answer it is not known whether the item exists. `repeatable`: during an outage
    the request may be made again and again without asking the procedure.
    """

    name: str
    leaves_doubt: bool = False
    repeatable: bool = True


@dataclass(slots=True, frozen=True)
class Wait:
    """Do nothing for this long."""

    seconds: float


@dataclass(slots=True, frozen=True)
class LedgerStep:
    """Something to put on disk before the procedure goes on."""


@dataclass(slots=True, frozen=True)
class MarkForeign(LedgerStep):
    """The secret is not ours. A later run could not tell, once it has a version of ours."""


@dataclass(slots=True, frozen=True)
class MarkHeld(LedgerStep):
    """The secret is ours, and the service has this version of ours. The doubt about it is over.

    `asked_at`: before the request that found it out; None: it is one that a rollback of ours had deleted,
    with the versions that it had then, and what is in doubt stays so. `created`: when the secret was made, if
    that was found out.
    """

    version_id: str
    asked_at: Sending | None
    created: ServiceMoment | None = None


@dataclass(slots=True, frozen=True)
class DropDoubt(LedgerStep):
    """Another version, which an earlier run may have sent, is not there. `asked_at` as in `MarkHeld`."""

    asked_at: Sending


@dataclass(slots=True, frozen=True)
class ClaimRollback(LedgerStep):
    """From now on the secret may be deleted, or its value before put back.

    `dated` is when the service says that it was created.
    """

    dated: str | None


@dataclass(slots=True, frozen=True)
class Found:
    """A version as read back. `created` is None where the service does not say when it was.

    `version_id` is for comparing; what people read is `told`, as the service may have put the value there.
    `in_force`: it is not said that another version is what programs get.
    `rotated`: the service has rotated this managed secret, and tells the version in force alone.
    """

    version_id: str = field(repr=False)
    same_value: bool
    created: CreationTime | None
    echoes: bool = False
    in_force: bool = True
    rotated: bool = False

    @property
    def told(self) -> str:
        """The version without anything of the value."""
        return "another one" if self.echoes else self.version_id


@dataclass(slots=True, frozen=True)
class Described:
    """When a secret was created, whatever versions it got since; as in `Found`.

    `dated` is the service's own text. `unchanged`: it was never updated since.
    """

    created: CreationTime | None
    dated: str | None = None
    unchanged: bool = False
    to_be_deleted: bool = False


@dataclass(slots=True, frozen=True)
class Counted:
    """How many versions the secret has, and the ids of the first of them.

    `current` is the one in force, if it is among these.
    """

    versions: int
    ids: tuple[str, ...] = ()
    current: str | None = None


@dataclass(slots=True, frozen=True)
class Done:
    """A write other than CreateSecret succeeded. `current`: its version is known to be the one in force.

    `restorable_until`: of a deletion, when the service ends its recovery window, in the service's own words.
    """

    request_id: str | None = None
    current: bool = True
    restorable_until: str | None = None


CREATE: Step[Created] = Step("create", leaves_doubt=True)
READ_VERSION: Step[Found] = Step("read the version that the definition names")
READ_CURRENT: Step[Found] = Step("read the version in force")
DESCRIBE: Step[Described] = Step("describe")
COUNT_VERSIONS: Step[Counted] = Step("count versions")
PUT: Step[Done] = Step("put a new version")
RESTORE: Step[Done] = Step("restore")
READ_SOURCE: Step[ReadValue] = Step("read the value at its source")
PUT_BACK: Step[Done] = Step("put a version back in force", leaves_doubt=True, repeatable=False)
DELETE: Step[Done] = Step("delete", leaves_doubt=True, repeatable=False)

Procedure = Generator[Step[Any] | Wait | LedgerStep, Any, T]
"""A procedure that ends with a `T`."""


class Subject(NamedTuple):
    """What a procedure knows of its definition.

    `foreign`: an earlier run found that the secret is not ours. `generated`: the value was made up for this
    run, so it can only be compared with what this run sent. `lost`: an earlier run may have created it with
    another version, whose value nobody can read any more. `deleted`: when the one of ours was created, as the
    service says it, that a rollback has planned the deletion of, and `deleted_version` the version it had.
    """

    version_id: str
    foreign: bool = False
    generated: bool = False
    lost: bool = False
    deleted: str | None = None
    deleted_version: str | None = None


@dataclass(slots=True)  # not frozen: that would triple what one costs to make, and every secret has one
class Ending:
    """How a definition's procedure ended. `doubt`: an attempt of ours may yet have taken effect.

    `created`: when the secret was created, by the service's clock, if that was read.
    """

    outcome: Outcome | Verified
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    doubt: bool = False
    created: ServiceMoment | None = None


@dataclass(slots=True, frozen=True)
class Aborted:
    """The run must stop: `fault` would hit every later call. The item stays pending."""

    fault: Fault | NoReply
    doubt: bool = False


class GiveUp(Exception):  # noqa: N818  # not an error: it ends a procedure from inside a nested generator
    """Attempts or budget ran out at `answer`. `abort`: every later call would be answered like this."""

    def __init__(self, answer: Fault | NoReply, *, abort: bool) -> None:
        self.answer = answer
        self.abort = abort


def gave_up(given_up: GiveUp, *, doubt: bool) -> Ending | Aborted:
    """Return the end of a definition whose attempts ran out, or that no later call could finish."""
    if given_up.abort:
        return Aborted(given_up.answer, doubt)
    return ended(Outcome.EXHAUSTED, given_up.answer, doubt=doubt)


def answered(
    outcome: Outcome | Verified,
    message: str | None = None,
    *,
    request_id: str | None = None,
    arn: str | None = None,
    created: ServiceMoment | None = None,
) -> Ending:
    """Return an end that a success brought about."""
    return Ending(outcome, message=message, status=OK, request_id=request_id, arn=arn, created=created)


def ended(
    outcome: Outcome | Verified,
    answer: Fault | NoReply | None = None,
    message: str | None = None,
    *,
    doubt: bool = False,
) -> Ending:
    """Return an end that `answer` brought about."""
    if isinstance(answer, Fault):
        return Ending(outcome, answer.code or None, message, answer.status, answer.request_id, doubt=doubt)
    if isinstance(answer, NoReply):
        return Ending(outcome, None, message or answer.reason, doubt=doubt)
    return Ending(outcome, message=message, doubt=doubt)
