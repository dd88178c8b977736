"""The service that a command talks to: how it is named, and how it is opened."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import RowName, option
from bulkseed.errors import BulkseedError, CredentialsError, UsageError
from bulkseed.model import SignatureName, Target

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader
    from bulkseed.ledger.binding import KnownTarget

EMBEDDED = "embedded"
DATA_DIR = ".bulkseed"
REGION = "cn-hangzhou"
_OF_SERVE = (
    "For bulkseed serve the id is embedded, and the secret is the text in the file access-key of its data "
    "directory, unless BULKSEED_SERVE_ACCESS_KEY_ID and BULKSEED_SERVE_ACCESS_KEY_SECRET gave others"
)
_MOST_LOOKED_AT = 50
"""Ledgers of one folder."""

_Region = Annotated[
    str | None,
    option(
        "--region",
        metavar="ID",
        help="The region of the target.  [default: the ledger's, else ALIBABA_CLOUD_REGION_ID, else the"
        " profile's, else cn-hangzhou]",
    ),
]
_Signature = Annotated[
    str | None,
    option(
        "--signature",
        type=RowName("bulkseed.wire.signing.verify", "SIGNATURES"),
        help="How requests are signed.  [default: the ledger's, else acs3]",
    ),
]


@dataclass(slots=True, frozen=True)
class RequestArguments:
    """The service that a request would go to."""

    endpoint: Annotated[
        str | None,
        option(
            "--endpoint",
            metavar="URL",
            help="The service.  [default: BULKSEED_ENDPOINT, else https://kms.<region>.aliyuncs.com]",
        ),
    ]
    region: _Region
    signature: _Signature

    def chosen(self) -> TargetOptions:
        """Return the target that is meant."""
        return _chosen(self.endpoint, self.region, None, self.signature, None, None, None)


@dataclass(slots=True, frozen=True)
class TargetArguments:
    """The service that a command talks to."""

    endpoint: Annotated[
        str | None,
        option(
            "--endpoint",
            metavar="URL|embedded",
            help="The service; 'embedded' starts the local KMS in this process.  "
            "[default: the ledger's, else BULKSEED_ENDPOINT, else https://kms.<region>.aliyuncs.com]",
        ),
    ]
    region: _Region
    profile: Annotated[
        str | None, option("--profile", metavar="NAME", help="A profile of the vendor's provider chain.")
    ]
    signature: _Signature
    ca_file: Annotated[
        str | None,
        option(
            "--ca-file",
            type=click.Path(exists=True, dir_okay=False),
            help="Trust these certificates (PEM), and no others.",
        ),
    ]
    data_dir: Annotated[
        str | None,
        option(
            "--data-dir",
            type=click.Path(),  # whatever is wrong with it, the local KMS says so, where one is started
            metavar="DIRECTORY",
            help="Where the embedded local KMS keeps its data.  [default: the ledger's, else .bulkseed]",
        ),
    ]

    def chosen(self, *ledgers: Path) -> TargetOptions:
        """Return the target that is meant; what is not given is taken from the first ledger that there is.

        Raises:
            LedgerError: that ledger cannot be read.
            UsageError: the endpoint makes no sense.
        """
        known = next(filter(None, map(_recall, ledgers)), None)
        return _chosen(
            self.endpoint, self.region, self.profile, self.signature, self.ca_file, self.data_dir, known
        )


@dataclass(slots=True, frozen=True)
class TargetOptions:
    """The target that is meant. `account` is known once a ledger has seen an answer.

    `named`: an option, a ledger or `BULKSEED_ENDPOINT` names it; else it is the default, the public service.
    """

    endpoint: str | None
    region: str
    signature: SignatureName
    profile: str | None = None
    ca_file: str | None = None
    data_dir: str = DATA_DIR
    account: str | None = None
    named: bool = True

    @property
    def embedded(self) -> bool:
        """True if the local KMS is to run in this process."""
        return self.endpoint == EMBEDDED

    @property
    def local_dir(self) -> Path | None:
        """The folder of the local KMS that is to run in this process, which a ledger is bound to."""
        return Path(self.data_dir) if self.embedded else None

    @property
    def url(self) -> str:
        """The endpoint of a service that is not embedded."""
        return f"https://kms.{self.region}.aliyuncs.com" if self.endpoint is None else self.endpoint

    @property
    def is_public(self) -> bool:
        """True if this is the service itself, where secrets cost money and are in use."""
        from bulkseed.transport.endpoint import is_public

        return not self.embedded and is_public(self.url)

    def __str__(self) -> str:
        where = f"the local KMS in {self.data_dir}" if self.embedded else self.url
        account = f", account {self.account}" if self.account else ""
        return f"{where} ({self.region}{account})"


def _chosen(
    endpoint: str | None,
    region: str | None,
    profile: str | None,
    signature: str | None,
    ca_file: str | None,
    data_dir: str | None,
    known: KnownTarget | None,
) -> TargetOptions:
    """Fill in what is not given: from what a ledger knows, the environment, and the profile."""
    if endpoint == "":  # an unset variable of a script, say: it must not mean the public service
        raise UsageError("the endpoint '' is not like https://host or https://host:port")
    account = _account(endpoint, known)
    named = bool(endpoint or region or known or os.environ.get("BULKSEED_ENDPOINT"))
    if known is not None:
        endpoint, region = endpoint or known.endpoint, region or known.region
        signature, data_dir = signature or known.signature, data_dir or known.data_dir
    endpoint = endpoint or os.environ.get("BULKSEED_ENDPOINT") or None
    if endpoint is not None and "@" in endpoint:
        raise UsageError(f"the endpoint {re.sub('.*@', '…@', endpoint)!r} must not hold a user or a password")
    region = region or os.environ.get("ALIBABA_CLOUD_REGION_ID") or profile_region(os.environ, profile)
    return TargetOptions(
        endpoint,
        region or REGION,
        signature or "acs3",
        profile,
        ca_file,
        data_dir or DATA_DIR,
        account,
        named,
    )


def _account(endpoint: str | None, known: KnownTarget | None) -> str | None:
    """Return the account that a ledger has seen, unless another endpoint than the ledger's is given."""
    if known is None:
        return None
    if endpoint is None:
        return known.account
    from bulkseed.ledger.binding import host_of

    return known.account if host_of(endpoint) == host_of(known.endpoint) else None


