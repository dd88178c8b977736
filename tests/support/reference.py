"""The parts of README and manual that the code writes: commands, failures, the schema, benchmarks.

``python tests/support/reference.py`` writes them anew; a test holds the pages to them.
"""

from __future__ import annotations

import json
import logging
import re
import statistics
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from bulkseed.cli.app import COMMANDS, app
from bulkseed.cli.watching.events import EVENTS
from bulkseed.cli.watching.telemetry import LATENCY, METRICS
from bulkseed.ledger.sqlite.schema import TABLES
from bulkseed.model import QuotaGroup
from bulkseed.policy.advice import ADVICE
from bulkseed.wire.actions.table import ACTIONS

ROOT = Path(__file__).parents[2]
RESULTS = "benchmarks/results"


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
    return f"## bulkseed {name}\n\n{does[0].upper()}{does[1:]}.\n\n```text\n{body}\n```\n"


def failures() -> str:
    """Return the table of codes."""
    rows = [f"| `{code}` | {told.meaning} | {told.action} |" for code, told in ADVICE.items()]
    return "\n".join(["| code | what it means | what to do |", "|---|---|---|", *rows]) + "\n"


def actions() -> str:
    """Return the actions that the local KMS answers, by the quota that they share."""
    groups: dict[QuotaGroup, list[str]] = {group: [] for group in QuotaGroup}
    for name, action in sorted(ACTIONS.items()):
        groups[action.group].append(name)
    rows = [f"| {group.value} | {', '.join(names)} |" for group, names in groups.items()]
    return "\n".join(["| quota | actions |", "|---|---|", *rows]) + "\n"


def absent() -> str:
    """Return the actions that the vendor's SDK has and the local KMS has not."""
    package = find_spec("alibabacloud_kms20160120")
    assert package is not None
    assert package.origin is not None
    text = (Path(package.origin).parent / "client.py").read_text(encoding="utf-8")
    names = sorted(set(re.findall(r"\baction\s*=\s*'(\w+)'", text)) - ACTIONS.keys())
    return ", ".join(names) + "\n"


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
        for name, number in METRICS.items()
    ]
    numbers.append(f"| `{LATENCY}` | time from a request's write to its reply (histogram) |")
    tables = [
        ["| event | level | meaning |", "|---|---|---|", *events],
        ["| metric | meaning |", "|---|---|", *numbers],
    ]
    return "\n\n".join("\n".join(table) for table in tables) + "\n"


def benchmarks() -> str:
    """Return the comparison's table, and a line for each of the other results that are kept."""
    told = _result("comparison")
    http, https = told["figures"]["http"], told["figures"]["https"]
    ours = next(iter(http[0]))
    lines = [
        f"`{told['command']}` on {told['about']} Medians of {len(http)} rounds (and ranges):\n",
        f"| client | secrets a second | {ours} against it | over HTTPS | {ours} against it |",
        "|---|---|---|---|---|",
    ]
    for client in http[0]:
        cells = [*_cells(http, ours, client), *_cells(https, ours, client)]
        lines.append(f"| {client} | {' | '.join(cells)} |")
    picture = f"[SVG]({RESULTS}/comparison.svg), [PNG]({RESULTS}/comparison.png)"
    lines.append(
        f"\nAs a picture: {picture}. All results, with ranges and CPU times: [{RESULTS}]({RESULTS}).\n"
    )
    for name, (title, tell) in OTHERS.items():
        if (ROOT / RESULTS / f"{name}.json").exists():
            lines.append(f"- [{title}]({RESULTS}/{name}.md): {tell(_result(name)['figures'])}.")
    return "\n".join([*lines, "", *_targets_table()]) + "\n"


