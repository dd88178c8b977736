"""The parts of the README that the code writes: the reference of commands, the failure table, the schema.

``python tests/support/reference.py`` writes them anew; a test holds the README to them.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import click

from bulkseed.cli.app import COMMANDS, app
from bulkseed.cli.events import EVENTS
from bulkseed.cli.numbers import LATENCY, NUMBERS
from bulkseed.ledger.schema import TABLES
from bulkseed.policy.advice import ADVICE

README = Path(__file__).parents[2] / "README.md"


def commands() -> str:
    """Return the help of every command."""
    parts = []
    with click.Context(app, info_name="bulkseed") as top:
        for name, (_, does) in sorted(COMMANDS.items()):
            command = app.get_command(top, name)
            assert command is not None
            parts.append(_help(command, name, top, does))
    return "\n".join(parts)


def _help(command: click.Command, name: str, parent: click.Context, does: str) -> str:
    texts = []
    with click.Context(
        command, info_name=name, parent=parent, max_content_width=100, terminal_width=100
    ) as ctx:
        texts.append(command.get_help(ctx))
        if isinstance(command, click.Group):
            for sub_name, sub in sorted(command.commands.items()):
                with click.Context(
                    sub, info_name=sub_name, parent=ctx, max_content_width=100, terminal_width=100
                ) as sub_ctx:
                    texts.append(sub.get_help(sub_ctx))
    body = "\n\n".join(texts)
    title = f"<summary><code>bulkseed {name}</code>: {does}</summary>"
    return f"<details>{title}\n\n```text\n{body}\n```\n\n</details>\n"


def failures() -> str:
    """Return the table of codes."""
    rows = [f"| `{code}` | {told.meaning} | {told.action} |" for code, told in ADVICE.items()]
    return "\n".join(["| code | what it means | what to do |", "|---|---|---|", *rows]) + "\n"


def schema() -> str:
    """Return the ledger's tables with their comments."""
    return "```sql\n" + "\n\n".join(f"{table.strip()};" for table in TABLES) + "\n```\n"


def watching() -> str:
    """Return the tables of log events and of metrics."""
    events = [
        f"| `{name}` | {logging.getLevelName(level).lower()} | {does} |"
        for name, (level, does) in EVENTS.items()
    ]
    numbers = [
        f"| `{name}{'' if number.gauge else '_total'}` | {number.meaning} |"
        for name, number in NUMBERS.items()
    ]
    numbers.append(f"| `{LATENCY}` | time from a request's write to its reply (histogram) |")
    tables = [
        ["| event | level | meaning |", "|---|---|---|", *events],
        ["| metric | meaning |", "|---|---|", *numbers],
    ]
    return "\n\n".join("\n".join(table) for table in tables) + "\n"


SECTIONS = {"commands": commands, "failures": failures, "schema": schema, "watching": watching}


def updated(text: str) -> str:
    """Return the README's text with every generated part written anew."""
    for name, write in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert pattern.search(text), f"README has no part {name}"
        body = write()
        text = pattern.sub(lambda found, body=body: f"{found[1]}{body}{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
