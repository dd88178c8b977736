"""``bulkseed plan``: what apply would do, from the manifests and the ledger alone."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import click

from bulkseed.cli import options as o
from bulkseed.cli.arguments import option, takes
from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.planning.invalid_lines import InvalidLines
from bulkseed.cli.planning.online import print_online
from bulkseed.cli.process import run_async
from bulkseed.cli.render import heading, note, print_json, print_table, say, wrapped
from bulkseed.cli.sources import SourceArguments, gone_at_source
from bulkseed.cli.target import (
    TargetArguments,
    TargetOptions,
    ledgers_elsewhere,
    open_target,
    require_named,
    require_same_target,
)
from bulkseed.humanize import duration, number
from bulkseed.model import InvalidLine, Outcome, UnreadValue

if TYPE_CHECKING:  # what only asking a service needs is imported when it is asked
    from collections.abc import Iterable

    from bulkseed.jobs.preflight import Preflight
    from bulkseed.ledger.names_apart import NamesApart
    from bulkseed.ledger.preview import Foreseen, Preview
    from bulkseed.model import ManifestEntry

BLOCK = 2048
LISTED = 1000
"""The most invalid lines in the JSON; the text has the first of each reason."""

NAMED = 5
"""The most names of changed secrets in the text."""


@dataclass(slots=True, frozen=True)
class PlanArguments:
    """What there is to plan."""

    manifest: o.ManifestArguments
    source: SourceArguments
    ledger_path: o.LedgerOption
    qps: o.CreateRate
    target: TargetArguments
    output: o.OutputOption
    limit: int | None = None
    only: str | None = None
    values: bool = False


@dataclass(slots=True, frozen=True)
class _Arguments:
    """What ``bulkseed plan`` is told."""

    manifest: o.ManifestArguments
    source: SourceArguments
    ledger_path: o.LedgerOption
    qps: o.CreateRate
    schema: Annotated[
        bool,
        option("--schema", is_flag=True, help="Print the JSON Schema of a definition and do nothing else."),
    ]
    fields: Annotated[
        bool,
        option("--fields", is_flag=True, help="Print what a definition can have and do nothing else."),
    ]
    names: Annotated[
        bool, option("--names", is_flag=True, help="Print the names, one a line, and do nothing else.")
    ]
    only: o.OnlyOption
    online: Annotated[
        bool,
        option("--online", is_flag=True, help="Also ask the service what exists and what room there is."),
    ]
    values: Annotated[
        bool,
        option(
            "--values", is_flag=True, help="Also read the values of a source, at its pace, and check them."
        ),
    ]
    target: TargetArguments
    many: ManyArguments
    output: o.OutputOption


@click.command()
@takes(_Arguments)
def plan(given: _Arguments) -> int:
    """Say what apply would do with MANIFEST…; create and write nothing.

    With --online the service is asked which of the names exist, how much room is left, whether the
    encryption keys can be used, and what time it is there.

    Exit codes: 0 all is well, 1 a line is bad, room is missing or a key cannot be used, 2 usage, 3 the
    service does not answer or refuses, 4 the ledger cannot be read or belongs to another target.
    """
    if given.schema:
        from bulkseed.manifest.schema import definition_schema

        print_json(definition_schema(), indented=sys.stdout.isatty())
        return 0
    if given.fields:
        from bulkseed.cli.planning.definition_fields import print_fields

        print_fields()
        return 0
    given.manifest.require()
    if given.names:
        from bulkseed.cli.planning.names import print_names

        return print_names(given.manifest, given.source)
    if given.many.chosen:
        from bulkseed.cli.many.manifests import inputs_of
        from bulkseed.cli.many.plan import plan_targets

        given.many.require_alone(
            endpoint=given.target.endpoint, ledger=given.ledger_path, online=given.online
        )
        with inputs_of(given.manifest, given.source) as inputs:
            return plan_targets(given.many, inputs, given.output)
    what = PlanArguments(
        given.manifest,
        given.source,
        given.ledger_path,
        given.qps,
        given.target,
        given.output,
        only=given.only,
        values=given.values,
    )
    made = make_plan(what, online=given.online)
    print_plan(made, given.output)
    return made.exit_code


@dataclass(slots=True)
class Plan:
    """What a run would do. `size` counts the bytes of the values to be sent, but of `unread` ones.

    Of those to send, `rolled_back` were rolled back by this ledger, and `changed` are secrets of ours with
    another VersionId: no creation is spent. `removed`: settled names that the manifest has not any more.
    """

    ledger: Path
    qps: float
    of_source: bool = False
    definitions: int = 0
    to_send: int = 0
    rolled_back: int = 0
    changed: int = 0
    changed_names: list[str] = field(default_factory=list)
    in_doubt: int = 0
    size: int = 0
    unread: int = 0
    settled: Counter[Outcome] = field(default_factory=Counter)
    invalid: int = 0
    listed: list[InvalidLine] = field(default_factory=list)
    reasons: InvalidLines = field(default_factory=InvalidLines)
    keys: set[str] = field(default_factory=set)
    instances: set[str | None] = field(default_factory=set)
    gone_at_source: str | None = None
    removed: NamesApart | None = None
    online: Preflight | None = None

    @property
    def to_create(self) -> int:
        """How many secrets are new."""
        return self.to_send - self.changed

    @property
    def new(self) -> int:
        """How many secrets need room: those in their delete window have theirs still."""
        online = self.online
        there = 0 if online is None else (online.existing or 0) + (online.in_delete_window or 0)
        return self.to_send - there

    @property
    def lacks_room(self) -> bool:
        """Whether there is too little room, as far as the service told."""
        return self.online is not None and self.online.left is not None and self.new > self.online.left

    @property
    def seconds(self) -> float | None:
        """The time that sending takes at the quota; None without a ceiling."""
        return self.to_create / self.qps if self.qps else None

    @property
    def exit_code(self) -> int:
        """0 when nothing stands in the way."""
        bad_key = self.online is not None and any(key.usable is False for key in self.online.keys)
        return 1 if self.invalid or self.lacks_room or bad_key else 0

    def add(self, read: int, foreseen: Foreseen) -> None:
        """Add what a block of `read` entries would come to; a value still at a source has no size."""
        sent, invalid = foreseen.to_send, foreseen.invalid
        self.definitions += read
        self.settled += foreseen.settled
        self.to_send += len(sent)
        self.changed += len(foreseen.changed)
        new = (d.name for d in sent if d.name in foreseen.changed)
        self.changed_names += islice(new, NAMED - len(self.changed_names))
        self.size += sum(len(d.data.reveal().encode()) for d in sent if not isinstance(d.data, UnreadValue))
        self.keys.update(d.encryption_key_id for d in sent if d.encryption_key_id)
        self.instances.update(d.dkms_instance_id for d in sent)
        self.invalid += len(invalid)
        self.listed += invalid[: LISTED - len(self.listed)]
        for line in invalid:
            self.reasons.add(line)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--output json`` prints."""
        online = {} if self.online is None else {"online": self.online.as_dict()}
        return {
            "ledger": str(self.ledger),
            "definitions": self.definitions,
            "to_send": self.to_send,
            "changed": self.changed,
            "rolled_back": self.rolled_back,
            "bytes": None if self.unread else self.size,
            "no_longer_there": 0 if self.removed is None else self.removed.count,
            "settled": {outcome.value: count for outcome, count in self.settled.items()},
            "invalid": [
                {"manifest": line.origin.manifest, "line": line.origin.line, "reasons": list(line.reasons)}
                for line in self.listed
            ],
            "invalid_count": self.invalid,
            "reasons": self.reasons.as_list(),
            "limit_qps": self.qps,
            "seconds": self.seconds,
            **online,
            "exit_code": self.exit_code,
        }


