"""The actions of rotation: RotateSecret, UpdateSecretRotationPolicy."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.storage.store import StoredSecret
from bulkseed.wire.actions import rotate_secret, update_secret_rotation_policy
from bulkseed.wire.fault import broken_rule, fault, invalid_parameter, missing_parameter
from bulkseed.wire.validation.parameters import parameter_problems, rotation_seconds


def rotate(context: Context, asked: rotate_secret.Request, /) -> rotate_secret.Reply | Fault:
    """Rotate a managed secret now; a version id that is used already is answered with success."""
    if not asked.version_id or any(parameter_problems("VersionId", asked.version_id)):
        return invalid_parameter("VersionId")
    secret = _managed(context, asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    rotation = context.service.rotation
    if rotation.calls is not None and rotation.calls.take(context.steady) is not None:
        return fault("Rejected.Throttling")
    there = context.service.store.version(secret, asked.version_id)
    fresh = there is None or asked.version_id == secret.rotating_to
    if fresh and secret.name not in rotation.running:
        refusal = rotation.begin(secret, asked.version_id, context.now, asked=True)
        if refusal:
            return refusal
    return rotate_secret.Reply(
        request_id=context.request_id,
        arn=context.service.account.secret_arn(secret.name),
        secret_name=secret.name,
        version_id=asked.version_id,
    )


def update_policy(
    context: Context, asked: update_secret_rotation_policy.Request, /
) -> update_secret_rotation_policy.Reply | Fault:
    """Switch automatic rotation on, with an interval from now, or off."""
    secret = _managed(context, asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    if asked.enable_automatic_rotation:
        if asked.rotation_interval is None:
            return missing_parameter("RotationInterval")
        for problem in parameter_problems("RotationInterval", asked.rotation_interval):
            return broken_rule("RotationInterval", problem)
        seconds = rotation_seconds(asked.rotation_interval)
        secret.rotation_seconds, secret.rotation_state = seconds, "Enabled"
        secret.next_rotation = context.now + (seconds or 0)
    else:
        secret.rotation_seconds, secret.rotation_state = None, "Disabled"
        secret.next_rotation = None
    secret.updated = context.now
    context.service.store.save_secret(secret)
    return update_secret_rotation_policy.Reply(context.request_id, secret.name)


def _managed(context: Context, name: str) -> StoredSecret | Fault:
    secret = context.find_live(name)
    if isinstance(secret, StoredSecret) and secret.type == "Generic":
        return invalid_parameter("SecretName", "A Generic secret cannot rotate.")
    return secret
