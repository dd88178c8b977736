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


async def find_absent(
    service: Questioner, rows: Iterator[Row], on_absent: Callable[[Row, str, bool], None]
) -> int:
    """Describe every row's secret, paced by the read quota; return how many were looked for.

    `on_absent` is called with the row, why it does not count as there, and whether that is known: what may
    not be looked at is not known to be absent.

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
            on_absent(row, *why)

    await process_all(rows, look, IN_FLIGHT)
    return looked


async def _absence(service: Questioner, row: Row) -> tuple[str, bool] | None:
    reply = await service.ask(_DESCRIBE, describe_secret.Request(row.name or ""))
    if isinstance(reply, Fault):
        verdict = classify(reply)
        if verdict is Verdict.NOT_FOUND:
            return "not there", True
        grant = f": grant kms:{describe_secret.ACTION}" if verdict is Verdict.NO_PERMISSION else ""
        return f"cannot be read ({reply.code}){grant}", False
    return None if reply.planned_delete_time is None else ("in its delete window", True)
