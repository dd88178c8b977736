"""``bulkseed explain``: the request for one line of a manifest, taken apart."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import click

from bulkseed.cli.arguments import option, takes
from bulkseed.cli.options import ManifestArguments, open_manifests
from bulkseed.cli.target import RequestArguments, TargetOptions
from bulkseed.errors import CredentialsError, UsageError
from bulkseed.model import Credentials, InvalidLine, SecretDefinition, SecretValue
from bulkseed.wire.message import Call

MASK = "****"
EXAMPLE = Credentials("your-access-key-id", SecretValue("your-access-key-secret"))


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
            help=f"Use the value, and a security token, themselves instead of {MASK}, and print them.",
        ),
    ]


@click.command()
@takes(ExplainArguments)
def explain(given: ExplainArguments) -> int:
    """Show the request that creates the definition on line N of MANIFEST…, and how it is signed.

    Prints the canonical request, the string to sign and the signature, then a curl command and a snippet for
    the vendor's SDK that send the same. Sends nothing. Unless --reveal is given the value is replaced by ****
    before anything is computed from it, and so is the security token of temporary credentials. Without
    credentials in the environment an example key signs.
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
    click.echo(_explanation(definition, target, credentials))
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


def _explanation(definition: SecretDefinition, target: TargetOptions, credentials: Credentials) -> str:
    from bulkseed.client.nonce import nonces
    from bulkseed.wire.actions import create_secret
    from bulkseed.wire.signing.layers import layers
    from bulkseed.wire.signing.verify import SIGNATURES

    url = target.url
    call = create_secret.encode(definition)
    signer = SIGNATURES[target.signature](urlsplit(url).netloc, credentials)
    request = signer.sign(call, time.time(), next(nonces()))
    shown = layers(request, credentials.access_key_secret.reveal().encode("utf-8", "surrogateescape"))
    headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers.items()]
    address = shlex.quote(f"{url}/?{request.query}" if request.query else f"{url}/")
    curl = " \\\n  ".join(
        [f"curl -X POST {address}", *headers, f"--data-raw {shlex.quote(request.body.decode())}"]
    )
    if credentials.security_token == SecretValue(MASK):
        promise = f"refused as it stands, since the security token is {MASK} (--reveal)"
    else:
        creates = f"the value {MASK}" if definition.data == SecretValue(MASK) else "its value"
        promise = f"good for 15 minutes and once; it creates the secret with {creates}"
    parts = {
        "canonical request": shown.canonical,
        "string to sign": shown.string_to_sign,
        "signature": shown.signature,
        f"curl, {promise}": curl,
        "Python, with the vendor's SDK (pip install alibabacloud_kms20160120)": _sdk_snippet(
            call, target, temporary=credentials.security_token is not None
        ),
    }
    return "\n\n".join(f"# {title}\n{text}" for title, text in parts.items())


_SDK_NAMES = {"DKMSInstanceId": "dkmsinstance_id"}
_JSON = {"ExtendedConfig"}  # the SDK takes an object where the API takes its text


def _sdk_snippet(call: Call, target: TargetOptions, *, temporary: bool) -> str:
    parts = urlsplit(target.url)
    arguments = []
    for pair in f"{call.query}&{call.form}".split("&"):
        name, _, encoded = pair.partition("=")
        value: Any = unquote(encoded)
        if name == "EnableAutomaticRotation":
            value = value == "true"
        if name in _JSON:
            value = json.loads(value)
        snake = _SDK_NAMES.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        arguments.append(f"    {snake}={value!r},")
    version = "\n    signature_algorithm='v2'," if target.signature == "rpc1" else ""
    token = ["    security_token=os.environ['ALIBABA_CLOUD_SECURITY_TOKEN'],"] if temporary else []
    return "\n".join(
        [
            "import os",
            "from alibabacloud_kms20160120 import models",
            "from alibabacloud_kms20160120.client import Client",
            "from alibabacloud_tea_openapi.models import Config",
            "",
            "client = Client(Config(",
            "    access_key_id=os.environ['ALIBABA_CLOUD_ACCESS_KEY_ID'],",
            "    access_key_secret=os.environ['ALIBABA_CLOUD_ACCESS_KEY_SECRET'],",
            *token,
            f"    endpoint={parts.netloc!r},",
            f"    protocol={parts.scheme!r},",
            f"    region_id={target.region!r},{version}",
            "))",
            "print(client.create_secret(models.CreateSecretRequest(",
            *arguments,
            ")).body.to_map())",
        ]
    )
