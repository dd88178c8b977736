"""``bulkseed doctor``: look at everything that a command needs, before one is run. Nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from bulkseed.cli.arguments import argument, option, takes
from bulkseed.cli.many.arguments import TargetsOption, refuse_single
from bulkseed.cli.many.cluster_arguments import ClusterArguments
from bulkseed.cli.options import OutputOption, looks_like_source
from bulkseed.cli.process import run_async
from bulkseed.cli.render import print_json, say, wrapped
from bulkseed.cli.sources import SourceArguments
from bulkseed.cli.target import TargetArguments, TargetOptions, open_target, require_same_target
from bulkseed.errors import BulkseedError, LedgerError, UsageError

if TYPE_CHECKING:
    from bulkseed.jobs.check_result import CheckResult
    from bulkseed.targets.run_all import Accounts
    from bulkseed.targets.spec import TargetSpec


LITTLE_ROOM = 100_000_000
"""Bytes; a million secrets take several times as much."""
_STATE = 9
"""Columns of the states, the widest of which is seven."""


@dataclass(slots=True, frozen=True)
class DoctorArguments:
    """What ``bulkseed doctor`` is told."""

    sources: Annotated[tuple[str, ...], argument(nargs=-1, metavar="[SOURCE|MANIFEST]…")]
    source: SourceArguments
    target: TargetArguments
    targets: TargetsOption
    cluster: ClusterArguments
    ledger: Annotated[
        str | None,
        option(
            "--ledger",
            type=click.Path(),
            metavar="FILE",
            help="Also look whether this ledger is of the target; or a run folder, with all its targets.",
        ),
    ]
    prefix: Annotated[
        str,
        option(
            "--prefix",
            default="",
            metavar="TEXT",
            help="What names begin with: permissions are asked for such a name, as policies have it.",
        ),
    ]
    output: OutputOption


@click.command()
@takes(DoctorArguments)
def doctor(given: DoctorArguments) -> int:
    """Check credentials, network, clock, permissions and room of the target; nothing is written.

    With a SOURCE also whether it can be listed and one of its values read (which is not shown). With
    --cluster instead its workers, and whether each finds the manifests and credentials for the targets.

    \b
    Exit codes: 0 nothing stands in the way, 1 something does, 2 usage.

    \b
    Examples:
      bulkseed doctor --region cn-hangzhou --prefix prod/
      bulkseed doctor --targets targets.toml
      bulkseed doctor --ledger prod.run
      bulkseed doctor vault://vault.example.com/kv/prod
      bulkseed doctor prod.jsonl --targets targets.toml --cluster tls://scheduler:8786 …
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    from bulkseed.targets.run_folder import is_run_folder

    many = given.targets is not None or given.cluster.cluster is not None
    if many:
        refuse_single("ledger")
    elif given.ledger is not None and is_run_folder(given.ledger):
        refuse_single()
    for name in given.sources:
        if not looks_like_source(name) and given.cluster.cluster is None:
            raise UsageError(f"{name} is not the address of a source: bulkseed plan looks at manifests")
    checkups = run_async(_look, given)
    worst = any(f.state in {"warning", "problem"} for results in checkups.values() for f in results)
    if given.output == "json":
        print_json(
            {"checked": {name: _as_list(found) for name, found in checkups.items()}, "exit_code": int(worst)}
        )
    return int(worst)


async def _look(given: DoctorArguments) -> dict[str, list[CheckResult]]:
    checkups: dict[str, list[CheckResult]] = {}
    for name in filter(looks_like_source, given.sources):
        checkups[name] = await _tell(given, f"source: {name}", _source(name, given.source))
    if given.cluster.cluster is not None:
        checkups["cluster"] = await _tell(given, f"cluster: {given.cluster.cluster}", _cluster(given))
        return checkups
    specs, ledgers = _many(given)
    if not specs:
        path = Path(given.ledger) if given.ledger else None
        chosen = given.target.chosen(*filter(None, [path]))
        checkups["target"] = await _tell(given, f"target: {chosen}", _target(chosen, given.prefix))
        checkups["ledger"] = await _tell(given, f"ledger: {path or 'none is given'}", _disk(path, chosen))
        return checkups
    from bulkseed.targets.run_all import Accounts

    accounts = Accounts()
    for spec in specs:
        head = f"target: {spec.name}: {spec.endpoint or spec.region}"
        looked = _one_of_many(spec, given.prefix, accounts, ledgers.get(spec.name))
        checkups[spec.name] = await _tell(given, head, looked)
    return checkups


def _many(given: DoctorArguments) -> tuple[Sequence[TargetSpec], Mapping[str, Path]]:
    """Return many targets, of a file or of a run folder, and with a folder their ledgers by name."""
    from bulkseed.targets.run_folder import is_run_folder, open_run_folder
    from bulkseed.targets.spec import read_targets

    if given.targets is not None:
        return read_targets(given.targets), {}
    if given.ledger is None or not is_run_folder(given.ledger):
        return (), {}
    folder = open_run_folder(given.ledger)
    return folder.specs, {spec.name: folder.ledger(spec.name) for spec in folder.specs}


