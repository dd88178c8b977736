"""Whether what a ledger calls settled is there at the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio

from bulkseed.engine.ask import IN_FLIGHT, Questioner
from bulkseed.errors import BulkseedError
from bulkseed.model import Fault, Row
from bulkseed.wire.actions import describe_secret


async def find_absent(service: Questioner, rows: Iterator[Row], on_absent: Callable[[Row, str], None]) -> int:
    """Describe every row's secret, paced by the read lane; return how many were looked for.

    `on_absent` is called with the row and why it does not count as there.

    Raises:
        LedgerError: the rows cannot be read.
        ServiceError: the service does not answer, or refuses every call.
    """
    looked = 0
    failure: BulkseedError | None = None

    async def look() -> None:
        nonlocal looked, failure
        try:
            for row in rows:  # shared: every worker takes the next one
                why = await _absence(service, row)
                looked += 1
                if why is not None:
                    on_absent(row, why)
        except BulkseedError as error:  # raised below, where it is not one of a group
            failure = failure or error
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(IN_FLIGHT):
            group.start_soon(look)
    if failure is not None:
        raise failure
    return looked


async def _absence(service: Questioner, row: Row) -> str | None:
    assert row.name is not None  # noqa: S101  # settled rows have one
    call = describe_secret.Request(row.name).encode()
    reply = await service.ask(describe_secret.GROUP, call, describe_secret.Reply.read)
    if isinstance(reply, Fault):
        return "not there" if reply.code == "Forbidden.ResourceNotFound" else f"cannot be read ({reply.code})"
    return None if reply.planned_delete_time is None else "in its delete window"
