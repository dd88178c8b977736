"""Tags of many resources by type and id: TagResources, UntagResources, ListTagResources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.key_settings import live
from bulkseed.service.handlers.tags import retag
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.store import StoredSecret
from bulkseed.wire.actions import list_tag_resources as listing
from bulkseed.wire.actions import tag_resources, untag_resources
from bulkseed.wire.encoding import read_base64, write_base64
from bulkseed.wire.fault import broken_rule, invalid_parameter
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import parameter_problems

TYPES = ("key", "secret")
RESOURCES_MAX = 50  # SDK 3.3.1
ROWS_PER_PAGE = 200  # SDK 3.3.1

Resources = list[StoredSecret | Key]


def tag(context: Context, asked: tag_resources.Request, /) -> tag_resources.Reply | Fault:
    """Add or replace tags of every resource, or of none."""
    if not asked.tag:
        return invalid_parameter("Tag", "At least one is needed.")
    pairs = [{"TagKey": pair.key, "TagValue": pair.value or ""} for pair in asked.tag]
    for problem in parameter_problems("Tags", orjson.dumps(pairs).decode()):
        return broken_rule("Tag", problem)
    resources = _find(context, asked.resource_type, asked.resource_id, unplanned=True)
    if isinstance(resources, Fault):
        return resources
    added = {pair.key: pair.value or "" for pair in asked.tag}
    if any(len(resource.tags | added) > limits.TAGS_MAX for resource in resources):
        return invalid_parameter("Tag", f"There would be more than {limits.TAGS_MAX}.")
    for resource in resources:
        retag(context, resource, resource.tags | added)
    return tag_resources.Reply(context.request_id)


def untag(context: Context, asked: untag_resources.Request, /) -> untag_resources.Reply | Fault:
    """Take tags from every resource; those that are not there do not matter."""
    if not asked.tag_key and not asked.all:
        return invalid_parameter("TagKey", "At least one is needed, or All.")
    resources = _find(context, asked.resource_type, asked.resource_id, unplanned=True)
    if isinstance(resources, Fault):
        return resources
    for resource in resources:
        rest = {key: value for key, value in resource.tags.items() if key not in asked.tag_key}
        retag(context, resource, rest if asked.tag_key else {})
    return untag_resources.Reply(context.request_id)


def list_all(context: Context, asked: listing.Request, /) -> listing.Reply | Fault:
    """Return the tags of the resources that are named, or of all that have tags, page by page."""
    after = _read_token(asked.next_token or "")
    if after is None:
        return invalid_parameter("NextToken")
    resources: Iterable[StoredSecret | Key]
    if asked.resource_id:
        found = _find(context, asked.resource_type, asked.resource_id, unplanned=False)
        if isinstance(found, Fault):
            return found
        resources = sorted(found, key=_id)
    elif asked.resource_type in TYPES:
        resources = _tagged(context, asked.resource_type, after[0])
    else:
        return invalid_parameter("ResourceType")
    wanted = {pair.key: pair.value or "" for pair in asked.tag}
    rows = (
        listing.TagResource(_id(resource), asked.resource_type, key, value)
        for resource in resources
        if wanted.items() <= resource.tags.items()
        for key, value in sorted(resource.tags.items())
        if (_id(resource), key) > after
    )
    page = tuple(islice(rows, ROWS_PER_PAGE))
    more = _write_token(page[-1]) if next(rows, None) else ""
    return listing.Reply(context.request_id, page, more)


def _find(context: Context, kind: str, ids: tuple[str, ...], *, unplanned: bool) -> Resources | Fault:
    """Return each of the resources once; `unplanned` refuses those that are planned to be deleted."""
    if kind not in TYPES:
        return invalid_parameter("ResourceType")
    if not 1 <= len(ids) <= RESOURCES_MAX:
        return invalid_parameter("ResourceId", f"1 to {RESOURCES_MAX} are needed.")
    resources: dict[str, StoredSecret | Key] = {}
    for name in ids:
        resource: StoredSecret | Key | Fault
        if kind == "secret":
            resource = context.find_live(name) if unplanned else context.find(name)
        else:
            resource = live(context, name) if unplanned else context.service.keys.find(name)
        if isinstance(resource, Fault):
            return resource
        resources[_id(resource)] = resource
    return list(resources.values())


def _tagged(context: Context, kind: str, first: str) -> Iterator[StoredSecret | Key]:
    """Return the resources with tags, from `first` on."""
    column = "name" if kind == "secret" else "id"
    select = context.service.store.secrets if kind == "secret" else context.service.keys.select
    yield from select(f"WHERE tags <> '{{}}' AND {column} >= ? ORDER BY {column}", first)


def _write_token(row: listing.TagResource) -> str:
    """Return the token for what comes after a row, also when that is gone by then."""
    return write_base64(orjson.dumps([row.resource_id, row.tag_key]))


def _read_token(text: str) -> tuple[str, str] | None:
    """Return the row that the last page ended with, ("", "") before the first one; None if it is no token."""
    try:
        row = orjson.loads(read_base64(text) or b"") if text else ["", ""]
    except orjson.JSONDecodeError:
        return None
    match row:
        case [str(resource), str(key)]:
            return resource, key
    return None


def _id(resource: StoredSecret | Key) -> str:
    return resource.name if isinstance(resource, StoredSecret) else resource.id
