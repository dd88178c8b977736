"""``bulkseed plan``: what apply would do, from the manifests and the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click

from bulkseed.cli import options as o
from bulkseed.cli.render import print_json
from bulkseed.model import InvalidLine, Outcome
from bulkseed.report.words import duration

BLOCK = 2048


@click.command()
@o.manifest_options
@o.qps_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a definition and do nothing else.")
@o.output_option
def plan(**given: Any) -> int:
    """Say what apply would do with MANIFEST…; send and write nothing.

    Exit codes: 0 every line is good, 1 some are not, 2 usage, 4 the ledger cannot be read.
    """
    if given["schema"]:
        from bulkseed.manifest.schema import definition_schema

        print_json(definition_schema())
        return 0
    o.need_manifests(given["manifests"])
    made = make_plan(given)
    print_plan(made, given["output"])
    return made.exit_code


@dataclass(slots=True)
class Plan:
    """What a run would do. `size` counts the bytes of the values to be sent."""

    ledger: Path
    qps: float
    definitions: int = 0
    to_send: int = 0
    size: int = 0
    settled: Counter[Outcome] = field(default_factory=Counter)
    invalid: list[InvalidLine] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """The time that sending takes at the quota; None without a ceiling."""
        return self.to_send / self.qps if self.qps else None

    @property
    def exit_code(self) -> int:
        """0 when every line is good."""
        return 1 if self.invalid else 0

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--output json`` prints."""
        return {
            "ledger": str(self.ledger),
            "definitions": self.definitions,
            "to_send": self.to_send,
            "bytes": self.size,
            "settled": {outcome.value: count for outcome, count in self.settled.items()},
            "invalid": [
                {"manifest": line.origin.manifest, "line": line.origin.line, "reasons": list(line.reasons)}
                for line in self.invalid
            ],
            "limit_qps": self.qps,
            "seconds": self.seconds,
            "exit_code": self.exit_code,
        }


def make_plan(given: Mapping[str, Any]) -> Plan:
    """Read the manifests and look each definition up in the ledger, if there is one."""
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.preview import Preview

    made = Plan(o.ledger_path_for(given["manifests"], given["ledger_path"]), given["qps"])
    with ExitStack() as stack:
        entries = stack.enter_context(o.open_manifests(given))
        ledger = stack.enter_context(read_ledger(made.ledger)) if made.ledger.exists() else None
        preview = stack.enter_context(Preview(ledger))
        while block := list(islice(entries, BLOCK)):
            foreseen = preview.look(block)
            made.definitions += len(block)
            made.to_send += len(foreseen.to_send)
            made.size += sum(len(d.data.reveal().encode()) for d in foreseen.to_send)
            made.settled += foreseen.settled
            made.invalid += foreseen.invalid
    return made


def print_plan(made: Plan, output: str) -> None:
    """Print a plan as text or JSON."""
    if output == "json":
        print_json(made.as_dict())
        return
    for line in made.invalid:
        click.echo(f"{line.origin}: {'; '.join(line.reasons)}")
    pace = "no ceiling" if made.seconds is None else f"{duration(made.seconds)} at {made.qps:g}/s"
    click.echo(f"{made.to_send:,} to create, {pace}, {made.size:,} bytes of values")
    if made.settled:
        parts = ", ".join(f"{count:,} {outcome.value}" for outcome, count in made.settled.items())
        click.echo(f"{made.settled.total():,} settled already: {parts}")
    if made.invalid:
        click.echo(f"{len(made.invalid):,} invalid, never sent: see above")
    click.echo(
        f"definitions: {made.definitions:,} = {made.to_send:,} to create"
        f" + {made.settled.total():,} settled + {len(made.invalid):,} invalid"
    )
