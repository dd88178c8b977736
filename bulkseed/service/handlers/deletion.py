"""The delete window: DeleteSecret, RestoreSecret, and carrying out what is due."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context, Service
from bulkseed.wire.actions import delete_secret as deleting
from bulkseed.wire.actions import restore_secret as restoring
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import fault, invalid_parameter

WINDOW_DAYS = range(7, 31)  # API metadata
WINDOW_DAYS_DEFAULT = 30
DAY = 86_400


def delete_secret(context: Context, asked: deleting.Request, /) -> deleting.Reply | Fault:
    """Delete at once when forced, else plan it; force wins over a window (Terraform sends both)."""
    days = WINDOW_DAYS_DEFAULT if asked.recovery_window_in_days is None else asked.recovery_window_in_days
    if not asked.force_delete_without_recovery and days not in WINDOW_DAYS:
        return invalid_parameter("RecoveryWindowInDays")
    secret = context.find(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    if asked.force_delete_without_recovery:
        context.service.store.remove_secret(secret)
        planned = context.now
    elif secret.delete_at is not None:
        return fault("Rejected.ResourceInDeleteWindow")
    else:
        planned = secret.delete_at = context.now + days * DAY
        secret.updated = context.now
        context.service.store.save_secret(secret)
    return deleting.Reply(context.request_id, secret.name, timestamp(planned))


def restore_secret(context: Context, asked: restoring.Request, /) -> restoring.Reply | Fault:
    """Take a secret out of its delete window."""
    secret = context.find(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    if secret.delete_at is None:
        return fault("Rejected.ResourceInUse")
    secret.delete_at = None
    secret.updated = context.now
    context.service.store.save_secret(secret)
    return restoring.Reply(context.request_id, secret.name)


def delete_due(service: Service, now: float) -> None:
    """Delete for good the secrets and keys that have been in their windows long enough."""
    for secret in list(service.store.secrets("WHERE delete_at <= ?", now)):
        with service.store.savepoint():
            service.store.remove_secret(secret)
    for key in list(service.keys.select("WHERE delete_at <= ?", now)):
        with service.store.savepoint():
            service.keys.remove(key)
