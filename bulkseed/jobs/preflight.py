"""What the service can say before a run: what exists, what room is left, whether keys can be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from bulkseed.client.operations import question
from bulkseed.engine.ask import Questioner
from bulkseed.jobs.existing_names import confirm_gone, look_up_names
from bulkseed.ledger.preview import Preview
from bulkseed.model import Fault
from bulkseed.policy.advice import advice
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.actions import describe_key, get_kms_instance_quota_infos, list_secrets

_ROOM = question(
    get_kms_instance_quota_infos.GROUP,
    get_kms_instance_quota_infos.Request,
    get_kms_instance_quota_infos.Reply.read,
)
_KEY = question(describe_key.GROUP, describe_key.Request, describe_key.Reply.read)

_REFUSED_KEYS = {
    Verdict.NOT_FOUND: "does not exist",
    Verdict.INVALID: "is not the id of a key",
}
_STATES = {
    "Disabled": "is disabled",
    "PendingDeletion": "is scheduled for deletion",
    "PendingImport": "has no material yet",
}


EXAMPLES = 5
"""How many names are given of those that are gone."""


@dataclass(slots=True, frozen=True)
class KeyCheck:
    """An encryption key that definitions name; `usable` is None when it was not told."""

    id: str
    usable: bool | None
    reason: str | None = None


@dataclass(slots=True)
class Preflight:
    """What was found out. None: it was not told, and `unknown` says why.

    `changed` of the existing ones are ours, with another VersionId. `at_least`: there may be more existing
    ones, as the service's lists did not add up.
    `gone`: settled ones that the service does not have any more; `gone_names` are the first of them.
    """

    existing: int | None = None
    changed: int = 0
    in_delete_window: int | None = None
    at_least: bool = False
    gone: int = 0
    gone_names: list[str] = field(default_factory=list)
    quota: int | None = None
    used: int | None = None
    keys: list[KeyCheck] = field(default_factory=list)
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
            "at_least": self.at_least,
            "gone": self.gone,
            "gone_names": self.gone_names,
            "quota": None
            if self.quota is None
            else {"total": self.quota, "used": self.used, "left": self.left},
            "keys": [asdict(key) for key in self.keys],
            "clock_ahead_s": self.clock_ahead_s,
            "unknown": self.unknown,
        }


async def check(
    service: Questioner,
    keys: Iterable[str],
    instances: Collection[str | None],
    preview: Preview,
    count: int,
) -> Preflight:
    """Ask everything.

    Args:
        service: whom to ask.
        keys: the EncryptionKeyIds that the definitions name.
        instances: the KMS instances they go to; None: the account's own.
        preview: the names that the ledger has as settled, and those to be created.
        count: how many they are.

    Raises:
        ServiceError: the service does not answer, or refuses every call.
    """
    found = Preflight()
    listed = await look_up_names(service, preview, count)
    if not isinstance(listed, Fault):
        found.at_least = not listed.adds_up
        found.existing, found.in_delete_window = preview.seen()
        found.changed = preview.changed_seen()
        gone = await confirm_gone(service, preview.gone())
        found.gone, found.gone_names = len(gone), gone[:EXAMPLES]
    else:
        found.unknown.append(not_told("which names exist", listed, list_secrets.ACTION))
    if len(instances) > 1:
        found.unknown.append(f"how much room is left: the definitions go to {len(instances)} KMS instances")
    else:
        await _room(service, found, next(iter(instances), None))
    for key in keys:
        found.keys.append(await _key(service, found, key))
    if service.time.ahead is not None:
        found.clock_ahead_s = round(service.time.ahead, 1)
    return found


async def _room(service: Questioner, found: Preflight, instance: str | None) -> None:
    reply = await service.ask(_ROOM, get_kms_instance_quota_infos.Request(instance, "secret"))
    if isinstance(reply, Fault):
        action = get_kms_instance_quota_infos.ACTION
        found.unknown.append(not_told("how much room is left", reply, action))
        return
    for info in reply.kms_instance_quota_infos:
        if info.resource_type == "secret":
            found.quota, found.used = info.resource_quota, info.used_quantity


async def _key(service: Questioner, found: Preflight, key: str) -> KeyCheck:
    reply = await service.ask(_KEY, describe_key.Request(key))
    if isinstance(reply, Fault):
        reason = _REFUSED_KEYS.get(classify(reply))
        if reason is None:
            found.unknown.append(not_told(f"whether key {key} can be used", reply, describe_key.ACTION))
        return KeyCheck(key, None if reason is None else False, reason or reply.code)
    about = reply.key_metadata
    if about.key_state != "Enabled":
        return KeyCheck(key, False, _STATES.get(about.key_state or "", "is not enabled"))
    if about.key_usage not in {None, "ENCRYPT/DECRYPT"} or (about.key_spec or "").startswith(("RSA", "EC")):
        return KeyCheck(key, False, "is not a symmetric key for encryption")
    return KeyCheck(key, True)


def not_told(question: str, fault: Fault, action: str) -> str:
    """Say what the service refused to tell, and what helps."""
    told = f"grant kms:{action}" if classify(fault) is Verdict.NO_PERMISSION else advice(fault.code).meaning
    return f"{question} ({fault.code}): {told}"
