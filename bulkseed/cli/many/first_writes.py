"""The question before new ledgers of many targets are begun at the public service."""

from __future__ import annotations

import sys

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.session import ask_at_terminal, has_runs
from bulkseed.targets.apply import endpoint_of
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.spec import read_targets
from bulkseed.transport.endpoint import is_public

NAMED = 10


def confirm_first_writes(many: ManyArguments, manifests: tuple[str, ...], *, yes: bool) -> None:
    """Ask once at a terminal, with the targets that have no run yet and are at the public service.

    Raises:
        UsageError: the answer is no, or the targets file makes no sense.
    """
    if yes or many.targets is None or not sys.stderr.isatty():
        return
    folder = RunFolder(many.path(manifests), tuple(read_targets(many.targets)))
    new = [
        f"target: {spec.name}: {endpoint_of(spec)} ({spec.region})"
        for spec in folder.specs
        if is_public(endpoint_of(spec)) and not has_runs(folder.ledger(spec.name))
    ]
    if not new:
        return
    more = [f"and {len(new) - NAMED:,} more targets"] if len(new) > NAMED else []
    lines = [*new[:NAMED], *more, f"ledgers: {folder.path} (none of these is begun)"]
    ask_at_terminal("\n".join(lines), f"{len(new):,} targets at the public service. Write there? [y/N] ")
