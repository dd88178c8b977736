"""``bulkseed manual``: the pages of the manual in the terminal."""

from __future__ import annotations

import difflib
import os
import sys
from importlib.resources import files

import click

from bulkseed.errors import UsageError

WIDTH = 100
"""The widest that text is set, however wide the terminal is."""


def pages() -> dict[str, str]:
    """Return every page's text by its name, in the order of the names."""
    found = {
        entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8")
        for entry in files("bulkseed").joinpath("manual").iterdir()
        if entry.name.endswith(".md")
    }
    return dict(sorted(found.items()))


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


@click.command()
@click.argument("page", required=False)
@click.option("--list", "list_", is_flag=True, help="Name the pages.")
def manual(page: str | None, list_: bool) -> int:
    """Show a page of the manual; without PAGE, name them.

    Examples:
      bulkseed manual first-hour
      bulkseed manual failures | grep -A1 Throttling
    """
    known = pages()
    if page is None or list_:
        width = max(map(len, known))
        for name, text in known.items():
            click.echo(f"{name:{width}}  {_title(text)}")
        return 0
    name = page.removesuffix(".md")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "bulkseed manual --list names them"
        raise UsageError(f"the manual has no page {page!r}; {hint}")
    _show(known[name])
    return 0


def _show(text: str) -> None:
    """Print a page: set by rich, with a pager, on a terminal; as it is written everywhere else."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-RF")  # less shows colours, and ends by itself where a page fits
    console = Console()
    console.width = min(console.width, WIDTH)
    with console.pager(styles=True):
        console.print(Markdown(text))
