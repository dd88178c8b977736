"""The account and region that the service stands for, and the names of things in it (ARNs)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """One account in one region: the scope of names, quotas and keys."""

    id: str
    region: str

    def secret_arn(self, name: str) -> str:
        """Return ``acs:kms:<region>:<account>:secret/<name>`` (CreateSecret page)."""
        return f"acs:kms:{self.region}:{self.id}:secret/{name}"

    def key_arn(self, key_id: str) -> str:
        """Return ``acs:kms:<region>:<account>:key/<id>`` (API metadata 2024-06)."""
        return f"acs:kms:{self.region}:{self.id}:key/{key_id}"

    def container(self, kind: str) -> str:
        """Return the ARN of all ``secret``, ``key`` or ``alias`` of the account (RAM: KMS resources)."""
        return f"acs:kms:{self.region}:{self.id}:{kind}"

    def secret_name(self, name_or_arn: str) -> str:
        """Return the name that a caller means; secrets and keys may be given by their ARN."""
        return name_or_arn.removeprefix(self.secret_arn(""))

    def key_id(self, id_or_arn: str) -> str:
        """Return the key id that a caller means."""
        return id_or_arn.removeprefix(self.key_arn(""))

    def alias_arn(self, name: str) -> str:
        """Return the ARN of an alias, whose name starts with ``alias/`` (ListAliases page)."""
        return f"acs:kms:{self.region}:{self.id}:{name}"

    def alias_name(self, name_or_arn: str) -> str:
        """Return the alias that a caller means."""
        return name_or_arn.removeprefix(self.alias_arn(""))
