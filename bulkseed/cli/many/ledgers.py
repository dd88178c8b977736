"""Commands that take a ledger take a run folder, and then do the same for each of its ledgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bulkseed.cli.render import print_json, say
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.targets.run_folder import is_run_folder, open_run_folder
from bulkseed.targets.spec import TargetSpec


def ledgers_in(path: str) -> Iterator[tuple[str | None, Path]]:
    """Yield name and ledger of each target of a run folder that was begun; a ledger alone has no name.

    Raises:
        LedgerError: it is a run folder that cannot be read.
    """
    if not is_run_folder(path):
        yield None, Path(path)
        return
    folder = open_run_folder(path)
    for spec in folder.specs:
        if _is_begun(folder.ledger(spec.name)):
            yield spec.name, folder.ledger(spec.name)


def not_begun(path: str | Path) -> list[tuple[TargetSpec, int]]:
    """Return the targets of a run folder without any run on record, and how many definitions wait for each.

    Raises:
        LedgerError: it is a run folder that cannot be read.
    """
    if not is_run_folder(path):
        return []
    folder = open_run_folder(path)
    counted = folder.surveyed().definitions
    return [(s, counted.get(s.name, 0)) for s in folder.specs if not _is_begun(folder.ledger(s.name))]


def _is_begun(path: Path) -> bool:
    """Tell whether a ledger has a run; one that cannot be read may have."""
    from bulkseed.ledger import read_ledger

    try:
        with read_ledger(path) as ledger:
            return ledger.last_run() is not None
    except LedgerError:
        return path.exists()


def with_target(row: Mapping[str, object], target: str | None) -> Mapping[str, object]:
    """Return a row that says which target it is of."""
    return row if target is None else {"target": target, **row}


def for_each(path: str, output: str, show: Callable[[str, str | None], int]) -> int:
    """Call `show` with each ledger of a run folder and its target's name; return the worst exit code.

    A text stands below that name; in JSON each ledger is an object on a line of its own, with ``target``.
    What is wrong with one ledger of a folder leaves the others alone.
    """
    worst = 0
    for target, ledger in ledgers_in(path):
        if target is None:
            return show(str(ledger), None)
        if output == "text":
            say(f"target {target}")
        try:
            worst = max(worst, show(str(ledger), target))
        except BulkseedError as error:
            say(f"{target}: {error}", err=True)
            worst = max(worst, error.exit_code)
    return worst


def tell_not_begun(path: str, output: str) -> bool:
    """Tell of each target that was not begun; return True if definitions wait for one of them."""
    waiting = not_begun(path)
    for spec, expected in waiting:
        if output == "json":
            print_json({"target": spec.name, "not_begun": expected})
        else:
            say(f"target {spec.name}\nnot begun; the manifest has {expected:,} for it")
    return any(count for _, count in waiting)