def ledgers_elsewhere(folder: Path, chosen: TargetOptions) -> Iterator[str]:
    """Say of each ledger in a folder that is of another target which one that is.

    They are looked at where nothing names the target: somebody who worked with one of them means it, perhaps.
    """
    from bulkseed.ledger import read_ledger

    found = sorted(path for path in folder.glob("*.db") if path.is_file())
    for path in found[:_MOST_LOOKED_AT]:
        with suppress(BulkseedError), read_ledger(path) as ledger:
            known = ledger.known_target()
            if known.endpoint == EMBEDDED:
                what, options = f"the local KMS in {known.data_dir}", f" --data-dir {known.data_dir}"
            else:
                what, options = known.endpoint, ""
            if known.endpoint != chosen.url:
                yield f"{path} is of {what} (--endpoint {known.endpoint}{options})"


def require_named(chosen: TargetOptions, folder: Path) -> None:
    """Refuse to ask the public service by default where ledgers of other targets are.

    Raises:
        UsageError: it would be asked by mistake, perhaps.
    """
    if not chosen.named and (others := list(ledgers_elsewhere(folder, chosen))):
        raise UsageError(
            "which target? No ledger of this name is here, and nothing else names one: it would be "
            f"{chosen.url}. But {'; '.join(others)}. Say it with --endpoint, or with --region if you "
            "mean the public service"
        )


def _recall(path: Path) -> KnownTarget | None:
    """Return what a ledger knows of its target; None if there is no ledger."""
    from bulkseed.ledger import read_ledger

    try:
        if not path.is_file() or not path.stat().st_size:
            return None
    except OSError:  # whatever is wrong with it, opening the ledger tells
        return None
    with read_ledger(path) as ledger:
        return ledger.known_target()


def profile_region(environ: Mapping[str, str], profile: str | None) -> str | None:
    """Return the region of the vendor's profile that credentials come from, if they come from one.

    The file and its keys are those of the vendor's command line (`aliyun configure`), which
    `alibabacloud_credentials` reads, too.
    """
    if profile is None and environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID"):
        return None
    try:
        told = json.loads((Path.home() / ".aliyun" / "config.json").read_bytes())
        name = profile or environ.get("ALIBABA_CLOUD_PROFILE") or told.get("current")
        return next((p.get("region_id") for p in told["profiles"] if p.get("name") == name), None) or None
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return None  # what is wrong with it, finding credentials tells


def require_same_target(ledger: LedgerReader, options: TargetOptions) -> None:
    """Refuse a ledger that is bound to another target, without asking for credentials.

    Raises:
        LedgerTargetError: it belongs to another target.
    """
    from bulkseed.ledger import require_target
    from bulkseed.model import Credentials, SecretValue, Target

    nobody = Credentials("", SecretValue(""))  # which service it is does not depend on who asks
    require_target(ledger, Target(options.url, options.region, nobody), data_dir=options.local_dir)


@asynccontextmanager
async def open_target(given: TargetOptions, create_qps: float) -> AsyncIterator[Target]:
    """Give the target that the options name; the embedded local KMS runs until the context is left.

    Raises:
        CredentialsError: there are none.
        UsageError: the endpoint makes no sense, or values would travel to the public service in plaintext.
    """
    if given.embedded:
        from bulkseed.service.options import ServiceOptions
        from bulkseed.service.shell.local import local_service

        service = ServiceOptions(data_dir=Path(given.data_dir), region=given.region, create_qps=create_qps)
        async with local_service(service) as local:
            yield Target(local.endpoint, local.region, local.credentials, given.signature)
        return
    from bulkseed.client.credentials import find_credentials
    from bulkseed.transport.endpoint import parse_endpoint

    where = parse_endpoint(given.url, given.ca_file)  # before a ledger is bound to it
    if where.tls is None and given.is_public:
        raise UsageError(f"{given.url} would carry values in plaintext: use https")
    try:
        credentials = find_credentials(os.environ, given.profile)
        yield Target(given.url, given.region, credentials, given.signature, given.ca_file)
    except CredentialsError as error:  # of finding them, or of the chain that is asked later
        if given.is_public:
            raise
        raise CredentialsError(f"{error}. {_OF_SERVE}") from None
