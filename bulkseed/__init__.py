"""Provision secrets in bulk into Alibaba Cloud KMS Secrets Manager.

The names below are the public API. They are imported on first use, so that a program which only needs one of
them does not pay for the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from bulkseed.engine.options import RunHooks as RunHooks
    from bulkseed.engine.options import RunOptions as RunOptions
    from bulkseed.engine.stats import Stats as Stats
    from bulkseed.engine.stop import Stop as Stop
    from bulkseed.errors import BulkseedError as BulkseedError
    from bulkseed.errors import CredentialsError as CredentialsError
    from bulkseed.errors import LedgerBusyError as LedgerBusyError
    from bulkseed.errors import LedgerDamagedError as LedgerDamagedError
    from bulkseed.errors import LedgerError as LedgerError
    from bulkseed.errors import LedgerTargetError as LedgerTargetError
    from bulkseed.errors import ManifestError as ManifestError
    from bulkseed.errors import ServiceError as ServiceError
    from bulkseed.errors import UnfinishedError as UnfinishedError
    from bulkseed.errors import UsageError as UsageError
    from bulkseed.jobs.apply import seed as seed
    from bulkseed.jobs.rollback import rollback as rollback
    from bulkseed.jobs.verify import verify as verify
    from bulkseed.ledger import open_ledger as open_ledger
    from bulkseed.ledger import read_ledger as read_ledger
    from bulkseed.manifest import open_manifest as open_manifest
    from bulkseed.manifest.definition import definition as definition
    from bulkseed.model import Credentials as Credentials
    from bulkseed.model import CredentialSource as CredentialSource
    from bulkseed.model import InvalidLine as InvalidLine
    from bulkseed.model import Origin as Origin
    from bulkseed.model import Outcome as Outcome
    from bulkseed.model import Row as Row
    from bulkseed.model import SecretDefinition as SecretDefinition
    from bulkseed.model import SecretValue as SecretValue
    from bulkseed.model import Summary as Summary
    from bulkseed.model import Target as Target
    from bulkseed.policy.backoff import RetryPolicy as RetryPolicy
    from bulkseed.policy.options import OnDeleteWindow as OnDeleteWindow
    from bulkseed.policy.options import OnExists as OnExists
    from bulkseed.policy.options import Rules as Rules
    from bulkseed.service.options import ServiceOptions as ServiceOptions
    from bulkseed.service.shell.local import local_service as local_service

_HOMES = {
    "bulkseed.jobs.apply": ("seed",),
    "bulkseed.jobs.rollback": ("rollback",),
    "bulkseed.jobs.verify": ("verify",),
    "bulkseed.engine.options": ("RunHooks", "RunOptions"),
    "bulkseed.engine.stats": ("Stats",),
    "bulkseed.engine.stop": ("Stop",),
    "bulkseed.errors": (
        "BulkseedError",
        "CredentialsError",
        "LedgerBusyError",
        "LedgerDamagedError",
        "LedgerError",
        "LedgerTargetError",
        "ManifestError",
        "ServiceError",
        "UnfinishedError",
        "UsageError",
    ),
    "bulkseed.ledger": ("open_ledger", "read_ledger"),
    "bulkseed.manifest": ("open_manifest",),
    "bulkseed.manifest.definition": ("definition",),
    "bulkseed.model": (
        "Credentials",
        "CredentialSource",
        "InvalidLine",
        "Origin",
        "Outcome",
        "Row",
        "SecretDefinition",
        "SecretValue",
        "Summary",
        "Target",
    ),
    "bulkseed.policy.backoff": ("RetryPolicy",),
    "bulkseed.policy.options": ("OnDeleteWindow", "OnExists", "Rules"),
    "bulkseed.service.shell.local": ("local_service",),
    "bulkseed.service.options": ("ServiceOptions",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # one table instead of two lists that could disagree


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bulkseed' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
