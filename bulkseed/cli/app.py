"""The command group. Commands are imported when they are called, so that ``--version`` costs nothing."""

from __future__ import annotations

import io
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

import bulkseed
from bulkseed.cli.process import prepare
from bulkseed.errors import BulkseedError, ReaderGoneError

COMMANDS = {
    "apply": ("bulkseed.cli.apply", "provision the definitions of a manifest; run it again to resume"),
    "bench": ("bulkseed.cli.bench", "measure a service under an open-loop load"),
    "doctor": ("bulkseed.cli.doctor", "check credentials, network, clock, permissions and room"),
    "explain": ("bulkseed.cli.explain", "show the request for one line, and how it is signed"),
    "ledger": ("bulkseed.cli.ledger", "look into a ledger: status, rows, rejects, audit"),
    "manual": ("bulkseed.cli.manual", "show a page of the manual"),
    "plan": ("bulkseed.cli.plan", "say what apply would do; writes nothing"),
    "report": ("bulkseed.cli.report", "write a ledger as one HTML page"),
    "rollback": ("bulkseed.cli.rollback", "delete what a ledger's runs made, and nothing else"),
    "serve": ("bulkseed.cli.serve", "run the local KMS"),
    "verify": ("bulkseed.cli.verify", "read every definition back and compare"),
}
"""Command → the module that has it (under its own name) and what it does."""


ELSEWHERE = {
    "audit": "ledger audit",
    "check": "doctor",
    "create": "apply",
    "delete": "rollback",
    "destroy": "rollback",
    "diff": "plan (against the ledger) or bulkseed verify (against the service)",
    "get": "verify, which compares and never shows a value",
    "import": "apply",
    "init": "plan: nothing has to be set up",
    "list": "ledger rows",
    "rejects": "ledger rejects",
    "rows": "ledger rows",
    "seed": "apply",
    "show": "ledger rows",
    "status": "ledger status",
    "sync": "apply",
    "undo": "rollback",
    "validate": "plan",
}
"""What other tools call a command → what does it here."""


class _Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = ELSEWHERE.get(name) or next(iter(get_close_matches(name, COMMANDS)), None)
            meant = f": did you mean bulkseed {near}?" if near else ""
            ctx.fail(f"there is no command {name!r}{meant}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


def _print_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"bulkseed {bulkseed.__version__}")
        ctx.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def app() -> None:
    """Provision secrets in bulk into Alibaba Cloud KMS Secrets Manager.

    Shell completion: eval "$(_BULKSEED_COMPLETE=bash_source bulkseed)" (or zsh_source, fish_source).
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code. A user's mistake is one message, never a traceback."""
    prepare()
    try:
        result = app.main(arguments, prog_name="bulkseed", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as mistake:
        told = io.StringIO()
        mistake.show(told)
        _say_aside(told.getvalue())
        return mistake.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except ReaderGoneError as gone:
        return gone.exit_code
    except BulkseedError as error:
        _say_aside(f"Error: {error}")
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # a defect of ours: said without what the exception carries
        click.echo(describe_defect(error), err=True)
        return 1
    return result if isinstance(result, int) else 0


def _say_aside(text: str) -> None:
    from bulkseed.cli.render import say_aside

    say_aside(text)


def describe_defect(error: BaseException) -> str:
    """Say where a defect is, but not what an exception holds: its text may quote a value."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    places = "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return (
        f"Internal error: {type(error).__name__}. This is a defect of bulkseed; please report these lines:\n"
        f"{places}\nWhat the ledger has is true; run the same command again to resume."
    )
