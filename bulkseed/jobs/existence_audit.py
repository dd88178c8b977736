"""Whether what a ledger calls settled is there at the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bulkseed.client.operations import question
from bulkseed.engine.ask import IN_FLIGHT, Questioner
from bulkseed.engine.pool import process_all
from bulkseed.model import Fault, Row
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.actions import describe_secret

_DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)


async def find_absent(service: Questioner, rows: Iterator[Row], on_absent: Callable[[Row, str], None]) -> int:
    """Describe every row's secret, paced by the read quota; return how many were looked for.

    `on_absent` is called with the row and why it does not count as there.

    Raises:
        LedgerError: the rows cannot be read.
        ServiceError: the service does not answer, or refuses every call.
    """
    looked = 0

    async def look(row: Row) -> None:
        nonlocal looked
        why = await _absence(service, row)
        looked += 1
        if why is not None:
            on_absent(row, why)

    await process_all(rows, look, IN_FLIGHT)
    return looked


async def _absence(service: Questioner, row: Row) -> str | None:
    reply = await service.ask(_DESCRIBE, describe_secret.Request(row.name or ""))
    if isinstance(reply, Fault):
        absent = classify(reply) is Verdict.NOT_FOUND
        return "not there" if absent else f"cannot be read ({reply.code})"
    return None if reply.planned_delete_time is None else "in its delete window"
