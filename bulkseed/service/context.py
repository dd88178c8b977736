"""What a handler works with: the service's parts, and one request's caller, id and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bulkseed.model import Fault
from bulkseed.service.account import Account
from bulkseed.service.auth import Authority
from bulkseed.service.keys import Keys
from bulkseed.service.quota import Quota
from bulkseed.service.store import Secret, Store
from bulkseed.service.vault import Vault
from bulkseed.wire.fault import fault
from bulkseed.wire.signing import Caller


@dataclass(slots=True)
class Service:
    """The parts of the service, put together once."""

    account: Account
    authority: Authority
    quota: Quota
    store: Store
    vault: Vault
    keys: Keys
    secret_quota: int | None

    def rollback(self) -> None:
        """Forget what is not on disk, also in memory."""
        self.store.rollback()
        self.vault.forget()
        self.keys.forget()


@dataclass(slots=True)
class Context:
    """One request: who asks, with which parameters, when, and under which request id."""

    service: Service
    caller: Caller
    parameters: Mapping[str, str]
    request_id: str
    now: float

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
