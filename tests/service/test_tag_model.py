"""Tags of keys and secrets against a plain model: set by the actions of either kind, listed page by page.

Sources: the pages of the actions (SDK 3.3.1); of states, "Impact of CMK status on API operations".
Where several things are wrong at once, no page says which of them is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.kms import Desk, create

from bulkseed.model import Fault
from bulkseed.service.handlers import resource_tags
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_key,
    list_resource_tags,
    list_tag_resources,
    schedule_key_deletion,
    tag_resource,
    tag_resources,
    untag_resource,
    untag_resources,
)

ROWS = 3
NOBODY = "00000000-0000-0000-0000-000000000000"
MISSING = {"key": "Forbidden.KeyNotFound", "secret": "Forbidden.ResourceNotFound"}
Row = tuple[str, str, str]

picks = st.integers(0, 2)
some_picks = st.lists(picks, max_size=3)
kinds = st.sampled_from(["key", "secret", "key", "secret", "disk"])
good_tags = st.sampled_from(["team", "cost", "stage"])
tags = good_tags | st.sampled_from(["é", "acs:x"])  # these two are against the rules
values = st.sampled_from(["", "1", "2"])
changes = st.sampled_from(["tag", "untag", "clear"])


@pytest.fixture(scope="module", autouse=True)
def small_pages() -> Iterator[None]:
    """Let few tags fill a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource_tags, "ROWS_PER_PAGE", ROWS)
        yield


class TagModel(RuleBasedStateMachine):
    """Every rule asks the service and the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        keys = [self.desk.ask(create_key.Request()).key_metadata.key_id for _ in range(2)]
        self.tags: dict[str, dict[str, dict[str, str]]] = {
            "key": {key: {} for key in keys},
            "secret": {"s1": {}, "s2": {}},
        }
        self.leaving: set[str] = set()
        self.tokens: list[tuple[str, tuple[str, str], str]] = []
        for name in self.tags["secret"]:
            self.desk.ask(create(name))

    def expect(self, request: Any, wrong: set[str]) -> Any:
        """Ask the service: it answers one of what is wrong, and if nothing is, a reply."""
        answer = self.desk.ask(request)
        code = answer.code if isinstance(answer, Fault) else None
        assert (code in wrong) if wrong else code is None, (request, answer, wrong)
        return None if code else answer

    def resources(self, kind: str, some: list[int]) -> tuple[dict[str, dict[str, str]], set[str]]:
        """Return the tags of some resources by their ids, and what is wrong with naming them."""
        if kind == "disk":
            return {str(pick): {} for pick in some}, {"InvalidParameter"}
        known = self.tags[kind]
        ids = [[*known][pick] if pick < len(known) else NOBODY for pick in some]
        return {name: known.get(name, {}) for name in ids}, {MISSING[kind]} if NOBODY in ids else set()

    def rows(self, kind: str) -> list[Row]:
        """Return all tags of a kind of resource, in the order of their pages."""
        return sorted((name, *tag) for name, tags in self.tags[kind].items() for tag in tags.items())

    @rule(pick=picks)
    def plan_or_cancel(self, pick: int) -> None:
        """A key is planned to be deleted, or is no more."""
        for name in self.resources("key", [pick])[0].keys() - {NOBODY}:
            cancel = cancel_key_deletion.Request(name)
            self.expect(cancel if name in self.leaving else schedule_key_deletion.Request(name, 7), set())
            self.leaving ^= {name}

    @rule(kind=st.sampled_from(["key", "secret"]), pick=picks, tag=tags, value=values, add=st.booleans())
    def tag_one(self, kind: str, pick: int, tag: str, value: str, add: bool) -> None:
        """Not of a key that is planned to be deleted; ListResourceTags shows those of a key in any state."""
        found, unknown = self.resources(kind, [pick])
        (name,) = found
        wrong = unknown | ({"Rejected.PendingDeletion"} if name in self.leaving else set())
        if add and tag in ("é", "acs:x"):
            wrong = wrong | {"InvalidParameter"}
        text = orjson.dumps([{"TagKey": tag, "TagValue": value}]).decode()
        named: Any = {f"{kind}_id" if kind == "key" else "secret_name": name}
        done = self.expect(
            tag_resource.Request(text, **named) if add else untag_resource.Request(tag, **named), wrong
        )
        if done:
            found[name].pop(tag, None)
            found[name].update({tag: value} if add else {})
        if kind == "key":
            shown = self.expect(list_resource_tags.Request(name), unknown)
            assert not shown or {t.tag_key: t.tag_value for t in shown.tags} == found[name]

    @rule(kind=kinds, some=some_picks, tag=good_tags, value=values, what=changes)
    def tag_many(self, kind: str, some: list[int], tag: str, value: str, what: str) -> None:
        """All of them, or none."""
        found, wrong = self.resources(kind, some)
        if kind == "key" and self.leaving & found.keys():
            wrong = wrong | {"Rejected.PendingDeletion"}
        ids = tuple(found)
        request: Any = {
            "tag": tag_resources.Request(kind, ids, (tag_resources.TagPair(tag, value),)),
            "untag": untag_resources.Request(kind, ids, (tag,)),
            "clear": untag_resources.Request(kind, ids, all=True),
        }[what]
        if self.expect(request, wrong if ids else {"InvalidParameter", "MissingParameter"}):
            for held in found.values():
                held.clear() if what == "clear" else held.pop(tag, None)
                held.update({tag: value} if what == "tag" else {})

    @rule(kind=kinds, some=some_picks, tag=st.none() | good_tags, value=values)
    def list_tags(self, kind: str, some: list[int], tag: str | None, value: str) -> None:
        """Of some resources or of all, with a certain tag or any; all pages together have each row once."""
        found, wrong = self.resources(kind, some)
        wanted = () if tag is None else (tag_resources.TagPair(tag, value),)
        seen, token = list[Row](), ""
        while True:
            reply = self.expect(list_tag_resources.Request(kind, tuple(found), wanted, token), wrong)
            if reply is None:
                return
            page = [(row.resource_id, row.tag_key, row.tag_value) for row in reply.tag_resources]
            assert len(page) <= ROWS
            seen += page
            token = reply.next_token
            if not token:
                break
            self.tokens.append((kind, seen[-1][:2], token))
        rows = self.rows(kind)
        having = {row[0] for row in rows if tag is None or row[1:] == (tag, value)}
        assert seen == [row for row in rows if row[0] in having and (not some or row[0] in found)]

    @precondition(lambda self: self.tokens)
    @rule(pick=st.integers(0, 20))
    def go_on(self, pick: int) -> None:
        """A token of some time ago gives what comes after its page now; what is no token is refused."""
        kind, after, token = self.tokens[pick % len(self.tokens)]
        reply = self.expect(list_tag_resources.Request(kind, next_token=token), set())
        rest = [row for row in self.rows(kind) if row[:2] > after]
        page = [(row.resource_id, row.tag_key, row.tag_value) for row in reply.tag_resources]
        assert page == rest[:ROWS]
        assert bool(reply.next_token) == (len(rest) > ROWS)
        for bad in ("x", token[:-8], "W10="):
            self.expect(list_tag_resources.Request(kind, next_token=bad), {"InvalidParameter"})


TestTagModel = TagModel.TestCase
TestTagModel.settings = settings(max_examples=25, stateful_step_count=40)
