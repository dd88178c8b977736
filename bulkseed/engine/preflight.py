"""What the service can say before a run: what exists, what room is left, whether keys can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from anyio import create_task_group

from bulkseed.engine.ask import Questioner
from bulkseed.errors import BulkseedError, ServiceError
from bulkseed.ledger.preview import Preview
from bulkseed.model import Fault
from bulkseed.wire.actions import describe_key, get_kms_instance_quota_infos, list_secrets

PAGE = 100
FILTER_VALUES = 10
"""The largest page of ListSecrets, and the most names of one filter (API metadata)."""

AT_A_TIME = 8
"""Questions in flight: enough for the lane's quota at a fifth of a second each."""

USABLE_STATE = "Enabled"


@dataclass(slots=True)
class Preflight:
    """What was found out. None: it was not told, and `unknown` says why."""

    existing: int | None = None
    in_delete_window: int | None = None
    quota: int | None = None
    used: int | None = None
    unusable_keys: dict[str, str] = field(default_factory=dict)
    keys: int = 0
    clock_ahead_s: float | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def left(self) -> int | None:
        """How many secrets there is room for."""
        return None if self.quota is None or self.used is None else max(0, self.quota - self.used)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``plan --online --output json`` prints under ``online``."""
        return {
            "existing": self.existing,
            "in_delete_window": self.in_delete_window,
            "quota": None
            if self.quota is None
            else {"total": self.quota, "used": self.used, "left": self.left},
            "keys": {"checked": self.keys, "unusable": self.unusable_keys},
            "clock_ahead_s": self.clock_ahead_s,
            "unknown": self.unknown,
        }


async def look(
    service: Questioner, keys: Iterable[str], instance: str | None, preview: Preview, to_send: int
) -> Preflight:
    """Ask everything.

    Args:
        service: whom to ask.
        keys: the EncryptionKeyIds that the definitions name.
        instance: the KMS instance they go to, if all go to one.
        preview: the names that are to be created.
        to_send: how many they are.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    found = Preflight()
    await _names(service, found, preview, to_send)
    await _room(service, found, instance)
    for key in keys:
        found.keys += 1
        await _key(service, found, key)
    if service.time.ahead is not None:
        found.clock_ahead_s = round(service.time.ahead, 1)
    return found


async def _names(service: Questioner, found: Preflight, preview: Preview, to_send: int) -> None:
    """Look through all pages of the account, or ask for our names, whichever takes fewer calls."""
    asked = await _page(service, 1)
    if isinstance(asked, Fault):
        found.unknown.append(f"which names exist ({asked.code}): grant kms:ListSecrets")
        return
    pages, lookups = -(-asked.total_count // PAGE), -(-to_send // FILTER_VALUES)
    tally = Counter[bool]()  # planned to be deleted -> how many of our names
    questions: Iterator[tuple[int, list[str] | None]]
    if pages - 1 <= lookups:
        _tally(preview, asked, tally)
        questions = ((number, None) for number in range(2, pages + 1))
    else:
        questions = ((1, names) for names in preview.names_to_send(FILTER_VALUES))

    failures: list[BulkseedError] = []

    async def ask_on() -> None:
        try:
            for number, names in questions:
                async for page in _pages(service, number, names):
                    _tally(preview, page, tally, names)
        except BulkseedError as failure:
            failures.append(failure)
            group.cancel_scope.cancel()

    async with create_task_group() as group:
        for _ in range(AT_A_TIME):
            group.start_soon(ask_on)
    if failures:
        raise failures[0]
    found.existing, found.in_delete_window = tally[False], tally[True]


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
    return await service.ask(list_secrets.LANE, call, list_secrets.Reply.read)


def _tally(
    preview: Preview, reply: list_secrets.Reply, tally: Counter[bool], asked: Sequence[str] | None = None
) -> None:
    """Count our names on a page; of those that were asked for, as a filter may let others through."""
    for planned in (False, True):
        names = [s.secret_name for s in reply.secret_list if (s.planned_delete_time is not None) is planned]
        tally[planned] += len(set(names) & set(asked)) if asked else preview.to_send_among(names)


async def _room(service: Questioner, found: Preflight, instance: str | None) -> None:
    call = get_kms_instance_quota_infos.Request(instance, "secret").encode()
    reply = await service.ask(
        get_kms_instance_quota_infos.LANE, call, get_kms_instance_quota_infos.Reply.read
    )
    if isinstance(reply, Fault):
        found.unknown.append(f"how much room is left ({reply.code}): grant kms:GetKmsInstanceQuotaInfos")
        return
    for info in reply.kms_instance_quota_infos:
        if info.resource_type == "secret":
            found.quota, found.used = info.resource_quota, info.used_quantity


async def _key(service: Questioner, found: Preflight, key: str) -> None:
    reply = await service.ask(describe_key.LANE, describe_key.Request(key).encode(), describe_key.Reply.read)
    if isinstance(reply, Fault):
        found.unusable_keys[key] = reply.code
        return
    about = reply.key_metadata
    if about.key_state != USABLE_STATE:
        found.unusable_keys[key] = f"is {about.key_state}"
    elif about.key_usage not in {None, "ENCRYPT/DECRYPT"} or (about.key_spec or "").startswith(("RSA", "EC")):
        found.unusable_keys[key] = "is not a symmetric key for encryption"
