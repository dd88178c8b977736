"""Which names the service has: by pages of the account, or name by name, whichever takes fewer calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import orjson
from anyio import create_task_group

from bulkseed.engine.ask import Questioner
from bulkseed.errors import BulkseedError, ServiceError
from bulkseed.ledger.preview import Preview
from bulkseed.model import Fault
from bulkseed.wire.actions import list_secrets

PAGE = 100
FILTER_VALUES = 10
"""The largest page of ListSecrets, and the most names of one filter (API metadata)."""

AT_A_TIME = 8
"""Questions in flight: enough for the lane's quota at a fifth of a second each."""


async def look_up_names(service: Questioner, preview: Preview, to_send: int) -> Fault | None:
    """Note in `preview` which of its `to_send` names to be sent the service has, or return its refusal.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    asked = await _page(service, 1)
    if isinstance(asked, Fault):
        return asked
    pages, lookups = -(-asked.total_count // PAGE), -(-to_send // FILTER_VALUES)
    questions: Iterator[tuple[int, list[str] | None]]
    if pages - 1 <= lookups:
        _note(preview, asked)
        questions = ((number, None) for number in range(2, pages + 1))
    else:
        questions = ((1, names) for names in preview.names_to_send(FILTER_VALUES))

    failures: list[BulkseedError] = []

    async def ask_on() -> None:
        try:
            for number, names in questions:
                async for page in _pages(service, number, names):
                    _note(preview, page)
        except BulkseedError as failure:
            failures.append(failure)
            group.cancel_scope.cancel()

    async with create_task_group() as group:
        for _ in range(AT_A_TIME):
            group.start_soon(ask_on)
    if failures:
        raise failures[0]
    return None


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
    call = list_secrets.Request(filters=filters, page_number=number, page_size=PAGE).encode()
    return await service.ask(list_secrets.GROUP, call, list_secrets.Reply.read)


def _note(preview: Preview, page: list_secrets.Reply) -> None:
    for deleted in (False, True):
        names = [s.secret_name for s in page.secret_list if (s.planned_delete_time is not None) is deleted]
        preview.saw(names, deleted=deleted)
