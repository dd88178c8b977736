"""What the coordinator tells a worker of a target: everything but values, keys and the rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

import bulkseed
from bulkseed.errors import UsageError
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.run_folder import spec_from_json
from bulkseed.targets.sources import NamedSources
from bulkseed.targets.spec import TargetSpec


@dataclass(slots=True, frozen=True)
class RunWork:
    """The work of a whole run: what is read, where to, and by which rules. All targets have it in common.

    `source_rate` is for values that lines name at other stores; `readers` workers share it.
    """

    specs: Sequence[TargetSpec]
    inputs: Manifests | NamedSources
    options: ApplyOptions
    source_rate: float | None = None
    readers: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return it as it travels."""
        return {
            "version": bulkseed.__version__,
            "specs": [asdict(spec) for spec in self.specs],
            "sources" if isinstance(self.inputs, NamedSources) else "manifests": asdict(self.inputs),
            "options": asdict(self.options),
            "source_rate": self.source_rate,
            "readers": self.readers,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> RunWork:
        """Return the work that a coordinator has sent.

        Raises:
            UsageError: it has another version of bulkseed.
        """
        if found["version"] != bulkseed.__version__:
            raise UsageError(
                f"the worker has bulkseed {bulkseed.__version__} and the coordinator {found['version']}: "
                "install the same on both"
            )
        options, rules = found["options"], found["options"]["rules"]
        rules = {
            **rules,
            "retry": RetryPolicy(**rules["retry"]),
            "on_exists": OnExists(rules["on_exists"]),
            "on_delete_window": OnDeleteWindow(rules["on_delete_window"]),
        }
        return cls(
            [spec_from_json(spec) for spec in found["specs"]],
            _inputs(found),
            ApplyOptions(**{**options, "rules": Rules(**rules)}),
            found["source_rate"],
            found["readers"],
        )


def _inputs(found: dict[str, Any]) -> Manifests | NamedSources:
    if "manifests" in found:
        given = found["manifests"]
        defaults = tuple((name, text) for name, text in given["defaults"])
        return Manifests(**{**given, "paths": tuple(given["paths"]), "defaults": defaults})
    given = found["sources"]
    lists = {key: tuple(given["overrides"][key]) for key in ("include", "exclude")}
    return NamedSources(
        **{**given, "paths": tuple(given["paths"]), "overrides": {**given["overrides"], **lists}}
    )


@dataclass(slots=True, frozen=True)
class Task:
    """One target, to be worked on under a ticket.

    `coordinator`: where it answers. `ledger`: the path of the target's ledger there. `lease`: in seconds.
    """

    coordinator: str
    target: str
    ticket: str
    ledger: str
    lease: float
    work: dict[str, Any] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Task:
        """Return the task that a coordinator has sent."""
        return cls(**orjson.loads(data))
