"""The options that make one command a command over many targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from bulkseed.cli.arguments import option
from bulkseed.errors import UsageError


@dataclass(slots=True, frozen=True)
class ManyArguments:
    """Which targets there are, and where their ledgers lie."""

    targets: Annotated[
        str | None,
        option(
            "--targets",
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            help="Provision into all targets of this file (TOML), each at its own quota.",
        ),
    ]
    run: Annotated[
        str | None,
        option(
            "--run",
            type=click.Path(),
            metavar="FOLDER",
            help="The folder of the targets' ledgers.  [default: <first manifest's stem>.run]",
        ),
    ]

    def require_alone(self, **others: object) -> None:
        """Refuse options that a targets file decides, or that mean one target.

        Raises:
            UsageError: one is given, or ``--run`` without ``--targets``.
        """
        if self.targets is None:
            if self.run is not None:
                raise UsageError("--run belongs to --targets")
            return
        given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
        if given:
            raise UsageError(f"{given[0]} means one target: with --targets it belongs in {self.targets}")

    def folder_for(self, manifests: tuple[str, ...]) -> Path:
        """Return the run folder."""
        from bulkseed.targets.run_folder import run_folder_for

        return Path(self.run) if self.run is not None else run_folder_for(manifests[0])
