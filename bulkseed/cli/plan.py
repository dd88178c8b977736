"""``bulkseed plan``: what apply would do, from the manifests and the ledger alone."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli import options as o
from bulkseed.cli.arguments import option, takes
from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.planning.online import print_online
from bulkseed.cli.planning.plan import Plan, PlanScope
from bulkseed.cli.process import run_async
from bulkseed.cli.render import heading, note, print_json, print_table, say, wrapped
from bulkseed.cli.sources import SourceArguments
from bulkseed.cli.target import (
    TargetArguments,
    TargetOptions,
    ledgers_elsewhere,
    open_target,
    require_named,
    require_same_target,
)
from bulkseed.model import Outcome

if TYPE_CHECKING:  # what only asking a service needs is imported when it is asked
    from bulkseed.jobs.preflight import Preflight
    from bulkseed.ledger.preview import Preview


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
        from bulkseed.cli.many.plan import ManyPlanScope, plan_targets

        given.many.require_alone("online")
        wanted = ManyPlanScope(given.only, values=given.values)
        with inputs_of(given.manifest, given.source) as inputs:
            return plan_targets(given.many, inputs, wanted, given.output)
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


def make_plan(given: PlanArguments, *, online: bool = False) -> Plan:
    """Read the manifests, look each definition up in the ledger, and ask the service if that is wanted."""
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.preview import Preview
    from bulkseed.manifest.selection import read_selection
    from bulkseed.policy.jobs import APPLY

    path = o.ledger_path_for(given.manifest.manifests, given.ledger_path)
    target = given.target.chosen(path)
    made = Plan(path, given.qps, o.looks_like_source(given.manifest.manifests[0]))
    with ExitStack() as stack:
        manifest = stack.enter_context(o.open_entries(given.manifest, given.source))
        ledger = stack.enter_context(read_ledger(made.ledger)) if made.ledger.exists() else None
        selection = read_selection(given.only) if given.only else None
        if ledger is not None:
            require_same_target(ledger, target)
            ledger.require_shared_with(APPLY)
        _begin(target, path, given.output, online=online)
        preview = stack.enter_context(Preview(ledger))
        made.fill(manifest, ledger, preview, PlanScope(selection, given.limit, given.values), manifest.paths)
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
    values = "values were not read" if made.unread else f"{made.size:,} bytes of values"
    where = " at the source" if made.of_source else ""
    changed = f"{made.changed:,} changed{where}, " if made.changed else ""
    say(f"{made.to_create:,} to create, {changed}{made.pace}, {values}")
    for line in made.of_changes():
        say(wrapped(line, "    "))
    print_table({**made.settled, Outcome.INVALID: made.invalid})
    for line in made.of_settled():
        say(wrapped(line))
    if made.online is not None:
        print_online(made.online, made.new if made.lacks_room else None)
    say(
        f"definitions: {made.definitions:,} = {made.to_create:,} to create"
        f"{f' + {made.changed:,} changed' if made.changed else ''}"
        f" + {made.settled.total():,} settled + {made.invalid:,} invalid"
    )
