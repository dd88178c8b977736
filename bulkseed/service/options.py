"""What a local KMS can be told, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.quotas import QUOTAS


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Options of ``bulkseed serve``; rates are requests a second (RotateSecret: an hour), 0 = unlimited.

    `data_dir` None keeps everything in memory. `access_key_secret` None: the one in the data directory,
    generated at the first start.
    """

    data_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "cn-hangzhou"
    account_id: str = "1000000000000001"
    access_key_id: str = "embedded"
    access_key_secret: SecretValue | None = field(default=None, repr=False)
    create_qps: float = QUOTAS[QuotaGroup.CREATE]
    read_qps: float = QUOTAS[QuotaGroup.READ]
    manage_qps: float = QUOTAS[QuotaGroup.MANAGE]
    rotate_per_hour: int = 50  # API metadata: RotateSecret
    secret_quota: int | None = None
    faults: Path | None = None
    policies: Path | None = None
    rds: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    explorer: bool = False

    @property
    def limits(self) -> dict[QuotaGroup, float]:
        """Requests a second of each quota group; without an option of its own it has its row in `QUOTAS`."""
        chosen = {
            QuotaGroup.CREATE: self.create_qps,
            QuotaGroup.READ: self.read_qps,
            QuotaGroup.MANAGE: self.manage_qps,
        }
        return {**QUOTAS, **chosen}
