"""What a handler works with: the service's parts, and one request's caller, id and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bulkseed.model import Fault
from bulkseed.service.access.account import Account
from bulkseed.service.access.policies import Policies
from bulkseed.service.access.quota import Quota
from bulkseed.service.access.signatures import Authority
from bulkseed.service.rotation import Rotation
from bulkseed.service.storage.envelope import Envelope
from bulkseed.service.storage.keys import SERVICE_CREATOR, Key, Keys
from bulkseed.service.storage.store import Store, StoredSecret
from bulkseed.wire.fault import fault
from bulkseed.wire.signing.verify import Caller


@dataclass(slots=True)
class Service:
    """The parts of the service, put together once."""

    account: Account
    authority: Authority
    quota: Quota
    store: Store
    envelope: Envelope
    keys: Keys
    rotation: Rotation
    policies: Policies
    secret_quota: int | None

    def rollback(self) -> None:
        """Forget what is not on disk, also in memory."""
        self.store.rollback()
        self.forget()

    def forget(self) -> None:
        """Read everything anew that was kept in memory."""
        self.envelope.forget()
        self.keys.forget()
        self.rotation.forget()


@dataclass(slots=True)
class Context:
    """One request: who asks, with which parameters, when, and under which request id.

    `now` is in epoch seconds, `steady` from a clock that nobody sets.
    """

    service: Service
    caller: Caller
    parameters: Mapping[str, str]
    request_id: str
    now: float
    steady: float

    def may(self, action: str, resource: str) -> bool:
        """Tell whether the caller may do `action` on `resource` (an ARN)."""
        policies = self.service.policies
        if self.caller.access_key_id not in policies.users:
            return True
        return policies.allow(self.caller.access_key_id, f"kms:{action}", resource, self._policy_of(resource))

    def may_use(self, action: str, key: Key) -> bool:
        """Tell whether the caller may do `action` with a key that protects a secret.

        Only keys of customers are asked for (CreateSecret and GetSecretValue pages).
        """
        return key.creator == SERVICE_CREATOR or self.may(action, self.service.account.key_arn(key.id))

    def _policy_of(self, resource: str) -> str | None:
        """Return the policy that a secret or key has itself."""
        account = self.service.account
        holder: StoredSecret | Key | None = None
        if resource.startswith(account.secret_arn("")):
            holder = self.service.store.secret(account.secret_name(resource))
        elif resource.startswith(account.key_arn("")):
            holder = self.service.keys.get(resource)
        return None if holder is None else holder.policy

    def find(self, name_or_arn: str) -> StoredSecret | Fault:
        """Return a secret, also one in its delete window."""
        secret = self.service.store.secret(self.service.account.secret_name(name_or_arn))
        return fault("Forbidden.ResourceNotFound") if secret is None else secret

    def find_live(self, name_or_arn: str) -> StoredSecret | Fault:
        """Return a secret that is not planned to be deleted."""
        secret = self.find(name_or_arn)
        if isinstance(secret, StoredSecret) and secret.delete_at is not None:
            return fault("Rejected.ResourceInDeleteWindow")
        return secret
