"""Which names the service has: by pages of the account, or name by name, whichever takes fewer calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from bulkseed.client.operations import question
from bulkseed.engine.ask import IN_FLIGHT, Questioner
from bulkseed.engine.pool import process_all
from bulkseed.errors import ServiceError
from bulkseed.ledger.settled_names import SettledNames
from bulkseed.model import Fault
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.actions import describe_secret, list_secrets

PAGE = 100
FILTER_VALUES = 10
"""The largest page of ListSecrets, and the most names of one filter (API metadata)."""

AT_A_TIME = 8
"""Questions in flight: enough for their quota at a fifth of a second each."""

_DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)
_LIST = question(list_secrets.GROUP, list_secrets.Request, list_secrets.Reply.read)


class Names(Protocol):
    """Names that are looked up, and what was found."""

    def names(self, size: int) -> Iterator[list[str]]:
        """Yield them, `size` at a time."""
        ...

    def saw(self, names: Sequence[str], *, deleted: bool) -> None:
        """Note that the service has these, perhaps among others, or has them in their delete window."""
        ...


async def look_up_gone(
    service: Questioner, left: SettledNames, *, scheduled: bool = False
) -> list[str] | Fault:
    """Return the settled names of a ledger that the service does not have any more, or its refusal.

    `left` begins as all of them. `scheduled`: what is scheduled for deletion counts as gone.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    listed = await look_up_names(service, left, left.count())
    return (
        listed if isinstance(listed, Fault) else await confirm_gone(service, left.all(), scheduled=scheduled)
    )


async def confirm_gone(service: Questioner, names: Iterable[str], *, scheduled: bool = False) -> list[str]:
    """Return those of `names`, which no list had, that the service says it does not have.

    A list proves nothing: it shifts while others delete, and its count may be wrong. `scheduled`: so counts
    what is scheduled for deletion.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    gone: list[str] = []

    async def look(name: str) -> None:
        reply = await service.ask(_DESCRIBE, describe_secret.Request(name))
        if isinstance(reply, Fault):
            absent = classify(reply) is Verdict.NOT_FOUND
        else:
            absent = scheduled and reply.planned_delete_time is not None
        if absent:
            gone.append(name)

    await process_all(iter(names), look, IN_FLIGHT)
    return sorted(gone)


@dataclass(slots=True)
class LookedUp:
    """Whether every list had as many secrets as it said: not where it shifted meanwhile, or is wrong."""

    adds_up: bool = True


async def look_up_names(service: Questioner, asked_for: Names, count: int) -> Fault | LookedUp:
    """Note which of `count` names the service has, or return its refusal.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    asked = await _page(service, 1)
    if isinstance(asked, Fault):
        return asked
    pages, lookups = -(-asked.total_count // PAGE), -(-count // FILTER_VALUES)
    questions: Iterator[tuple[int, list[str] | None]]
    whole, listed = _Sum(), LookedUp()
    if pages - 1 <= lookups:
        _note(asked_for, asked, whole)
        questions = ((number, None) for number in range(2, pages + 1))
    else:
        questions = ((1, names) for names in asked_for.names(FILTER_VALUES))

    async def note(question: tuple[int, list[str] | None]) -> None:
        found = whole if question[1] is None else _Sum()
        async for page in _pages(service, *question):
            _note(asked_for, page, found)
        if question[1] is not None:
            listed.adds_up = listed.adds_up and found.adds_up

    await process_all(questions, note, AT_A_TIME)
    listed.adds_up = listed.adds_up and whole.adds_up
    return listed


@dataclass(slots=True)
class _Sum:
    """How many secrets the pages of a list had, and how many they said that there are."""

    secrets: int = 0
    told: int = 0

    @property
    def adds_up(self) -> bool:
        return self.secrets == self.told


async def _pages(
    service: Questioner, number: int, names: Sequence[str] | None
) -> AsyncIterator[list_secrets.Reply]:
    """Yield one page of the account, or all pages that a filter for `names` finds."""
    while True:
        page = await _page(service, number, names)
        if isinstance(page, Fault):
            raise ServiceError(f"{page.code} in the middle of the list of secrets")
        yield page
        if names is None or number * PAGE >= page.total_count:
            return
        number += 1


async def _page(
    service: Questioner, number: int, names: Sequence[str] | None = None
) -> list_secrets.Reply | Fault:
    filters = None if names is None else orjson.dumps([{"Key": "SecretName", "Values": names}]).decode()
    request = list_secrets.Request(filters=filters, page_number=number, page_size=PAGE)
    return await service.ask(_LIST, request)


def _note(asked_for: Names, page: list_secrets.Reply, found: _Sum) -> None:
    found.secrets += len(page.secret_list)
    found.told = max(found.told, page.total_count)
    for deleted in (False, True):
        names = [s.secret_name for s in page.secret_list if (s.planned_delete_time is not None) is deleted]
        asked_for.saw(names, deleted=deleted)
