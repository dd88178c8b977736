"""``bulkseed report``: a ledger as one HTML file."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from bulkseed.errors import UsageError, how_to_install


@click.command()
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="The page.  [default: <ledger's stem>.report.html]",
)
def report(ledger: Path, output: Path | None) -> int:
    """Write a self-contained page that proves what happened, and print its path.

    It shows outcomes, what failed and what to do, the pace against the quota, latencies, runs and the audit.
    It opens from disk, needs no network, and has no secret value, since the ledger has none.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where its cache lies is not the user's concern
    try:
        from bulkseed.report.page import render
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"a report needs more packages ({missing.name}): {how_to_install('report')}"
        ) from None
    import bulkseed
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.audit.run import audit
    from bulkseed.ledger.sqlite.file import in_words
    from bulkseed.report.numbers import Check, read_numbers

    path = output or Path(ledger.name.removesuffix(".db").removesuffix(".ledger") + ".report.html")
    if path.exists() and ledger.exists() and path.samefile(ledger):
        raise UsageError(f"{path} is the ledger itself: choose another -o")
    with read_ledger(ledger) as opened, in_words(ledger):
        checks = [Check(finding.name, finding.holds, finding.detail) for finding in audit(opened)]
        numbers = read_numbers(opened.connection, ledger.name, checks)
    _write(path, render(numbers, bulkseed.__version__))
    click.echo(path)
    return 0


def _write(path: Path, page: str) -> None:
    """Put the page in its place all at once, with the mode that the umask leaves.

    Raises:
        UsageError: it cannot be written there.
    """
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        try:
            with part.open("x", encoding="utf-8", errors="replace") as file:
                file.write(page)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
