"""Puts a service together from its options: data directory, keys, quotas."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from bulkseed.errors import UsageError
from bulkseed.model import Credentials, SecretValue
from bulkseed.service.access.account import Account
from bulkseed.service.access.nonces import Nonces
from bulkseed.service.access.policies import Policies, read_policies
from bulkseed.service.access.quota import Quota, Window
from bulkseed.service.access.signatures import Authority
from bulkseed.service.context import Service
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.rotation import Rotation
from bulkseed.service.storage.envelope import Envelope
from bulkseed.service.storage.key_file import prepare_folder, private_file
from bulkseed.service.storage.keys import Keys
from bulkseed.service.storage.marks import Marks
from bulkseed.service.storage.store import Store
from bulkseed.wire.signing.verify import AccessKey


def build_kms(
    options: ServiceOptions, administrators: Mapping[str, str] | None = None
) -> tuple[Kms, Credentials]:
    """Open the data directory and return the service and the credentials of its root caller.

    `administrators` maps the database instances whose passwords the shell can change to the accounts with
    which it does so.

    Raises:
        UsageError: the data directory cannot be used, or another process is using it.
    """
    if options.data_dir is not None:
        prepare_folder(options.data_dir)
    store = Store(options.data_dir / "kms.db" if options.data_dir else None)
    try:
        account = Account(options.account_id, options.region)
        master = _master_key(store, options.data_dir)
        store.marks = Marks(master, account)
        envelope = Envelope(store, master, account)
        keys = Keys(store, envelope, account)
        credentials = _root_credentials(options)
        root = AccessKey(credentials.access_key_id, credentials.access_key_secret, account.id)
        policies = read_policies(options.policies, account.id) if options.policies else Policies()
        users = _user_keys(policies, root, options)
        nonces = Nonces(options.data_dir / "nonces" if options.data_dir else None, master)
        calls = Window(options.rotate_per_hour, 3600.0) if options.rotate_per_hour else None
        service = Service(
            account=account,
            authority=Authority({**users, root.id: root}, nonces),
            quota=Quota(options.limits),
            store=store,
            envelope=envelope,
            keys=keys,
            rotation=Rotation(store, envelope, keys, administrators or {}, calls),
            policies=policies,
            secret_quota=options.secret_quota,
        )
    except BaseException:
        store.close()
        raise
    return Kms(service), credentials


def _user_keys(policies: Policies, root: AccessKey, options: ServiceOptions) -> dict[str, AccessKey]:
    if root.id in policies.users:
        raise UsageError(f"{options.policies}: {root.id} is the access key id of the root caller")
    return {user.key.id: user.key for user in policies.users.values()}


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