async def _tell(given: DoctorArguments, head: str, results: AsyncIterator[CheckResult]) -> list[CheckResult]:
    """Print each result as it is made, so that a slow one is seen to be slow."""
    if given.output == "text":
        say(head)
    made = []
    async for result in results:
        made.append(result)
        if given.output == "text":
            indent = " " * (_STATE + 4)
            say(wrapped(f"{result.state:>{_STATE}}  {result.about}: {result.text}", indent))
            if result.action:
                say(wrapped(f"{'':>{_STATE}}  → {result.action}", indent))
    return made


async def _disk(path: Path | None, chosen: TargetOptions) -> AsyncIterator[CheckResult]:
    for result in _look_at_disk(path, chosen):
        yield result


def _look_at_disk(path: Path | None, chosen: TargetOptions) -> Iterator[CheckResult]:
    from bulkseed.jobs.check_result import CheckResult, State
    from bulkseed.ledger import read_ledger

    folder = Path() if path is None else path.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield CheckResult("disk", State.PROBLEM, f"{folder}: {error.strerror}", "give --ledger elsewhere")
        return
    text = f"{free / 1e9:,.1f} GB free in {folder.resolve()}"
    if free < LITTLE_ROOM:
        yield CheckResult("disk", State.WARNING, text, "make room, or give --ledger elsewhere")
    else:
        yield CheckResult("disk", State.OK, text)
    if path is None:
        return
    if not path.exists():
        yield CheckResult("ledger", State.NOTE, "none here yet: the first run makes it")
        return
    try:
        with read_ledger(path) as ledger:
            require_same_target(ledger, chosen)
            status = ledger.status()
    except LedgerError as error:
        yield CheckResult("ledger", State.PROBLEM, str(error))
        return
    rows = sum(status.counts.values())
    yield CheckResult("ledger", State.OK, f"of this target; runs: {status.runs:,}, rows: {rows:,}")


async def _target(chosen: TargetOptions, prefix: str) -> AsyncIterator[CheckResult]:
    from bulkseed.jobs.check_result import CheckResult, State
    from bulkseed.jobs.checkup import check_target

    try:
        async with open_target(chosen, 0) as target:
            async for result in check_target(target, prefix):
                own = chosen.embedded and result.about == "credentials"
                yield result._replace(text="the local KMS's own") if own else result
    except UsageError:
        raise
    except BulkseedError as error:
        yield CheckResult("credentials", State.PROBLEM, str(error))


async def _cluster(given: DoctorArguments) -> AsyncIterator[CheckResult]:
    from bulkseed.cluster.checkup import check_cluster
    from bulkseed.targets.spec import read_targets

    manifests = [name for name in given.sources if not looks_like_source(name)]
    specs = [] if given.targets is None else read_targets(given.targets)
    async for result in check_cluster(given.cluster.cluster or "", given.cluster.tls, manifests, specs):
        yield result


async def _one_of_many(
    spec: TargetSpec, prefix: str, accounts: Accounts, ledger: Path | None
) -> AsyncIterator[CheckResult]:
    from bulkseed.jobs.check_result import CheckResult, State
    from bulkseed.jobs.checkup import check_target
    from bulkseed.targets.apply import endpoint_of, resolve, shared_quota

    if ledger is not None:
        of_file = TargetOptions(endpoint_of(spec), spec.region, spec.signature)
        for result in _look_at_disk(ledger, of_file):
            yield result
    try:
        async for result in check_target(resolve(spec), prefix):
            yield result
            if result.about == "account" and (other := accounts.other(spec.name, spec.region, result.text)):
                why, _ = shared_quota(other, result.text, spec.region)
                yield CheckResult("account", State.PROBLEM, why)
    except BulkseedError as error:
        yield CheckResult("target", State.PROBLEM, str(error))


async def _source(name: str, given: SourceArguments) -> AsyncIterator[CheckResult]:
    from bulkseed.cli.sources import list_sources
    from bulkseed.jobs.check_result import CheckResult, State
    from bulkseed.model import Fault, NoReply, SecretDefinition, UnreadValue
    from bulkseed.policy.advice import advice

    try:
        listed = list_sources((name,), given, {})
    except UsageError:
        raise
    except BulkseedError as error:
        yield CheckResult("listing", State.PROBLEM, str(error))
        return
    with listed:
        for who in listed.credentials():
            yield CheckResult("credentials", State.OK, who)
        for pace in listed.paces:
            yield CheckResult("pace", State.OK, pace)
        yield CheckResult("listing", State.OK, f"{listed.count():,} entries")
        values = (e.data for e in listed if isinstance(e, SecretDefinition))
        value = next((v for v in values if isinstance(v, UnreadValue)), None)
        if value is None:
            yield CheckResult(
                "reading", State.WARNING, "none of them can be moved", f"bulkseed plan {name} says why"
            )
            return
        read = await value.read()
    if isinstance(read, NoReply):
        yield CheckResult("reading", State.WARNING, f"no answer: {read.reason}")
    elif isinstance(read, Fault):
        told = advice(read.code)
        yield CheckResult("reading", State.WARNING, f"{read.code}: {told.meaning}", told.action)
    else:
        yield CheckResult("reading", State.OK, "a value was read, and forgotten")


def _as_list(results: list[CheckResult]) -> list[dict[str, Any]]:
    return [{"about": f.about, "state": f.state.value, "text": f.text, "action": f.action} for f in results]
