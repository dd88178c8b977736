"""``bulkseed explain``: the request for one line of a manifest, taken apart."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

import click

from bulkseed.cli.arguments import option, takes
from bulkseed.cli.options import ManifestArguments, open_manifests
from bulkseed.cli.target import RequestArguments, TargetOptions
from bulkseed.errors import CredentialsError, UsageError
from bulkseed.model import Credentials, InvalidLine, SecretDefinition, SecretValue

MASK = "****"
EXAMPLE = Credentials("your-access-key-id", SecretValue("your-access-key-secret"))
PACKAGES = {
    "curl": "curl, for sh; needs perl",
    "Python": "Python, with the vendor's SDK (pip install alibabacloud_kms20160120)",
    "TypeScript": "TypeScript (npm install @alicloud/pop-core)",
}
"""What a sample needs, where that is not plain."""


@dataclass(slots=True, frozen=True)
class ExplainArguments:
    """What ``bulkseed explain`` is told."""

    manifest: ManifestArguments
    line: Annotated[
        int,
        option(
            "--line", type=click.IntRange(min=1), required=True, metavar="N", help="The definition's line."
        ),
    ]
    request: RequestArguments
    reveal: Annotated[
        bool,
        option(
            "--reveal",
            is_flag=True,
            help=f"Sign the value and a security token, not {MASK}, and print the request.",
        ),
    ]


@click.command()
@takes(ExplainArguments)
def explain(given: ExplainArguments) -> int:
    """Show the request that creates the definition on line N of MANIFEST…, and how it is signed.

    Prints the canonical request, the string to sign and the signature, then code that sends the same from
    curl, Python, TypeScript, Go, Java, PHP and C#. Sends nothing. Unless --reveal is given the value is
    replaced by **** before anything is computed from it, and so is the security token of temporary
    credentials. The code holds neither: it reads the value from SECRET_DATA and the access key from the
    environment, and sends nothing without them. Without credentials in the environment an example key signs.
    """
    from bulkseed.transport.endpoint import parse_endpoint

    given.manifest.require()
    target = given.request.chosen()
    if target.embedded:
        raise UsageError(
            "an embedded local KMS has no address before a run starts it: start `bulkseed serve` and give its"
            " endpoint, or leave --endpoint out"
        )
    parse_endpoint(target.url)
    definition = _find(given)
    try:
        credentials = Credentials.from_environment(os.environ)
    except CredentialsError:
        credentials = EXAMPLE
    if not given.reveal:
        masked = SecretValue(MASK)
        definition = replace(definition, data=masked)
        credentials = replace(credentials, security_token=credentials.security_token and masked)
    click.echo(_explanation(definition, target, credentials, reveal=given.reveal))
    return 0


def _find(given: ExplainArguments) -> SecretDefinition:
    with open_manifests(given.manifest) as entries:
        for entry in entries:
            if entry.origin.line != given.line:
                continue
            if isinstance(entry, InvalidLine):
                raise UsageError(f"{entry.origin} is no definition: {'; '.join(entry.reasons)}")
            return entry
    raise UsageError(f"there is no definition on line {given.line}")


def _explanation(
    definition: SecretDefinition, target: TargetOptions, credentials: Credentials, *, reveal: bool
) -> str:
    from bulkseed.client.nonce import nonces
    from bulkseed.wire.actions import create_secret
    from bulkseed.wire.samples import SAMPLES
    from bulkseed.wire.samples.sketch import sketch
    from bulkseed.wire.signing.layers import as_text, layers
    from bulkseed.wire.signing.verify import SIGNATURES

    call = create_secret.encode(definition)
    signer = SIGNATURES[target.signature](urlsplit(target.url).netloc, credentials)
    request = signer.sign(call, time.time(), next(nonces()))
    shown = layers(request, credentials.access_key_secret.reveal().encode("utf-8", "surrogateescape"))
    parts = {
        "canonical query": shown.query,
        "signed headers": shown.headers or "none: RPC 1.0 signs parameters alone",
        "canonical request": shown.canonical,
        "string to sign": shown.string_to_sign,
        "signature": shown.signature,
        "request": as_text(request) if reveal else "shown with --reveal: it would send the value ****",
    }
    made = sketch(
        call,
        target.url,
        target.region,
        signature=target.signature,
        temporary=credentials.security_token is not None,
    )
    parts |= {PACKAGES.get(name, name): sample(made) for name, sample in SAMPLES.items()}
    return "\n\n".join(f"# {title}\n{text}" for title, text in parts.items())
