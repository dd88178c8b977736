"""Options that several commands share, and what follows from them."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click

from bulkseed.cli.arguments import Number, RowName, argument, option
from bulkseed.cli.sources import SourceArguments, ValuesElsewhere, list_sources
from bulkseed.errors import UsageError
from bulkseed.humanize import visible
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules

if TYPE_CHECKING:
    from bulkseed.engine.options import RunOptions
    from bulkseed.manifest import Manifest
    from bulkseed.manifest.entries import OpenEntries

_SCHEME = re.compile(r"[a-z0-9][a-z0-9+.-]+:")


@dataclass(slots=True, frozen=True)
class ManifestArguments:
    """Which definitions a command is about."""

    manifests: Annotated[tuple[str, ...], argument(nargs=-1, metavar="MANIFEST…")]
    format_name: Annotated[
        str | None,
        option(
            "--format",
            type=RowName("bulkseed.manifest.formats.table", "FORMATS"),
            help="The manifests' format; by default their suffix tells.",
        ),
    ]
    defaults: Annotated[
        tuple[str, ...],
        option(
            "--set",
            multiple=True,
            metavar="NAME=VALUE",
            help="A default for a parameter that a line lacks; may be repeated.",
        ),
    ]
    each: Annotated[
        str | None,
        option(
            "--each",
            type=click.Path(),
            metavar="TABLE",
            help="Take every definition once for each row of this CSV, with {column} in its texts.",
        ),
    ]
    unchecked: Annotated[
        bool,
        option(
            "--unchecked",
            is_flag=True,
            help="Let the service decide which characters names and tags may have.",
        ),
    ]

    identity: Annotated[
        str | None,
        option(
            "--identity",
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            help="The identity that decrypts manifests of age (.age).",
        ),
    ]

    def require(self) -> None:
        """Refuse a call without a manifest.

        Raises:
            UsageError: there is none.
        """
        if not self.manifests:
            raise click.UsageError("name at least one manifest; '-' reads standard input")


def offer_ledgers(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the ledgers, run folders and other folders whose paths begin with `incomplete`, for a shell."""
    folder, _, begun = incomplete.rpartition("/")
    prefix = f"{folder}/" if "/" in incomplete else ""
    try:
        found = sorted(os.scandir(prefix or "."), key=lambda entry: entry.name)
    except OSError:
        return []
    names = [f"{e.name}/" if e.is_dir() else e.name for e in found if e.is_dir() or e.name.endswith(".db")]
    return [prefix + n for n in names if n.startswith(begun) and (begun or not n.startswith("."))]


def _ledger(kind: str) -> Any:
    return option(
        "--ledger",
        type=click.Path(),  # whatever is wrong with it, the ledger says so
        metavar="FILE",
        help=f"The ledger's file.  [default: <first manifest's stem>.{kind}.db]",
    )


LedgerOption = Annotated[str | None, _ledger("ledger")]
OnlyOption = Annotated[
    str | None,
    option(
        "--only",
        type=click.Path(dir_okay=False),  # whatever else is wrong with it, its reader says so
        metavar="REJECTS",
        help="Take only what this file names, as `bulkseed ledger rejects` writes it.",
    ),
]
VerifyLedgerOption = Annotated[str | None, _ledger("verify")]
LedgerArgument = Annotated[str, argument(metavar="LEDGER", type=click.Path(), shell_complete=offer_ledgers)]

CreateRate = Annotated[
    float,
    option(
        "--qps",
        type=Number(),
        default=10,
        metavar="N",
        help="The most creates in any one-second window; 0: no ceiling.",
    ),
]


@dataclass(slots=True, frozen=True)
class RetryArguments:
    """How patient a run is."""

    timeout: Annotated[
        float,
        option(
            "--timeout",
            type=Number(0, 86_400, above=True),
            default=30,
            metavar="SECONDS",
            help="Per attempt, from its write to the end of its reply.",
        ),
    ]
    max_attempts: Annotated[
        int,
        option(
            "--max-attempts",
            type=click.IntRange(min=1),
            default=8,
            metavar="N",
            help="Per definition.",
        ),
    ]
    retry_budget: Annotated[
        float,
        option(
            "--retry-budget",
            type=Number(0, 86_400),
            default=120,
            metavar="SECONDS",
            help="Per definition, from its first attempt to its last.",
        ),
    ]
    stop_after: Annotated[
        int,
        option(
            "--stop-after",
            type=click.IntRange(min=1),
            default=50,
            metavar="N",
            help="This many equal rejections in a row stop the run.",
        ),
    ]

    @property
    def policy(self) -> RetryPolicy:
        """Attempts and patience per definition."""
        return RetryPolicy(self.max_attempts, self.retry_budget)

    def options(self, qps: float, *, account_for_rest: bool = True) -> RunOptions:
        """Return the choices for a run that has no others than these."""
        from bulkseed.engine.options import RunOptions

        rules = Rules(self.policy)
        return RunOptions(qps, rules=rules, stop_after=self.stop_after, account_for_rest=account_for_rest)


