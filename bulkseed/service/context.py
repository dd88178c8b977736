"""What a handler works with: the service's parts, and one request's caller, id and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from bulkseed.model import Fault
from bulkseed.service.access.account import Account
from bulkseed.service.access.policies import Policies
from bulkseed.service.access.quota import Quota
from bulkseed.service.access.signatures import Authority
from bulkseed.service.rotation import Rotation
from bulkseed.service.storage.envelope import Vault
from bulkseed.service.storage.keys import Keys
from bulkseed.service.storage.store import Secret, Store
from bulkseed.wire.fault import fault
from bulkseed.wire.signing.verify import Caller


@dataclass(slots=True)
class Service:
    """The parts of the service, put together once."""

    account: Account
    authority: Authority
    quota: Quota
    store: Store
    vault: Vault
    keys: Keys
    rotation: Rotation
    policies: Policies
    secret_quota: int | None

    def rollback(self) -> None:
        """Forget what is not on disk, also in memory."""
        self.store.rollback()
        self.vault.forget()
        self.keys.forget()
        self.rotation.forget()


@dataclass(slots=True)
class Context:
    """One request: who asks, with which parameters, when, and under which request id."""

    service: Service
    caller: Caller
    parameters: Mapping[str, str]
    request_id: str
    now: float

    def may(self, action: str, *, secret: str | None = None, key_id: str | None = None) -> bool:
        """Tell whether the caller may do `action` on a secret, on a key, or on the account as a whole."""
        account = self.service.account
        if secret is not None:
            resource = account.secret_arn(account.secret_name(secret))
        elif key_id is not None:
            resource = account.key_arn(account.key_id(key_id))
        else:
            resource = f"acs:kms:{account.region}:{account.id}:*"
        return self.service.policies.allow(self.caller.access_key_id, f"kms:{action}", resource)

    def read_tags(self, text: str | None) -> dict[str, str]:
        """Return the tags of a JSON array that was checked."""
        return {tag["TagKey"]: tag["TagValue"] for tag in orjson.loads(text)} if text else {}

    def find(self, name_or_arn: str) -> Secret | Fault:
        """Return a secret, also one in its delete window."""
        secret = self.service.store.secret(self.service.account.secret_name(name_or_arn))
        return fault("Forbidden.ResourceNotFound") if secret is None else secret

    def find_live(self, name_or_arn: str) -> Secret | Fault:
        """Return a secret that is not planned to be deleted."""
        secret = self.find(name_or_arn)
        if isinstance(secret, Secret) and secret.delete_at is not None:
            return fault("Rejected.ResourceInDeleteWindow")
        return secret
