"""Versions and stages: ListSecretVersionIds, UpdateSecretVersionStage."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.pagination import Page
from bulkseed.service.storage.stages import STAGE, STAGES_KEPT, move_stage
from bulkseed.service.storage.store import CURRENT, PREVIOUS
from bulkseed.wire.actions import list_secret_version_ids as listing
from bulkseed.wire.actions import update_secret_version_stage as staging
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import fault, invalid_parameter


def list_secret_version_ids(context: Context, asked: listing.Request, /) -> listing.Reply | Fault:
    """Return one page of versions, oldest first; those without a stage only on demand."""
    page = Page.read(asked.page_number, asked.page_size, default=20)
    if isinstance(page, Fault):
        return page
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    entries = [
        listing.VersionEntry(version_id, timestamp(created), stages)
        for version_id, created in context.service.store.version_ids(secret)
        if version_id != secret.rotating_to
        and ((stages := secret.stages_of(version_id)) or asked.include_deprecated)
    ]
    return listing.Reply(
        request_id=context.request_id,
        total_count=len(entries),
        secret_name=secret.name,
        page_number=page.number,
        page_size=page.size,
        version_ids=tuple(page.cut(entries)),
    )


def update_secret_version_stage(context: Context, asked: staging.Request, /) -> staging.Reply | Fault:
    """Move a stage, or take it away; what it marked before must be what `RemoveFromVersion` says."""
    stage, target, source = asked.version_stage, asked.move_to_version, asked.remove_from_version
    if not STAGE.fullmatch(stage):
        return invalid_parameter("VersionStage")
    if target is None and (source is None or stage in (CURRENT, PREVIOUS)):
        return fault("Rejected.InvalidRequest")
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    if secret.type != "Generic":
        return fault("UnsupportedOperation", "Only the stages of Generic secrets can be moved.")
    if source is not None and secret.stages.get(stage) != source:
        return fault("Rejected.InvalidRequest")
    stages = dict(secret.stages)
    if target is None:
        del stages[stage]
    elif target == secret.rotating_to or context.service.store.version(secret, target) is None:
        return fault("Forbidden.ResourceNotFound")
    else:
        move_stage(stages, stage, target)
    if len(stages) > STAGES_KEPT:
        return fault("Rejected.LimitExceeded")
    secret.stages, secret.updated = stages, context.now
    context.service.store.save_secret(secret)
    return staging.Reply(context.request_id, secret.name)
