"""Commands that take a ledger take a run folder, and then do the same for each of its ledgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bulkseed.cli.render import say
from bulkseed.targets.run_folder import is_run_folder, open_run_folder


def ledgers_in(path: str) -> Iterator[tuple[str | None, Path]]:
    """Yield the target's name and ledger for each target of a run folder; a ledger alone has no name.

    Raises:
        LedgerError: it is a run folder that cannot be read.
    """
    if not is_run_folder(path):
        yield None, Path(path)
        return
    folder = open_run_folder(path)
    for spec in folder.specs:
        if folder.ledger(spec.name).exists():
            yield spec.name, folder.ledger(spec.name)


def with_target(row: Mapping[str, object], target: str | None) -> Mapping[str, object]:
    """Return a row that says which target it is of."""
    return row if target is None else {"target": target, **row}


def for_each(path: str, output: str, show: Callable[[str, str | None], int]) -> int:
    """Call `show` with each ledger of a run folder and its target's name; return the worst exit code.

    A text stands below that name; in JSON each ledger is an object on a line of its own, with ``target``.
    """
    worst = 0
    for target, ledger in ledgers_in(path):
        if target is not None and output == "text":
            say(f"target {target}")
        worst = max(worst, show(str(ledger), target))
    return worst