OutputOption = Annotated[
    Literal["text", "json"],
    option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Text or JSON.",
    ),
]


@dataclass(slots=True, frozen=True)
class LogArguments:
    """What is logged, and how."""

    log_level: Annotated[
        str,
        option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="warning",
            help="Logs go to standard error.",
        ),
    ]
    log_format: Annotated[
        str,
        option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            help="Of the logs.",
        ),
    ]


@dataclass(slots=True, frozen=True)
class WatchArguments:
    """How a run is watched, by people and machines."""

    output: OutputOption
    progress: Annotated[
        str,
        option(
            "--progress",
            type=click.Choice(["auto", "bar", "plain", "none"]),
            default="auto",
            help="On standard error; a bar only on a terminal.",
        ),
    ]
    metrics_port: Annotated[
        int | None,
        option(
            "--metrics-port",
            type=click.IntRange(0, 65535),
            metavar="PORT",
            help="Serve Prometheus metrics on this loopback port while the run goes on.",
        ),
    ]
    otel: Annotated[
        bool,
        option(
            "--otel", is_flag=True, help="Send OpenTelemetry traces and metrics, as OTEL_… variables say."
        ),
    ]
    log: LogArguments


def looks_like_source(name: str) -> bool:
    """Tell whether an argument names a source, without loading what reads one."""
    if not _SCHEME.match(name):
        return name.lower().endswith(".toml")
    from bulkseed.manifest.location import is_manifest_url

    return not is_manifest_url(name)


def ledger_path_for(manifests: tuple[str, ...], ledger: str | None, kind: str = "ledger") -> Path:
    """Return the ledger's path: as given, else ``<manifest's stem>.<kind>.db`` in the current folder."""
    if ledger is not None:
        return Path(ledger)
    if manifests[0] == "-":
        return Path(f"stdin.{kind}.db")
    from bulkseed.manifest.blocks import COMPRESSIONS
    from bulkseed.manifest.formats.table import FORMATS

    path = Path(manifests[0])
    if ":" in manifests[0] and looks_like_source(manifests[0]):
        address = manifests[0].partition("?")[0]
        return Path(re.sub(r"[^\w.]+", "-", address).strip("-.") + f".{kind}.db")
    suffixes = {*(f".{name}" for name in FORMATS), *COMPRESSIONS, ".toml", ".age"}
    while path.suffix.lower() in suffixes:
        path = path.with_suffix("")
    return Path(f"{visible(path.name)}.{kind}.db")


def parse_defaults(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return ``--set NAME=VALUE`` as a mapping.

    Raises:
        UsageError: one has no ``=``.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE; {name!r} has no '='")
        found[name] = value
    return found


def open_entries(given: ManifestArguments, source: SourceArguments) -> OpenEntries:
    """Open the manifests, or list the sources.

    Raises:
        UsageError: they make no sense.
        ManifestError: one cannot be read at all.
        CredentialsError: a source does not let us in.
        ServiceError: a source does not answer.
    """
    if not any(map(looks_like_source, given.manifests)):
        values = ValuesElsewhere(source.source_rate)
        manifest = open_manifests(given, allow_empty=source.allow_empty, elsewhere=values)
        manifest.on_close = values.close
        return manifest
    if given.each or given.format_name:
        raise UsageError("--each and --format are for manifests, not for sources")
    return list_sources(given.manifests, source, parse_defaults(given.defaults))


def open_manifests(
    given: ManifestArguments, *, allow_empty: bool = True, elsewhere: ValuesElsewhere | None = None
) -> Manifest:
    """Open the manifests, with their table and defaults. `elsewhere` gives values of other stores.

    Raises:
        UsageError: they make no sense, or one is a source.
        ManifestError: one cannot be read at all.
    """
    from bulkseed.manifest import open_manifest
    from bulkseed.manifest.age_decryption import IDENTITY

    if any(map(looks_like_source, given.manifests)):
        raise UsageError("this command takes manifests, not sources")
    if given.identity is not None:
        os.environ[IDENTITY] = given.identity
    if sys.stdin is None and "-" in (*given.manifests, given.each):
        raise UsageError("standard input is closed: there is nothing for '-' to read")
    return open_manifest(
        *given.manifests,
        format=given.format_name,
        defaults=parse_defaults(given.defaults),
        each=given.each,
        unchecked=given.unchecked,
        allow_empty=allow_empty,
        elsewhere=elsewhere,
    )
