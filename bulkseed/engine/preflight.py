"""What the service can say before a run: what exists, what room is left, whether keys can be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bulkseed.engine.ask import Questioner
from bulkseed.model import Fault
from bulkseed.wire.actions import describe_key, get_kms_instance_quota_infos, list_secrets

PAGE = 100
"""The largest page of ListSecrets (API metadata)."""

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
    service: Questioner, keys: Iterable[str], instance: str | None, is_ours: Callable[[list[str]], int]
) -> Preflight:
    """Ask everything.

    Args:
        service: whom to ask.
        keys: the EncryptionKeyIds that the definitions name.
        instance: the KMS instance they go to, if all go to one.
        is_ours: how many of these names are among those to be created.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    found = Preflight()
    await _names(service, found, is_ours)
    await _room(service, found, instance)
    for key in keys:
        found.keys += 1
        await _key(service, found, key)
    if service.time.ahead is not None:
        found.clock_ahead_s = round(service.time.ahead, 1)
    return found


async def _names(service: Questioner, found: Preflight, is_ours: Callable[[list[str]], int]) -> None:
    there = deleted = page = 0
    while True:
        page += 1
        call = list_secrets.Request(page_number=page, page_size=PAGE).encode()
        reply = await service.ask(list_secrets.LANE, call, list_secrets.Reply.read)
        if isinstance(reply, Fault):
            found.unknown.append(f"which names exist ({reply.code}): grant kms:ListSecrets")
            return
        names = {secret.secret_name: secret.planned_delete_time for secret in reply.secret_list}
        there += is_ours([name for name, planned in names.items() if planned is None])
        deleted += is_ours([name for name, planned in names.items() if planned is not None])
        if page * PAGE >= reply.total_count or not names:
            found.existing, found.in_delete_window = there, deleted
            return


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
