"""Every exception that a caller of bulkseed meets, and the exit code of the command that ends with it.

    BulkseedError
    ├── UsageError            2   the call makes no sense
    ├── ManifestError         2   a manifest that cannot be read at all
    ├── CredentialsError      3   no usable credentials
    ├── ServiceError          3   the service does not answer, or refuses every call
    ├── LedgerError           4   the ledger cannot be used
    │   ├── LedgerBusyError       another process has it
    │   ├── LedgerTargetError     it belongs to another target
    │   └── LedgerDamagedError    it is not a ledger, is damaged, or is from a newer version
    ├── OutputError           1   standard output takes nothing more
    │   └── ReaderGoneError 141   whoever read standard output has closed it
    └── UnfinishedError       1   a run ended with definitions that are not settled

A few more never leave the package that catches them. Exceptions are for the caller's mistakes and the end of
a run. What the service answers is a value
(`bulkseed.model.Fault`, `NoReply`). No exception carries manifest text or a secret value.
"""

from __future__ import annotations

from collections.abc import Mapping


def how_to_install(extra: str) -> str:
    """Say how to add an extra; no package index has bulkseed, so that it is installed from its own folder."""
    return f"in the folder of bulkseed: pip install '.[{extra}]'"


class BulkseedError(Exception):
    """Base of all errors; `exit_code` is what the command returns."""

    exit_code = 1


class UsageError(BulkseedError):
    """Options or arguments that make no sense together."""

    exit_code = 2


class ManifestError(BulkseedError):
    """A manifest that cannot be read at all."""

    exit_code = 2


class CredentialsError(BulkseedError):
    """No usable credentials."""

    exit_code = 3


class ServiceError(BulkseedError):
    """The service does not answer, or refuses every call."""

    exit_code = 3


class LedgerError(BulkseedError):
    """The ledger cannot be used: unreadable, read-only, or its disk is full."""

    exit_code = 4


class LedgerBusyError(LedgerError):
    """Another process is writing to this ledger."""


class LedgerTargetError(LedgerError):
    """This ledger belongs to another target."""


class LedgerDamagedError(LedgerError):
    """Not a ledger, damaged, or written by a newer version."""


class OutputError(BulkseedError):
    """Standard output takes nothing more."""


class ReaderGoneError(OutputError):
    """Whoever read standard output has closed it."""

    exit_code = 141  # what shells show when SIGPIPE ends a program, as it does git, kubectl and GNU's tools


class UnfinishedError(BulkseedError):
    """A run ended with definitions that are not settled."""

    def __init__(self, unsettled: Mapping[str, int], stopped_by: str | None) -> None:
        self.unsettled = dict(unsettled)
        self.stopped_by = stopped_by
        counts = ", ".join(f"{count} {outcome}" for outcome, count in unsettled.items()) or "none unsettled"
        super().__init__(f"not finished: {counts}" + (f"; stopped by {stopped_by}" if stopped_by else ""))