def make_plan(given: PlanArguments, *, online: bool = False) -> Plan:
    """Read the manifests, look each definition up in the ledger, and ask the service if that is wanted.

    Memory stays flat: of what is invalid, `LISTED` lines are kept, and a few for each reason.
    """
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.names_apart import names_apart, settled_of
    from bulkseed.ledger.preview import Preview
    from bulkseed.ledger.rollbacks import is_rolled_back, rolled_back
    from bulkseed.manifest.selection import read_selection
    from bulkseed.policy.jobs import APPLY

    path = o.ledger_path_for(given.manifest.manifests, given.ledger_path)
    target = given.target.chosen(path)
    made = Plan(path, given.qps, o.looks_like_source(given.manifest.manifests[0]))
    limit = given.limit or sys.maxsize
    with ExitStack() as stack:
        manifest = stack.enter_context(o.open_entries(given.manifest, given.source))
        ledger = stack.enter_context(read_ledger(made.ledger)) if made.ledger.exists() else None
        entries, selection = cast("Iterable[ManifestEntry]", manifest), None
        if given.only:
            known = None if ledger is None else ledger.rows_before()
            selection = read_selection(given.only)
            entries = selection.of(manifest, known)
        entries = iter(entries)
        if ledger is not None:
            require_same_target(ledger, target)
            ledger.require_shared_with(APPLY)
        _begin(target, path, given.output, online=online)
        undone = ledger is not None and rolled_back(ledger)
        preview = stack.enter_context(Preview(ledger))
        while block := list(islice(entries, min(BLOCK, limit - made.to_send))):
            foreseen = preview.look(block)
            if given.values:
                made.size += _check_values(foreseen)
            else:
                made.unread += sum(isinstance(d.data, UnreadValue) for d in foreseen.to_send)
            if ledger is not None and undone:
                made.rolled_back += sum(is_rolled_back(ledger, d.name) for d in foreseen.to_send)
            made.add(len(block), foreseen)
        if ledger is not None:
            made.in_doubt = ledger.unsettled_in_doubt()
            made.gone_at_source = gone_at_source(manifest, ledger)
            if not made.gone_at_source and not given.only and not given.limit:
                names = (name for block in preview.names(BLOCK) for name in block)
                made.removed = names_apart(settled_of(ledger, manifest.paths), names)
        if selection is not None and (told := selection.more_in_words()):
            note(told)
        if online:
            made.online = run_async(_ask, target, made, preview)
    return made


