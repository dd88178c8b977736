"""``bulkseed ledger``: look into a ledger; works while a run is writing to it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import orjson

from bulkseed.cli.arguments import option, takes
from bulkseed.cli.many.arguments import refuse_single
from bulkseed.cli.many.ledgers import for_each, not_begun, tell_not_begun, with_target
from bulkseed.cli.options import LedgerArgument, OutputOption
from bulkseed.cli.process import run_async
from bulkseed.cli.render import (
    perhaps_ours,
    print_json,
    print_results,
    say,
    say_taken_back,
    taken_for_ours,
    wrapped,
)
from bulkseed.cli.target import TargetArguments, TargetOptions, open_target
from bulkseed.errors import ServiceError
from bulkseed.humanize import moment
from bulkseed.model import Outcome, Row, Verified
from bulkseed.policy.advice import TAKEN_FOR_OURS, advise
from bulkseed.policy.jobs import APPLY, JOBS, JobKind
from bulkseed.policy.rollback import STATES_MEAN, RowState, name_is_taken
from bulkseed.targets.run_folder import is_run_folder, open_run_folder

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader
    from bulkseed.ledger.audit.run import Finding
    from bulkseed.model import Target
    from bulkseed.targets.spec import TargetSpec

LISTED = 1000
"""The most rows in the JSON of an audit; the text has all of them."""


@dataclass(slots=True, frozen=True)
class StatusArguments:
    """What ``bulkseed ledger status`` is told."""

    ledger: LedgerArgument
    output: OutputOption


@dataclass(slots=True, frozen=True)
class RowsArguments:
    """What ``bulkseed ledger rows`` is told."""

    ledger: LedgerArgument
    outcomes: Annotated[
        tuple[str, ...],
        option(
            "--outcome",
            multiple=True,
            type=click.Choice(list(dict.fromkeys(word.value for word in (*Outcome, *Verified)))),
            help="Only these; a verify's ledger has words of its own.",
        ),
    ]


@dataclass(slots=True, frozen=True)
class RejectsArguments:
    """What ``bulkseed ledger rejects`` is told."""

    ledger: LedgerArgument


@dataclass(slots=True, frozen=True)
class AuditArguments:
    """What ``bulkseed ledger audit`` is told."""

    ledger: LedgerArgument
    online: Annotated[
        bool,
        option("--online", is_flag=True, help="Also look whether every settled row exists at the service."),
    ]
    target: TargetArguments
    output: OutputOption


@click.group()
def ledger() -> None:
    """Look into a ledger; works while a run is writing to it."""


@ledger.command()
@takes(StatusArguments)
def status(given: StatusArguments) -> int:
    """Print what the ledger is bound to, its runs, and how many rows have which outcome."""
    worst = for_each(
        given.ledger, given.output, lambda path, target: _status(replace(given, ledger=path), target)
    )
    tell_not_begun(given.ledger, given.output)
    return worst


def _status(given: StatusArguments, of_target: str | None) -> int:
    from bulkseed.ledger import iso, read_ledger
    from bulkseed.ledger.rollbacks import delete_window, left_alone, put_back, rolled_back

    with read_ledger(given.ledger) as opened:
        found, undone, restored = opened.status(), rolled_back(opened), put_back(opened)
        window, (left, _) = delete_window(opened), left_alone(opened, 0)
        unproved = opened.count_of(TAKEN_FOR_OURS)
    last = found.last_run
    total = sum(found.counts.values())
    job = APPLY if last is None else JOBS[last.command]
    if given.output == "json":
        document = {
            "ledger": given.ledger,
            "region": found.target.region,
            "account": found.target.account,
            "binding": found.target.binding,
            "runs": found.runs,
            "last_run": None
            if last is None
            else {
                "run_id": last.run_id,
                "command": last.command,
                "started_at": iso(last.started_at),
                "ended_at": None if last.ended_at is None else iso(last.ended_at),
                "exit_code": last.exit_code,
                "stopped_by": last.stopped_by,
            },
            "definitions": total,
            "outcomes": {word.value: found.counts.get(word, 0) for word in job.words},
            "in_doubt": 0 if found.is_going_on else found.in_doubt,
            "perhaps_ours": found.perhaps_ours,
            "taken_for_ours": unproved,
            "at_work": found.is_going_on,
            "rolled_back": undone,
            "restorable_until": window.until,
            "left_alone": left,
            "put_back": restored,
        }
        print_json(with_target(document, of_target))
        return 0
    account = f", account {found.target.account}" if found.target.account else ""
    say(f"target: {found.target.binding} in {found.target.region}{account}")
    if last is not None:
        if last.ended_at is None:
            known = "is at work" if found.at_work else "was killed"
            state = "was killed, or is at work there" if found.at_work is None else known
            end = f"has not ended: process {last.pid} on {last.host} {state}"
        elif last.stopped_by:
            end = f"ended {moment(round(last.ended_at * 1e6))} UTC, {last.stopped_by}"
        else:
            end = f"ended {moment(round(last.ended_at * 1e6))} UTC"
        say(wrapped(f"runs: {found.runs:,}, the last ({last.command}) {end}"))
    states = {RowState.ROLLED_BACK: undone, RowState.PUT_BACK: restored}
    _print_counts(job, found.counts, states, going_on=found.is_going_on)
    if window.secrets:
        say(wrapped(name_is_taken(window.until)))
    if left:
        say(f"left alone by a rollback: {left:,}; the report names them")
    if found.counts.get(Outcome.ADOPTED):
        with read_ledger(given.ledger) as opened:
            say_taken_back(opened)
    if unproved:
        say(wrapped(taken_for_ours(unproved)))
    if (open_ones := found.in_doubt - found.perhaps_ours) and not found.is_going_on:
        say(f"in doubt: {open_ones:,}; the next run finds out what became of them")
    if found.perhaps_ours:
        say(wrapped(perhaps_ours(found.perhaps_ours)))
    return 0


def _print_counts(
    job: JobKind, counts: Mapping[Any, int], states: Mapping[Any, int], *, going_on: bool
) -> None:
    """Print how many rows have which word; some of the pending and the updated have one of `states`."""
    meanings: dict[StrEnum, str] = {**(job.meanings if job.takes_definitions else APPLY.meanings)}
    if going_on:
        meanings[Outcome.PENDING] = "in flight, or not reached yet"
    shown: dict[StrEnum, int] = {**counts}
    shown.update(states)
    for word, state in ((Outcome.PENDING, RowState.ROLLED_BACK), (Outcome.UPDATED, RowState.PUT_BACK)):
        shown[word] = counts.get(word, 0) - states[state]
    meanings.update(STATES_MEAN)
    print_results(shown, meanings, "definitions")


@ledger.command()
@takes(RowsArguments)
def rows(given: RowsArguments) -> int:
    """Print the rows as JSON lines."""
    from bulkseed.ledger import read_ledger, row_as_dict

    def show(path: str, target: str | None) -> int:
        with read_ledger(path) as opened:
            chosen = [word for word in opened.words() if word in given.outcomes]
            for row in opened.rows(chosen if given.outcomes else None):
                say(orjson.dumps(with_target(row_as_dict(row), target)).decode())
        return 0

    return for_each(given.ledger, "json", show)


@ledger.command()
@takes(RejectsArguments)
def rejects(given: RejectsArguments) -> int:
    """Print what is not settled as JSON lines, to repair and replay with ``apply --only``.

    Each line has name, code, message, hint, manifest and line; never a value. At a terminal, in words. What
    was rolled back did not fail and is not listed.
    """
    worst = for_each(given.ledger, "json", _rejects)
    for spec, count in not_begun(given.ledger):
        say(f"not listed: {count:,} of target {spec.name}, which was not begun: apply them again", err=True)
    return worst


def _rejects(path: str, target: str | None) -> int:
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.rollbacks import is_rolled_back, rolled_back

    with read_ledger(path) as opened:
        words = [word for word in opened.words() if not word.settled]
        if opened.status().is_going_on:
            words = [word for word in words if word.value != Outcome.PENDING.value]
            say("not listed: what is pending, as a run is at work", err=True)
        if undone := rolled_back(opened):
            say(
                f"not listed: {undone:,} that were rolled back; apply makes them again once "
                "their names are free",
                err=True,
            )
        for row in opened.rows(words):
            if undone and row.name and is_rolled_back(opened, row.name):
                continue
            document = {
                "secret_name": row.name,
                "outcome": row.outcome.value,
                "code": row.code,
                "message": row.message,
                "hint": advise(row.outcome, row.code, row.message).action,
                "manifest": row.manifest,
                "line": row.line,
            }
            if sys.stdout.isatty():
                _print_reject(document, target)
            else:
                say(orjson.dumps(with_target(document, target)).decode())
    return 0


def _print_reject(reject: Mapping[str, Any], target: str | None) -> None:
    where = f"{target}: " if target else ""
    why = ": ".join(text for text in (reject["code"], reject["message"]) if text)
    name = reject["secret_name"] or "-"
    say(wrapped(f"{where}{reject['manifest']}:{reject['line']}: {name}: {reject['outcome']}: {why}", "    "))
    say(wrapped(f"    {reject['hint']}", "    "))


@ledger.command()
@takes(AuditArguments)
def audit(given: AuditArguments) -> int:
    """Prove that the ledger adds up.

    With --online every settled row is looked for at the service; what is missing or in its delete window
    is listed. What may not be looked at is not known to be missing.

    Exit codes: 0 every check holds, 1 one does not or a target was not begun, 2 usage, 3 the service does
    not answer or refuses to tell, 4 the ledger cannot be read or belongs to another target.
    """
    specs: dict[str | None, TargetSpec] = {}
    if is_run_folder(given.ledger):
        refuse_single()
        specs = {spec.name: spec for spec in open_run_folder(given.ledger).specs}
    worst = for_each(
        given.ledger,
        given.output,
        lambda path, target: _audit(replace(given, ledger=path), target, specs.get(target)),
    )
    return max(worst, int(tell_not_begun(given.ledger, given.output)))


def _audit(given: AuditArguments, of_target: str | None, spec: TargetSpec | None) -> int:
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.audit.run import audit as audit_ledger

    path, in_json = given.ledger, given.output == "json"
    absent = _Absent(echo=not in_json)
    with read_ledger(path) as opened:
        findings = audit_ledger(opened)
        if given.online:
            chosen = given.target.chosen(Path(path))
            looked = run_async(_look, opened, _opening(chosen, spec), chosen.local_dir, absent)
            findings.append(absent.finding(looked))
    holds, unseen = all(finding.holds for finding in findings), absent.unseen
    if in_json:
        checks = [{"check": f.name, "holds": f.holds, "detail": f.detail} for f in findings]
        document = {
            "ledger": path,
            "holds": holds,
            "checks": checks,
            "absent": absent.listed,
            "unseen": unseen.total(),
        }
        print_json(with_target(document, of_target))
    else:
        for finding in findings:
            say(f"{'holds ' if finding.holds else 'BROKEN'}  {finding.name}: {finding.detail}")
        for why, count in sorted(unseen.items()):
            say(f"not known of {count:,} settled rows: {why}")
        say("everything adds up" if holds else "this ledger does not add up")
    return 1 if not holds else ServiceError.exit_code if unseen else 0


class _Absent:
    """Says at once which rows are not there, so that memory stays flat; JSON has the first `LISTED`."""

    def __init__(self, *, echo: bool) -> None:
        self.listed: list[dict[str, Any]] = []
        self._echo = echo
        self._reasons = Counter[str]()
        self.unseen = Counter[str]()

    def __call__(self, row: Row, why: str, known: bool) -> None:
        (self._reasons if known else self.unseen)[why] += 1
        if self._echo:
            say(f"{row.manifest}:{row.line}: {row.name}: {why}")
        elif len(self.listed) < LISTED:
            place = {"manifest": row.manifest, "line": row.line}
            self.listed.append({"secret_name": row.name, **place, "reason": why})

    def finding(self, looked: int) -> Finding:
        """Sum up, `looked` rows having been looked for."""
        from bulkseed.ledger.audit.run import Finding

        reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(self._reasons.items()))
        detail = f"of {looked:,}, {reasons}" if reasons else f"{looked - self.unseen.total():,} do"
        return Finding("every settled row exists at the service", not reasons, detail)


def _opening(chosen: TargetOptions, spec: TargetSpec | None) -> AbstractAsyncContextManager[Target]:
    """Give the target that is asked: of a run over many targets each by its own credentials."""
    from bulkseed.targets.apply import resolve

    return open_target(chosen, 0) if spec is None else nullcontext(resolve(spec))


async def _look(
    opened: LedgerReader,
    opening: AbstractAsyncContextManager[Target],
    local_dir: Path | None,
    absent: _Absent,
) -> int:
    from bulkseed.cli.session import beside
    from bulkseed.cli.watching.waiting import tell_while_waiting
    from bulkseed.engine.ask import open_questioner
    from bulkseed.jobs.existence_audit import find_absent
    from bulkseed.ledger import require_target

    settled = [word for word in opened.words() if word.settled]
    total = sum(count for word, count in opened.counts().items() if word in settled)
    async with opening as target:
        require_target(opened, target, data_dir=local_dir)

        def so_far() -> str:
            return f"looked for {service.answered:,} of {total:,} at the service so far"

        async with open_questioner(target) as service, beside((tell_while_waiting, so_far)):
            return await find_absent(service, opened.rows(settled), absent)
