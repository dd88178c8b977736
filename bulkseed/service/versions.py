"""Versions and stages of a secret: ListSecretVersionIds."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.wire.actions import list_secret_version_ids as listing
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import invalid_parameter

PAGE_SIZE = 20  # API metadata
PAGE_SIZE_MAX = 100


def list_secret_version_ids(context: Context, asked: listing.Request, /) -> listing.Reply | Fault:
    """Return one page of versions, oldest first; those without a stage only on demand."""
    number = 1 if asked.page_number is None else asked.page_number
    size = PAGE_SIZE if asked.page_size is None else asked.page_size
    if number < 1:
        return invalid_parameter("PageNumber")
    if not 1 <= size <= PAGE_SIZE_MAX:
        return invalid_parameter("PageSize")
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    entries = [
        listing.VersionEntry(version_id, timestamp(created), stages)
        for version_id, created in context.service.store.version_ids(secret)
        if (stages := secret.stages_of(version_id)) or asked.include_deprecated
    ]
    first = (number - 1) * size
    return listing.Reply(
        request_id=context.request_id,
        total_count=len(entries),
        secret_name=secret.name,
        page_number=number,
        page_size=size,
        version_ids=tuple(entries[first : first + size]),
    )
