"""``bulkseed report``: a ledger as one HTML file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkseed.cli.render import note, say
from bulkseed.errors import LedgerError, UsageError, how_to_install
from bulkseed.report.page_file import write_page

if TYPE_CHECKING:
    from bulkseed.report.numbers import Numbers


@click.command()
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="The page.  [default: <ledger's stem>.report.html; in a run folder, report.html]",
)
@click.option(
    "--verify",
    "verified",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="LEDGER",
    help="The ledger of the verify that followed.  [default: the one beside LEDGER of its target]",
)
@click.option("--force", is_flag=True, help="Replace a file that is no page of bulkseed, too.")
def report(ledger: Path, output: Path | None, verified: Path | None, force: bool) -> int:
    """Write a self-contained page that proves what happened, and print its path.

    It shows outcomes, what failed and what to do, the pace against the quota, latencies, runs and the audit.
    It opens from disk, needs no network, and has no secret value, since the ledger has none. Of a run folder
    it is a table of the targets, and each target has its page beside it. Its owner alone may read it.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where its cache lies is not the user's concern
    try:
        from bulkseed.report.page import render
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"a report needs more packages ({missing.name}): {how_to_install('report')}"
        ) from None
    import bulkseed
    from bulkseed.targets.run_folder import is_run_folder

    worst = 0
    if is_run_folder(ledger):
        path = output or ledger / "report.html"
        page, worst = _page_of_targets(ledger, path, force=force)
    else:
        path = output or Path(ledger.name.removesuffix(".db").removesuffix(".ledger") + ".report.html")
        if path.exists() and ledger.exists() and path.samefile(ledger):
            raise UsageError(f"{path} is the ledger itself: choose another -o")
        numbers = _numbers(ledger)
        page = render(numbers, bulkseed.__version__, _verification(ledger, numbers, verified))
    write_page(path, page, force=force)
    click.echo(path)
    return worst


def _numbers(path: Path) -> Numbers:
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.audit.run import audit
    from bulkseed.ledger.sqlite.file import in_words
    from bulkseed.report.numbers import Check, read_numbers

    with read_ledger(path) as opened, in_words(path):
        checks = [Check(finding.name, finding.holds, finding.detail) for finding in audit(opened)]
        return read_numbers(opened, path.name, checks)


def _verification(ledger: Path, applied: Numbers, given: Path | None) -> Numbers | None:
    """Return the numbers of the verify that followed an apply.

    Raises:
        UsageError: the ledger that was given is of something else.
    """
    from bulkseed.report.verified import find_verify, with_names_apart

    if applied.is_verify:
        return None
    path = given
    if path is None:
        path, left_aside = find_verify(ledger)
        if left_aside:
            note(f"not on the page: {left_aside}")
    if path is None:
        return None
    numbers = _numbers(path)
    same = (numbers.binding, numbers.region) == (applied.binding, applied.region)
    if same and numbers.is_verify:
        other = numbers.sorted_names_digest != applied.sorted_names_digest
        return with_names_apart(numbers, path, ledger) if other else numbers
    raise UsageError(f"{path} is no ledger of a verify of the same target")


def _page_of_targets(folder: Path, path: Path, *, force: bool) -> tuple[str, int]:
    """Write a page for each target of a run beside `path`; return what leads to them, and the exit code."""
    import bulkseed
    from bulkseed.cli.many.ledgers import ledgers_in, not_begun
    from bulkseed.report.page import render
    from bulkseed.report.targets_page import TargetRow, render_targets
    from bulkseed.targets.run_folder import open_run_folder

    run, worst = open_run_folder(folder), 0
    counted, regions = run.surveyed().definitions, {spec.name: spec.region for spec in run.specs}
    rows = [TargetRow.without_ledger(s.name, s.region, "not begun", n) for s, n in not_begun(folder)]
    for target, ledger in ledgers_in(str(folder)):
        name = str(target)
        try:
            page, numbers = path.with_name(f"{path.stem}.{name}.html"), _numbers(ledger)
            verified = _verification(ledger, numbers, None)
        except LedgerError as error:
            say(f"{name}: {error}", err=True)
            rows.append(TargetRow.without_ledger(name, regions[name], "cannot be read", counted.get(name, 0)))
            worst = error.exit_code
            continue
        write_page(page, render(numbers, bulkseed.__version__, verified), force=force)
        rows.append(TargetRow.of(name, page.name, numbers, verified, counted.get(name, 0)))
    return render_targets(folder.name, rows, run.count_unrouted(), bulkseed.__version__), worst