def _targets_table() -> list[str]:
    """Return what one process does with more and more targets, as their services count it."""
    lines = [
        "| targets in one process | quota used: least, mean | most in any second, of 10 | cores | memory |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in _result("targets")["figures"]:
        least, mean = row["used"]
        lines.append(
            f"| {row['targets']} | {least:.1%}, {mean:.1%} | {row['worst_second']} | {row['cores']} "
            f"| {row['peak_mib']} MiB |"
        )
    return lines


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _cells(rounds: list[dict[str, dict[str, float]]], ours: str, client: str) -> tuple[str, str]:
    """Return a client's rate, and how much faster ours was, round by round."""
    if client not in rounds[0]:
        return "", ""
    rates = [one[client]["per_second"] for one in rounds]
    ratios = [one[ours]["per_second"] / one[client]["per_second"] for one in rounds]
    spread = f"{statistics.median(ratios):.3g}x ({min(ratios):.3g}-{max(ratios):.3g})"
    return f"{statistics.median(rates):,.0f}", "" if client == ours else spread


def _quota(courses: list[dict[str, Any]]) -> str:
    told = []
    for course in courses:
        refused, lost = len(course["refused"]), course["secrets"] - len(course["accepted"])
        took = max(course["accepted"], default=0.0)
        told.append(f"{course['client']}: {refused:,} / {lost:,} / {took:.1f} s")
    what = f"{courses[0]['secrets']:,} secrets at {courses[0]['limit']} a second"
    return f"{what}, with jitter; requests refused / secrets lost / time: {'; '.join(told)}"


def _ledger_cost(figures: dict[str, list[Sequence[float]]]) -> str:
    pairs = zip(figures["ledger"], figures["none"], strict=True)
    slower = statistics.median(kept[0] / none[0] - 1 for kept, none in pairs)
    return f"claims before sends and durable answers make a run {slower:.1%} slower than none"


def _resume(figures: dict[str, Any]) -> str:
    rate = statistics.median(figures["per_second"])
    return f"{figures['definitions']:,} finished definitions pass at {rate:,.0f} a second, nothing is sent"


def _memory(peaks: list[dict[str, Any]]) -> str:
    told = [f"{peak['mib']:.0f} MiB ({peak['definitions']:,}, {peak['run']})" for peak in peaks]
    return f"the whole command peaks at {', '.join(told)}"


def _local_kms(rounds: list[Any]) -> str:
    safe = "signatures checked, sealed and on disk"
    if isinstance(rounds[0], dict):  # as 0.1.0 wrote it
        rate, cpu = (statistics.median(one[key] for one in rounds) for key in ("per_second", "cpu_us"))
        return f"{rate:,.0f} creates a second, {safe}, {cpu:.0f} µs of CPU each"
    creates, create_us, reads, read_us = (
        statistics.median(own[key] for own, *_ in rounds)
        for key in ("creates", "create_us", "reads", "read_us")
    )
    made = f"{creates:,.0f} creates a second, {safe}, {create_us:.0f} µs of CPU each"
    return f"{made}; {reads:,.0f} reads, {read_us:.0f} µs"


def _targets(rows: list[dict[str, Any]]) -> str:
    seconds = rows[0]["secrets"] / rows[0]["targets"] / 10
    return (
        f"each at ten a second for {seconds:.0f} s, counted at services in processes of their own: see below"
    )


def _cluster(figures: list[dict[str, Any]]) -> str:
    told = []
    for row in figures:
        pairs = row["rounds"]
        longer = statistics.median(there["elapsed_s"] / here["elapsed_s"] for here, there in pairs)
        dearer = statistics.median(
            sum(there["cpu_s"].values()) / sum(here["cpu_s"].values()) for here, there in pairs
        )
        used, worst = pairs[0][1]["used"][1], max(there["worst_second"] for _, there in pairs)
        told.append(
            f"{row['targets']} targets on {row['workers']} workers take {longer:.2f} times as long as in one"
            f" process and {dearer:.1f} times the processor, and use {used:.1%} of their quotas, at most"
            f" {worst} in any second"
        )
    return "; ".join(told)


def _mutants(figures: dict[str, Any]) -> str:
    tried = sum(module["tried"] for module in figures.values())
    caught = tried - sum(len(module["survivors"]) for module in figures.values())
    return f"{caught:,} of {tried:,} changes of one place in what decides make a test fail"


def _sources(figures: dict[str, Any]) -> str:
    listed, resumed = figures["listed"], figures["resumed"]
    return (
        f"{listed['count']:,} references are listed at {listed['listing']:,.0f} a second within"
        f" {listed['peak']:.0f} MiB; {resumed['settled']:,} settled ones pass at {resumed['rate']:,.0f} a"
        " second, no value is read"
    )


OTHERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "quota": ("A strict quota", _quota),
    "ledger_cost": ("The ledger", _ledger_cost),
    "resume": ("Resuming", _resume),
    "memory": ("Memory", _memory),
    "local_kms": ("The local KMS", _local_kms),
    "targets": ("Many targets", _targets),
    "cluster": ("A cluster", _cluster),
    "sources": ("Sources", _sources),
    "mutants": ("Mutants", _mutants),
}

SECTIONS = {
    "absent": absent,
    "actions": actions,
    "benchmarks": benchmarks,
    "commands": commands,
    "failures": failures,
    "schema": schema,
    "watching": watching,
}


def pages() -> list[Path]:
    """Return the README and the pages of the manual."""
    return [ROOT / "README.md", *sorted((ROOT / "bulkseed" / "manual").glob("*.md"))]


def updated(text: str) -> str:
    """Return a page's text with every generated part in it written anew."""
    for name, write in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            body = write()
            text = pattern.sub(lambda found, body=body: f"{found[1]}{body}{found[2]}", text)  # type: ignore[misc]
    return text


def stale() -> list[str]:
    """Return the pages whose generated parts are old, and the parts that are not on exactly one page."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in pages()}
    places = {name: sum(f"<!-- {name} -->\n" in text for text in texts.values()) for name in SECTIONS}
    old = [name for name, text in texts.items() if updated(text) != text]
    return old + [name for name, count in places.items() if count != 1]


if __name__ == "__main__":
    for path in pages():
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
