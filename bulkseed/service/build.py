"""Puts a service together from its options: data directory, keys, quotas."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from pathlib import Path

from bulkseed.errors import UsageError
from bulkseed.model import Credentials, SecretValue
from bulkseed.service.access.account import Account
from bulkseed.service.access.policies import Policies, read_policies
from bulkseed.service.access.quota import Quota
from bulkseed.service.access.signatures import Authority
from bulkseed.service.context import Service
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.rotation import Rotation
from bulkseed.service.storage.envelope import Vault
from bulkseed.service.storage.key_file import private_file
from bulkseed.service.storage.keys import Keys
from bulkseed.service.storage.store import Store
from bulkseed.wire.message import QuotaGroup
from bulkseed.wire.signing.verify import AccessKey


def build_kms(options: ServiceOptions, real: Collection[str] = ()) -> tuple[Kms, Credentials]:
    """Open the data directory and return the service and the credentials of its root caller.

    `real` are the database instances whose passwords the shell can change.

    Raises:
        UsageError: the data directory cannot be used, or another process is using it.
    """
    if options.data_dir is not None:
        _prepare(options.data_dir)
    store = Store(options.data_dir / "kms.db" if options.data_dir else None)
    try:
        account = Account(options.account_id, options.region)
        vault = Vault(store, _master_key(store, options.data_dir), account)
        keys = Keys(store, vault, account)
        credentials = _root_credentials(options)
        root = AccessKey(credentials.access_key_id, credentials.access_key_secret, account.id)
        policies = read_policies(options.policies, account.id) if options.policies else Policies()
        service = Service(
            account=account,
            authority=Authority({**policies.keys, root.id: root}),
            quota=Quota(
                {
                    QuotaGroup.CREATE: options.create_qps,
                    QuotaGroup.READ: options.read_qps,
                    QuotaGroup.MANAGE: options.manage_qps,
                }
            ),
            store=store,
            vault=vault,
            keys=keys,
            rotation=Rotation(store, vault, keys, real),
            policies=policies,
            secret_quota=options.secret_quota,
        )
    except BaseException:
        store.close()
        raise
    return Kms(service), credentials


def _prepare(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / "kms.db").touch(mode=0o600)
    except OSError as error:
        raise UsageError(f"cannot use {data_dir}: {error.strerror}") from None


def _master_key(store: Store, data_dir: Path | None) -> bytes:
    fresh = os.urandom(32)
    if data_dir is None:
        return fresh
    path = data_dir / "master.key"
    if store.used and not path.exists():
        raise UsageError(f"{path} is missing: what {data_dir} holds cannot be opened without it")
    key = private_file(path, fresh)
    if len(key) != len(fresh):
        raise UsageError(f"{path} is not a master key")
    return key


def _root_credentials(options: ServiceOptions) -> Credentials:
    secret = options.access_key_secret
    if secret is None:
        fresh = secrets.token_urlsafe(24)
        if options.data_dir is not None:
            fresh = private_file(options.data_dir / "access-key", fresh.encode()).decode()
        secret = SecretValue(fresh)
    return Credentials(options.access_key_id, secret)
