"""Options that several commands share, and what follows from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bulkseed.errors import UsageError

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader
    from bulkseed.manifest import Manifest

F = TypeVar("F", bound=Callable[..., Any])

EMBEDDED = "embedded"
_SUFFIXES = {".jsonl", ".ndjson", ".json", ".csv", ".yaml", ".yml", ".gz", ".zst"}


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def require_manifests(manifests: tuple[str, ...]) -> None:
    """Refuse a call without a manifest.

    Raises:
        UsageError: there is none.
    """
    if not manifests:
        raise click.UsageError("name at least one manifest; '-' reads standard input")


def _ledger_option(name: str) -> Callable[[F], F]:
    return click.option(
        "--ledger",
        "ledger_path",
        type=click.Path(),  # whatever is wrong with it, the ledger says so
        metavar="FILE",
        help=f"The ledger's file.  [default: <first manifest's stem>.{name}.db]",
    )


manifest_arguments: Callable[[F], F] = _stack(
    click.argument("manifests", nargs=-1, metavar="MANIFEST…"),
    click.option(
        "--format",
        "format_name",
        type=click.Choice(["jsonl", "json", "csv", "yaml"]),
        help="The manifests' format; by default their suffix tells.",
    ),
    click.option(
        "--set",
        "defaults",
        multiple=True,
        metavar="NAME=VALUE",
        help="A default for a parameter that a line lacks; may be repeated.",
    ),
    click.option(
        "--each",
        type=click.Path(),
        metavar="TABLE",
        help="Take every definition once for each row of this CSV, with {column} in its texts.",
    ),
)

manifest_options: Callable[[F], F] = _stack(manifest_arguments, _ledger_option("ledger"))
verify_options: Callable[[F], F] = _stack(manifest_arguments, _ledger_option("verify"))

_region: Callable[[F], F] = click.option(
    "--region",
    metavar="ID",
    envvar="ALIBABA_CLOUD_REGION_ID",
    default="cn-hangzhou",
    show_default=True,
    help="The region of the target; ALIBABA_CLOUD_REGION_ID gives a default.",
)
_signature: Callable[[F], F] = click.option(
    "--signature",
    type=click.Choice(["acs3", "rpc1"]),
    default="acs3",
    show_default=True,
    help="How requests are signed.",
)

request_options: Callable[[F], F] = _stack(
    click.option(
        "--endpoint", metavar="URL", help="The service.  [default: https://kms.<region>.aliyuncs.com]"
    ),
    _region,
    _signature,
)

target_options: Callable[[F], F] = _stack(
    click.option(
        "--endpoint",
        metavar="URL|embedded",
        help="The service; 'embedded' starts the local KMS in this process.  "
        "[default: https://kms.<region>.aliyuncs.com]",
    ),
    _region,
    click.option("--profile", metavar="NAME", help="A profile of the vendor's provider chain."),
    _signature,
    click.option(
        "--ca-file", type=click.Path(exists=True, dir_okay=False), help="Trust these certificates (PEM)."
    ),
    click.option(
        "--data-dir",
        type=click.Path(),  # whatever is wrong with it, the local KMS says so, where one is started
        metavar="DIRECTORY",
        default=".bulkseed",
        show_default=True,
        help="Where the embedded local KMS keeps its data.",
    ),
)

qps_option: Callable[[F], F] = click.option(
    "--qps",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="The most creates in any one-second window; 0: no ceiling.",
)

retry_options: Callable[[F], F] = _stack(
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=30,
        show_default=True,
        metavar="SECONDS",
        help="Per attempt, from its write to the end of its reply.",
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(min=1),
        default=8,
        show_default=True,
        metavar="N",
        help="Per definition.",
    ),
    click.option(
        "--retry-budget",
        type=click.FloatRange(min=0),
        default=120,
        show_default=True,
        metavar="SECONDS",
        help="Per definition, from its first attempt to its last.",
    ),
    click.option(
        "--stop-after",
        type=click.IntRange(min=1),
        default=50,
        show_default=True,
        metavar="N",
        help="This many equal rejections in a row stop the run.",
    ),
)

progress_option: Callable[[F], F] = click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "plain", "none"]),
    default="auto",
    show_default=True,
    help="On standard error; a bar only on a terminal.",
)

output_option: Callable[[F], F] = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Text or JSON."
)

watch_options: Callable[[F], F] = _stack(
    click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Serve Prometheus metrics on this loopback port while the run goes on.",
    ),
    click.option(
        "--otel", is_flag=True, help="Send OpenTelemetry traces and metrics, as OTEL_… variables say."
    ),
)

log_options: Callable[[F], F] = _stack(
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="warning",
        show_default=True,
        help="Logs go to standard error.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Of the logs.",
    ),
)


@dataclass(slots=True, frozen=True)
class TargetOptions:
    """The target as given on the command line."""

    endpoint: str | None
    region: str
    signature: str
    profile: str | None = None
    ca_file: str | None = None
    data_dir: str = ".bulkseed"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TargetOptions:
        """Take the target's options out of all that were given."""
        return cls(**{f.name: given[f.name] for f in fields(cls) if f.name in given})

    @property
    def embedded(self) -> bool:
        """True if the local KMS is to run in this process."""
        return self.endpoint == EMBEDDED

    @property
    def binding(self) -> str | None:
        """What a ledger is bound to besides the region; None: the endpoint's host."""
        return f"{EMBEDDED} {Path(self.data_dir).resolve()}" if self.embedded else None

    @property
    def url(self) -> str:
        """The endpoint of a service that is not embedded."""
        return f"https://kms.{self.region}.aliyuncs.com" if self.endpoint is None else self.endpoint


