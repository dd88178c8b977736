"""Tags of many resources by type and id: TagResources, UntagResources, ListTagResources."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.tags import retag
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.store import StoredSecret
from bulkseed.wire.actions import list_tag_resources as listing
from bulkseed.wire.actions import tag_resources, untag_resources
from bulkseed.wire.fault import broken_rule, invalid_parameter
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import parameter_problems

TYPES = ("key", "secret")
RESOURCES_MAX = 50  # SDK 3.3.1
RESOURCES_PER_PAGE = 100

Resources = list[StoredSecret | Key]


def tag(context: Context, asked: tag_resources.Request, /) -> tag_resources.Reply | Fault:
    """Add or replace tags of every resource, or of none."""
    if not asked.tag:
        return invalid_parameter("Tag", "At least one is needed.")
    pairs = [{"TagKey": pair.key, "TagValue": pair.value or ""} for pair in asked.tag]
    for problem in parameter_problems("Tags", orjson.dumps(pairs).decode()):
        return broken_rule("Tag", problem)
    resources = _find(context, asked.resource_type, asked.resource_id, context.find_live)
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
    resources = _find(context, asked.resource_type, asked.resource_id, context.find_live)
    if isinstance(resources, Fault):
        return resources
    for resource in resources:
        rest = {key: value for key, value in resource.tags.items() if key not in asked.tag_key}
        retag(context, resource, rest if asked.tag_key else {})
    return untag_resources.Reply(context.request_id)


def list_all(context: Context, asked: listing.Request, /) -> listing.Reply | Fault:
    """Return the tags of the resources that are named, or of all that have tags, page by page."""
    if asked.resource_id:
        found = _find(context, asked.resource_type, asked.resource_id, context.find)
        if isinstance(found, Fault):
            return found
        resources, more = found, None
    elif asked.resource_type in TYPES:
        resources, more = _page(context, asked.resource_type, asked.next_token or "")
    else:
        return invalid_parameter("ResourceType")
    wanted = {pair.key: pair.value for pair in asked.tag}
    return listing.Reply(
        context.request_id,
        tuple(
            listing.TagResource(_id(resource), asked.resource_type, key, value)
            for resource in resources
            if all(resource.tags.get(key) == (value or "") for key, value in wanted.items())
            for key, value in resource.tags.items()
        ),
        more or "",
    )


def _find(
    context: Context, kind: str, ids: tuple[str, ...], secret: Callable[[str], StoredSecret | Fault]
) -> Resources | Fault:
    if kind not in TYPES:
        return invalid_parameter("ResourceType")
    if not 1 <= len(ids) <= RESOURCES_MAX:
        return invalid_parameter("ResourceId", f"1 to {RESOURCES_MAX} are needed.")
    resources: Resources = []
    for name in ids:
        resource = secret(name) if kind == "secret" else context.service.keys.find(name)
        if isinstance(resource, Fault):
            return resource
        resources.append(resource)
    return resources


def _page(context: Context, kind: str, after: str) -> tuple[Resources, str | None]:
    """Return the next resources with tags, and the token for more."""
    column = "name" if kind == "secret" else "id"
    clause = f"WHERE tags <> '{{}}' AND {column} > ? ORDER BY {column} LIMIT ?"
    select = context.service.store.secrets if kind == "secret" else context.service.keys.select
    rows: Iterator[StoredSecret | Key] = select(clause, after, RESOURCES_PER_PAGE + 1)
    found = list(rows)
    page = found[:RESOURCES_PER_PAGE]
    return page, _id(page[-1]) if len(found) > len(page) else None


def _id(resource: StoredSecret | Key) -> str:
    return resource.name if isinstance(resource, StoredSecret) else resource.id
