"""The service that a command talks to: how it is named, and how it is opened."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import option
from bulkseed.errors import UsageError
from bulkseed.model import SignatureName, Target

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader

EMBEDDED = "embedded"

_Region = Annotated[
    str,
    option(
        "--region",
        metavar="ID",
        envvar="ALIBABA_CLOUD_REGION_ID",
        default="cn-hangzhou",
        show_default=True,
        help="The region of the target; ALIBABA_CLOUD_REGION_ID gives a default.",
    ),
]
_Signature = Annotated[
    str,
    option(
        "--signature",
        type=click.Choice(["acs3", "rpc1"]),
        default="acs3",
        show_default=True,
        help="How requests are signed.",
    ),
]


@dataclass(slots=True, frozen=True)
class RequestArguments:
    """The service that a request would go to."""

    endpoint: Annotated[
        str | None,
        option(
            "--endpoint", metavar="URL", help="The service.  [default: https://kms.<region>.aliyuncs.com]"
        ),
    ]
    region: _Region
    signature: _Signature

    def chosen(self) -> TargetOptions:
        """Return the target that is meant."""
        return TargetOptions(self.endpoint, self.region, self.signature)


@dataclass(slots=True, frozen=True)
class TargetArguments:
    """The service that a command talks to."""

    endpoint: Annotated[
        str | None,
        option(
            "--endpoint",
            metavar="URL|embedded",
            help="The service; 'embedded' starts the local KMS in this process.  "
            "[default: https://kms.<region>.aliyuncs.com]",
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
            "--ca-file", type=click.Path(exists=True, dir_okay=False), help="Trust these certificates (PEM)."
        ),
    ]
    data_dir: Annotated[
        str,
        option(
            "--data-dir",
            type=click.Path(),  # whatever is wrong with it, the local KMS says so, where one is started
            metavar="DIRECTORY",
            default=".bulkseed",
            show_default=True,
            help="Where the embedded local KMS keeps its data.",
        ),
    ]

    def chosen(self) -> TargetOptions:
        """Return the target that is meant."""
        return TargetOptions(
            self.endpoint, self.region, self.signature, self.profile, self.ca_file, self.data_dir
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


def require_same_target(ledger: LedgerReader, options: TargetOptions) -> None:
    """Refuse a ledger that is bound to another target, without asking for credentials.

    Raises:
        LedgerTargetError: it belongs to another target.
    """
    from bulkseed.ledger import require_target
    from bulkseed.model import Credentials, SecretValue, Target

    nobody = Credentials("", SecretValue(""))  # which service it is does not depend on who asks
    require_target(ledger, Target(options.url, options.region, nobody), binding=options.binding)


@asynccontextmanager
async def open_target(given: TargetOptions, create_qps: float) -> AsyncIterator[Target]:
    """Give the target that the options name; the embedded local KMS runs until the context is left.

    Raises:
        CredentialsError: there are none.
        UsageError: the endpoint makes no sense, or values would travel to the public service in plaintext.
    """
    signature: SignatureName = "rpc1" if given.signature == "rpc1" else "acs3"
    if given.embedded:
        from bulkseed.service.options import ServiceOptions
        from bulkseed.service.shell.local import local_service

        service = ServiceOptions(data_dir=Path(given.data_dir), region=given.region, create_qps=create_qps)
        async with local_service(service) as local:
            yield Target(local.endpoint, local.region, local.credentials, signature)
        return
    from bulkseed.client.credentials import find_credentials
    from bulkseed.transport.endpoint import is_public, parse_endpoint

    where = parse_endpoint(given.url, given.ca_file)  # before a ledger is bound to it
    if where.tls is None and is_public(given.url):
        raise UsageError(f"{given.url} would carry values in plaintext: use https")
    credentials = find_credentials(os.environ, given.profile)
    yield Target(given.url, given.region, credentials, signature, given.ca_file)