def ledger_path_for(manifests: tuple[str, ...], ledger: str | None, kind: str = "ledger") -> Path:
    """Return the ledger's path: as given, else ``<manifest.s stem>.<kind>.db`` in the current folder."""
    if ledger is not None:
        return Path(ledger)
    if manifests[0] == "-":
        return Path(f"stdin.{kind}.db")
    path = Path(manifests[0])
    while path.suffix in _SUFFIXES:
        path = path.with_suffix("")
    return Path(f"{path.name}.{kind}.db")


def require_same_target(ledger: LedgerReader, options: TargetOptions) -> None:
    """Refuse a ledger that is bound to another target, without asking for credentials.

    Raises:
        LedgerTargetError: it belongs to another target.
    """
    from bulkseed.ledger import require_target
    from bulkseed.model import Credentials, SecretValue, Target

    nobody = Credentials("", SecretValue(""))  # which service it is does not depend on who asks
    require_target(ledger, Target(options.url, options.region, nobody), binding=options.binding)


def require_applies(ledger: LedgerReader) -> None:
    """Refuse a ledger that verifies have written: what they have read back is no sign of what was applied.

    Raises:
        LedgerError: it is one.
    """
    from bulkseed.errors import LedgerError

    first = next(ledger.runs(), None)
    if first is not None and first.command == "verify":
        raise LedgerError(f"ledger {ledger.path} records what verify read back: apply needs another --ledger")


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


def open_manifests(given: Mapping[str, Any]) -> Manifest:
    """Open the manifests that `manifest_arguments` name, with their table and defaults.

    Raises:
        UsageError: they make no sense.
        ManifestError: one cannot be read at all.
    """
    from bulkseed.manifest import open_manifest

    if sys.stdin is None and "-" in (*given["manifests"], given["each"]):
        raise UsageError("standard input is closed: there is nothing for '-' to read")
    return open_manifest(
        *given["manifests"],
        format=given["format_name"],
        defaults=parse_defaults(given["defaults"]),
        each=given["each"],
    )


def loop_options() -> dict[str, bool]:
    """Return anyio's backend options: uvloop when the `fast` extra is installed."""
    return {"use_uvloop": find_spec("uvloop") is not None and not os.environ.get("BULKSEED_NO_UVLOOP")}
