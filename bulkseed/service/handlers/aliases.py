"""Aliases: other names of keys, which go wherever a key id goes."""

from __future__ import annotations

import re

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.key_settings import live
from bulkseed.service.handlers.pagination import Page
from bulkseed.wire.actions import (
    create_alias,
    delete_alias,
    list_aliases,
    list_aliases_by_key_id,
    update_alias,
)
from bulkseed.wire.actions.list_aliases import AliasEntry
from bulkseed.wire.fault import fault, invalid_parameter

NAME = re.compile(r"alias/[0-9A-Za-z_/-]{1,249}")  # CreateAlias page: at most 255 characters in all
RESERVED = "alias/acs"  # CreateAlias page


def create(context: Context, asked: create_alias.Request, /) -> create_alias.Reply | Fault:
    """Bind a new name to a key."""
    if not NAME.fullmatch(asked.alias_name) or asked.alias_name.startswith(RESERVED):
        return invalid_parameter("AliasName")
    key = live(context, asked.key_id)
    if isinstance(key, Fault):
        return fault("Rejected.StateModifiedFailed") if key.code == "Rejected.PendingDeletion" else key
    if context.service.keys.alias(asked.alias_name) is not None:
        return fault("Rejected.ResourceExist")
    context.service.keys.set_alias(asked.alias_name, key.id)
    return create_alias.Reply(context.request_id)


def update(context: Context, asked: update_alias.Request, /) -> update_alias.Reply | Fault:
    """Bind a name to another key of the same specification and usage."""
    keys = context.service.keys
    bound = keys.alias(asked.alias_name)
    if bound is None:
        return fault("Forbidden.AliasNotFound")
    key = live(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    before = keys.get(bound)
    if before is not None and (before.spec, before.usage) != (key.spec, key.usage):
        return invalid_parameter("KeyId", "The key is of another kind.")
    keys.set_alias(asked.alias_name, key.id)
    return update_alias.Reply(context.request_id)


def delete(context: Context, asked: delete_alias.Request, /) -> delete_alias.Reply | Fault:
    """Take a name away."""
    if context.service.keys.alias(asked.alias_name) is None:
        return fault("Forbidden.AliasNotFound")
    context.service.keys.set_alias(asked.alias_name, None)
    return delete_alias.Reply(context.request_id)


def list_all(context: Context, asked: list_aliases.Request, /) -> list_aliases.Reply | Fault:
    """Return one page of the aliases."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    found = _entries(context, context.service.keys.aliases())
    return list_aliases.Reply(context.request_id, len(found), page.number, page.size, tuple(page.cut(found)))


def list_of_key(
    context: Context, asked: list_aliases_by_key_id.Request, /
) -> list_aliases_by_key_id.Reply | Fault:
    """Return one page of the aliases of a key."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    found = _entries(context, context.service.keys.aliases(key.id))
    return list_aliases_by_key_id.Reply(
        context.request_id, len(found), page.number, page.size, tuple(page.cut(found))
    )


def _entries(context: Context, found: list[tuple[str, str]]) -> list[AliasEntry]:
    arn = context.service.account.alias_arn
    return [AliasEntry(name, arn(name), key_id) for name, key_id in found]