def _begin(target: TargetOptions, path: Path, output: str, *, online: bool) -> None:
    """Say what the plan is of; refuse to ask a service that only the default names."""
    if online:
        require_named(target, path.parent)
    elif not target.named and (others := list(ledgers_elsewhere(path.parent, target))):
        note(f"nothing names the target of this plan; {'; '.join(others)}")
    if output == "text":
        say(heading(target, path))
        if not online:
            say("nothing is sent to the target: only --online asks it")


def _check_values(foreseen: Foreseen) -> int:
    """Move those whose value cannot be moved to the invalid ones, and return the bytes of the others."""
    from bulkseed.sources.check_values import check_values

    checked = run_async(check_values, foreseen.to_send)
    foreseen.invalid += checked.refused
    foreseen.to_send = checked.accepted
    return checked.size


async def _ask(chosen: TargetOptions, made: Plan, preview: Preview) -> Preflight:
    from bulkseed.cli.session import beside
    from bulkseed.cli.watching.waiting import tell_while_waiting
    from bulkseed.engine.ask import open_questioner
    from bulkseed.jobs.preflight import check

    names = made.to_send + made.settled.total()

    def so_far() -> str:
        return f"asking which of {names:,} names exist: {service.answered:,} answers so far"

    async with (
        open_target(chosen, made.qps) as target,
        open_questioner(target) as service,
        beside((tell_while_waiting, so_far)),
    ):
        return await check(service, sorted(made.keys), made.instances, preview, names)


def print_plan(made: Plan, output: str) -> None:
    """Print a plan as text or JSON."""
    if output == "json":
        print_json(made.as_dict())
        return
    made.reasons.print()
    pace = "no ceiling" if made.seconds is None else f"{duration(made.seconds)} at {number(made.qps)}/s"
    values = "values were not read" if made.unread else f"{made.size:,} bytes of values"
    where = " at the source" if made.of_source else ""
    changed = f"{made.changed:,} changed{where}, " if made.changed else ""
    say(f"{made.to_create:,} to create, {changed}{pace}, {values}")
    if made.changed:
        more = ", …" if made.changed > NAMED else ""
        say(wrapped(f"  changed: {', '.join(made.changed_names)}{more}", "    "))
    if made.in_doubt:
        say(f"  {made.in_doubt:,} in doubt, as a run was cut off: the next one looks for them first")
    if made.rolled_back:
        say(
            wrapped(
                f"{made.rolled_back:,} of these were rolled back: their names are taken as long as they can "
                "be restored, 30 days unless that rollback said otherwise. --on-delete-window restore takes "
                "them back; after rollback --force the names are free"
            )
        )
    if aliases := sorted(key for key in made.keys if key.startswith("alias/")):
        say(f"note: {aliases[0]} is an alias; what CreateSecret takes as EncryptionKeyId is a key's id")
    print_table({**made.settled, Outcome.INVALID: made.invalid})
    if made.settled:
        count = f"{made.settled.total():,} settled, not compared"
        say(f"{count}: to change a value, raise its VersionId, too, v1 to v2")
    if made.gone_at_source:
        say(made.gone_at_source)
    if made.removed and made.removed.count:
        text = f"settled, and not in the manifest any more: {made.removed}"
        say(wrapped(f"{text}; nothing is deleted for that"))
    if made.online is not None:
        print_online(made.online, made.new if made.lacks_room else None)
    say(
        f"definitions: {made.definitions:,} = {made.to_create:,} to create"
        f"{f' + {made.changed:,} changed' if made.changed else ''}"
        f" + {made.settled.total():,} settled + {made.invalid:,} invalid"
    )
