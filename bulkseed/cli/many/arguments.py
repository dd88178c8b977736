"""The options that make one command a command over many targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
from click.core import ParameterSource

from bulkseed.cli.arguments import option
from bulkseed.errors import UsageError

if TYPE_CHECKING:
    from bulkseed.targets.run_folder import RunFolder


_OF_A_TARGET = ("endpoint", "region", "profile", "ca_file", "signature", "qps")
_OF_ONE = ("ledger_path", "data_dir")


TargetsOption = Annotated[
    str | None,
    option(
        "--targets",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="All targets of this file (TOML), each at its own quota.",
    ),
]
"""The targets file, as every command takes it that is for many targets."""


@dataclass(slots=True, frozen=True)
class ManyArguments:
    """Which targets there are, and where their ledgers lie."""

    targets: TargetsOption
    run: Annotated[
        str | None,
        option(
            "--run",
            type=click.Path(),
            metavar="FOLDER",
            help="The folder of the targets' ledgers.  [default: <first manifest's stem>.run]",
        ),
    ]

    @property
    def chosen(self) -> bool:
        """True if many targets are meant."""
        return self.targets is not None or self.run is not None

    def path(self, manifests: tuple[str, ...]) -> Path:
        """Return where the run folder is, or is to be."""
        from bulkseed.targets.run_folder import run_folder_for

        return Path(self.run) if self.run is not None else run_folder_for(manifests[0])

    def open(self, manifests: tuple[str, ...]) -> RunFolder:
        """Open the run folder: with a targets file it is made, or brought up to date.

        Raises:
            LedgerError: the folder cannot be used.
            UsageError: the targets file cannot.
        """
        from bulkseed.targets.run_folder import make_run_folder, open_run_folder
        from bulkseed.targets.spec import read_targets

        path = self.path(manifests)
        return (
            open_run_folder(path)
            if self.targets is None
            else make_run_folder(path, read_targets(self.targets))
        )

    def require_alone(self, *more: str, honours: tuple[str, ...] = ()) -> None:
        """Refuse options that mean one target, and `more`, by the names of their parameters; see `refuse`.

        Raises:
            UsageError: one is given.
        """
        if self.chosen:
            refuse_single(*more, honours=honours)


def refuse_single(*more: str, honours: tuple[str, ...] = ()) -> None:
    """Refuse the current command's options that mean one target: they would be ignored in silence.

    `more`: names of further parameters; `honours`: of those that do go for every target here.

    Raises:
        UsageError: one is given.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in honours or name not in (*_OF_A_TARGET, *_OF_ONE, *more):
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            instead = "say it in the targets file" if name in _OF_A_TARGET else "it is for one target"
            raise UsageError(f"{parameter.opts[-1]} does not go with many targets: {instead}")
