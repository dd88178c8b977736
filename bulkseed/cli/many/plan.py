"""``bulkseed plan`` over many targets: what each would get, and how long the longest takes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.planning.plan import Plan, PlanScope
from bulkseed.cli.render import print_json, say, wrapped
from bulkseed.errors import UsageError
from bulkseed.humanize import duration
from bulkseed.ledger import read_ledger
from bulkseed.ledger.preview import Preview
from bulkseed.manifest.selection import read_selections
from bulkseed.model import Origin
from bulkseed.targets.manifests import Inputs, RoutedInputs
from bulkseed.targets.run_folder import SUFFIX, is_run_folder, open_run_folder, run_folder_for
from bulkseed.targets.spec import TargetSpec, read_targets

SHOWN = 5
"""Lines that are shown of what goes nowhere."""


class ManyPlanScope(NamedTuple):
    """Which entries are looked at: a file of rejects, so many for each target, and with their values?"""

    only: str | None = None
    limit: int | None = None
    values: bool = False


def plan_targets(many: ManyArguments, inputs: Inputs, wanted: ManyPlanScope, output: str) -> int:
    """Print the plan; write and send nothing. Return 1 if a line is bad or goes nowhere, else 0."""
    specs, folder = _targets(many, inputs.paths)
    names = [spec.name for spec in specs]
    selections = {} if wanted.only is None else read_selections(wanted.only, names)
    nowhere: list[tuple[Origin, str]] = []
    routed = inputs.route(specs, lambda *line: nowhere.append(line) if len(nowhere) < SHOWN else None)
    plans: dict[str, Plan] = {}
    for spec in specs:
        chosen = PlanScope(selections.get(spec.name), wanted.limit, wanted.values)
        plans[spec.name] = _plan(spec, routed, folder / f"{spec.name}{SUFFIX}", chosen)
    code = 1 if routed.unrouted or any(plan.invalid for plan in plans.values()) else 0
    times = [plan.seconds for plan in plans.values() if plan.seconds is not None]
    if output == "json":
        print_json(
            {
                "run": str(folder),
                "lines": routed.lines,
                "unrouted": routed.unrouted,
                "targets": {name: _as_dict(plan) for name, plan in plans.items()},
                "seconds": max(times, default=0.0),
                "exit_code": code,
            }
        )
        return code
    for spec in specs:
        _print(spec, plans[spec.name])
    for origin, why in nowhere:
        say(f"{origin}: goes nowhere: {why}")
    if routed.unrouted > len(nowhere):
        say(f"and {routed.unrouted - len(nowhere):,} more that go nowhere")
    to_send = sum(plan.to_send for plan in plans.values())
    say(f"together: {to_send:,} to send to {len(plans):,} targets, {duration(max(times, default=0.0))}")
    return code


def _targets(many: ManyArguments, manifests: tuple[str, ...]) -> tuple[tuple[TargetSpec, ...], Path]:
    folder = Path(many.run) if many.run is not None else run_folder_for(manifests[0])
    if many.targets is not None:
        return tuple(read_targets(many.targets)), folder
    if not is_run_folder(folder):
        raise UsageError(f"{folder} is not a run folder yet: give --targets FILE")
    return open_run_folder(folder).specs, folder


def _plan(spec: TargetSpec, routed: RoutedInputs, path: Path, wanted: PlanScope) -> Plan:
    made = Plan(path, spec.qps, of_source=False)
    with ExitStack() as stack:
        entries = stack.enter_context(routed.open(spec))
        ledger = stack.enter_context(read_ledger(path)) if path.exists() else None
        preview = stack.enter_context(Preview(ledger))
        # On a cluster manifests are read by their absolute paths.
        names = (*entries.paths, *(str(Path(path).absolute()) for path in entries.paths))
        made.fill(entries, ledger, preview, wanted, names)
    return made


def _as_dict(plan: Plan) -> dict[str, Any]:
    """Return the JSON of one target: that of its plan alone, with what is settled as a number."""
    told = plan.as_dict()
    del told["exit_code"]
    return {
        **told,
        "settled": plan.settled.total(),
        "settled_as": told["settled"],
        "invalid_reasons": told["reasons"],
    }


def _print(spec: TargetSpec, plan: Plan) -> None:
    parts = [f"{plan.to_send:,} to send, {plan.pace}"]
    parts += [f"{plan.changed:,} of them changed"] if plan.changed else []
    parts += [f"{plan.settled.total():,} settled"] if plan.settled else []
    parts += [f"{plan.invalid:,} invalid"] if plan.invalid else []
    say(f"{spec.name} ({spec.region}): {'; '.join(parts)}")
    plan.reasons.print()
    for line in (*plan.of_changes(), *plan.of_settled()):
        say(wrapped(f"  {line.strip()}", "    "))
