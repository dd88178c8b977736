"""``bulkseed serve``: the local KMS as a process of its own."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkseed.cli.arguments import options_of
from bulkseed.cli.options import LogArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import print_json
from bulkseed.cli.watching.logs import set_up_logging

if TYPE_CHECKING:
    from bulkseed.service.options import ServiceOptions


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8553, show_default=True, help="0: any free port."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=".bulkseed",
    show_default=True,
    help="Where everything is kept.",
)
@click.option("--region", default="cn-hangzhou", show_default=True, metavar="ID")
@click.option("--account-id", default="1000000000000001", show_default=True, metavar="ID")
@click.option(
    "--create-qps",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Creates and deletes a second; 0: unlimited.",
)
@click.option("--read-qps", type=click.FloatRange(min=0), default=450.0, show_default=True)
@click.option("--manage-qps", type=click.FloatRange(min=0), default=40.0, show_default=True)
@click.option(
    "--rotate-per-hour",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="RotateSecret calls an hour; 0: unlimited.",
)
@click.option("--secret-quota", type=click.IntRange(min=0), help="How many secrets there may be.")
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Faults on demand."
)
@click.option("--policies", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="RAM users.")
@click.option(
    "--rds",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Databases behind DBInstanceId, for rotation.",
)
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--explorer/--no-explorer", default=True, show_default=True, help="A page in the browser to try calls."
)
@click.option("--open", "open_page", is_flag=True, help="Open that page in a browser.")
@options_of(LogArguments)
def serve(log_level: str, log_format: str, open_page: bool, **given: Any) -> int:
    """Run the local KMS until SIGTERM or Ctrl-C.

    When it is ready it prints one JSON line with its endpoint, access key id and the address of the explorer:
    a page that signs and sends calls, and shows why a signature was refused. It accepts the credentials in
    BULKSEED_SERVE_ACCESS_KEY_ID and BULKSEED_SERVE_ACCESS_KEY_SECRET; without them the id is 'embedded'
    and the secret is the one in DATA-DIR/access-key.
    """  # fmt: skip
    from bulkseed.model import SecretValue
    from bulkseed.service.options import ServiceOptions
    from bulkseed.service.shell.local import Ready
    from bulkseed.service.shell.local import serve as serve_until_told

    set_up_logging(LogArguments(log_level, log_format))
    secret = os.environ.get("BULKSEED_SERVE_ACCESS_KEY_SECRET")
    options = ServiceOptions(
        **given,
        access_key_id=os.environ.get("BULKSEED_SERVE_ACCESS_KEY_ID") or "embedded",
        access_key_secret=SecretValue(secret) if secret else None,
    )

    def on_ready(ready: Ready) -> None:
        print_json(asdict(ready))
        if sys.stderr.isatty():
            click.echo(_login(options, from_environment=secret is not None), err=True)
        if open_page and ready.explorer:
            webbrowser.open(ready.explorer)

    run_async(serve_until_told, options, on_ready)
    return 0


def _login(options: ServiceOptions, *, from_environment: bool) -> str:
    """Return the lines with which other commands log in; they name the secret, and do not show it."""
    if from_environment:
        text = "$BULKSEED_SERVE_ACCESS_KEY_SECRET"
    else:
        text = f"$(cat {shlex.quote(str((options.data_dir or Path()) / 'access-key'))})"
    return (
        f"export ALIBABA_CLOUD_ACCESS_KEY_ID={shlex.quote(options.access_key_id)}\n"
        f'export ALIBABA_CLOUD_ACCESS_KEY_SECRET="{text}"'
    )
