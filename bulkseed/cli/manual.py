"""``bulkseed manual``: the pages of the manual in the terminal."""

from __future__ import annotations

import difflib
import os
import re
import sys
from importlib.resources import files

import click

from bulkseed.errors import UsageError

LAST = {"changelog", "commands", "failures"}
"""Pages that hold nearly every word, and explain few."""
MOST_NAMED = 5
_MARKS = re.compile(r"^<!-- [^\n]* -->\n", re.MULTILINE)
"""What the pages say to the tests about their blocks."""
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
@click.option("--search", metavar="WORD", help="Name the pages and headings under which a word stands.")
def manual(page: str | None, list_: bool, search: str | None) -> int:
    """Show a page of the manual; without PAGE, name them.

    Examples:
      bulkseed manual first-hour
      bulkseed manual --search rotate
      bulkseed manual failures | grep -A1 Throttling
    """
    known = pages()
    if search is not None:
        return _search(known, search)
    if page is None or list_:
        width = max(map(len, known))
        for name, text in known.items():
            click.echo(f"{name:{width}}  {_title(text)}")
        return 0
    name = page.removesuffix(".md")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.8)
        holding = list(dict.fromkeys(found for found, _ in places(known, name)))[:MOST_NAMED]
        hints = [f"did you mean {' or '.join(near)}?"] if near else []
        hints += [f"the word is on: {', '.join(holding)}"] if holding else []
        hint = "; ".join(hints) or "bulkseed manual --list names them"
        raise UsageError(f"the manual has no page {page!r}; {hint}")
    _show(known[name])
    return 0


def places(known: dict[str, str], word: str) -> list[tuple[str, str]]:
    """Return the pages and headings where a word begins like `word`, in whatever case; else where one has it.

    First come those whose heading has it, then those where it stands most often.
    """
    begins = re.compile(rf"(?<!\w){re.escape(word)}", re.IGNORECASE)
    return _places(known, begins) or _places(known, re.compile(re.escape(word), re.IGNORECASE))


def _places(known: dict[str, str], wanted: re.Pattern[str]) -> list[tuple[str, str]]:
    found = []
    for page, text in known.items():
        for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
            heading = part.partition("\n")[0]
            if times := len(wanted.findall(part)):
                found.append((not wanted.search(heading), page in LAST, -times, page, heading))
    return [(page, heading) for *_, page, heading in sorted(found)]


def _search(known: dict[str, str], word: str) -> int:
    found = places(known, word)
    width = max((len(page) for page, _ in found), default=0)
    for page, heading in found:
        click.echo(f"{page:{width}}  {heading}")
    if not found:
        click.echo(f"no page of the manual has {word!r}", err=True)
    return 0 if found else 1


def _show(text: str) -> None:
    """Print a page: set by rich, with a pager, on a terminal; as it is written everywhere else."""
    text = _MARKS.sub("", text)
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.markdown import Markdown, TableElement
    from rich.table import Table

    class FoldedTable(TableElement):
        """A table that breaks a long word rather than cut it off: codes are looked for and pasted."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for made in super().__rich_console__(console, options):
                if isinstance(made, Table):
                    for column in made.columns:
                        column.overflow = "fold"
                yield made

    class FoldedPage(Markdown):
        elements = Markdown.elements | {"table_open": FoldedTable}

    os.environ.setdefault("LESS", "-RF")  # less shows colours, and ends by itself where a page fits
    console = Console()
    console.width = min(console.width, WIDTH)
    with console.pager(styles=True):
        console.print(FoldedPage(text))
