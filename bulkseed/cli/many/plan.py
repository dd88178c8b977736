"""``bulkseed plan`` over many targets: what each would get, and how long the longest takes."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.planning.invalid_lines import InvalidLines
from bulkseed.cli.render import print_json, say
from bulkseed.errors import UsageError
from bulkseed.humanize import duration, number
from bulkseed.ledger import read_ledger
from bulkseed.ledger.preview import Preview
from bulkseed.model import Origin
from bulkseed.targets.manifests import Inputs, RoutedInputs
from bulkseed.targets.run_folder import SUFFIX, is_run_folder, open_run_folder, run_folder_for
from bulkseed.targets.spec import TargetSpec, read_targets

BLOCK = 2048
SHOWN = 5
"""Lines that are shown of what goes nowhere."""


@dataclass(slots=True)
class TargetPlan:
    """What a run would do with one target."""

    spec: TargetSpec
    definitions: int = 0
    to_send: int = 0
    invalid: int = 0
    settled: int = 0
    reasons: InvalidLines = field(default_factory=InvalidLines)

    @property
    def seconds(self) -> float | None:
        """The time that sending takes at the quota; None without a ceiling."""
        return self.to_send / self.spec.qps if self.spec.qps else None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON of one target."""
        return {
            "definitions": self.definitions,
            "to_send": self.to_send,
            "settled": self.settled,
            "invalid_count": self.invalid,
            "invalid_reasons": self.reasons.as_list(),
            "limit_qps": self.spec.qps,
            "seconds": self.seconds,
        }


def plan_targets(many: ManyArguments, inputs: Inputs, output: str) -> int:
    """Print the plan; write and send nothing. Return 1 if a line is bad or goes nowhere, else 0."""
    specs, folder = _targets(many, inputs.paths)
    nowhere: list[tuple[Origin, str]] = []
    routed = inputs.route(specs, lambda *line: nowhere.append(line) if len(nowhere) < SHOWN else None)
    plans = [_plan(spec, routed, folder / f"{spec.name}{SUFFIX}") for spec in specs]
    code = 1 if routed.unrouted or any(plan.invalid for plan in plans) else 0
    times = [plan.seconds for plan in plans if plan.seconds is not None]
    if output == "json":
        print_json(
            {
                "run": str(folder),
                "lines": routed.lines,
                "unrouted": routed.unrouted,
                "targets": {plan.spec.name: plan.as_dict() for plan in plans},
                "seconds": max(times, default=0.0),
                "exit_code": code,
            }
        )
        return code
    for plan in plans:
        _print(plan)
    for origin, why in nowhere:
        say(f"{origin}: goes nowhere: {why}")
    if routed.unrouted > len(nowhere):
        say(f"and {routed.unrouted - len(nowhere):,} more that go nowhere")
    to_send = sum(plan.to_send for plan in plans)
    say(f"together: {to_send:,} to send to {len(plans):,} targets, {duration(max(times, default=0.0))}")
    return code


def _targets(many: ManyArguments, manifests: tuple[str, ...]) -> tuple[tuple[TargetSpec, ...], Path]:
    folder = Path(many.run) if many.run is not None else run_folder_for(manifests[0])
    if many.targets is not None:
        return tuple(read_targets(many.targets)), folder
    if not is_run_folder(folder):
        raise UsageError(f"{folder} is not a run folder yet: give --targets FILE")
    return open_run_folder(folder).specs, folder


def _plan(spec: TargetSpec, routed: RoutedInputs, path: Path) -> TargetPlan:
    made = TargetPlan(spec)
    with ExitStack() as stack:
        entries = stack.enter_context(routed.open(spec))
        ledger = stack.enter_context(read_ledger(path)) if path.exists() else None
        preview = stack.enter_context(Preview(ledger))
        while block := list(islice(iter(entries), BLOCK)):
            seen = preview.look(block)
            made.definitions += len(block)
            made.to_send += len(seen.to_send)
            made.settled += Counter(seen.settled).total()
            made.invalid += len(seen.invalid)
            for line in seen.invalid:
                made.reasons.add(line)
    return made


def _print(plan: TargetPlan) -> None:
    spec = plan.spec
    pace = "no ceiling" if plan.seconds is None else f"{duration(plan.seconds)} at {number(spec.qps)}/s"
    parts = [f"{plan.to_send:,} to send, {pace}"]
    parts += [f"{plan.settled:,} settled"] if plan.settled else []
    parts += [f"{plan.invalid:,} invalid"] if plan.invalid else []
    say(f"{spec.name} ({spec.region}): {'; '.join(parts)}")
    plan.reasons.print()
