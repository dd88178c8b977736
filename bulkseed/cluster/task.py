"""What the coordinator tells a worker of a target: everything but values, keys and the rows of the ledger.

Through the scheduler goes only where the coordinator is, and a ticket. The rest each worker asks the
coordinator for, once for all of its targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

import bulkseed
from bulkseed.errors import UsageError
from bulkseed.jobs.rollback import RollbackRules
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.run_folder import RunFolder, spec_from_json
from bulkseed.targets.sources import NamedSources
from bulkseed.targets.spec import TargetSpec
from bulkseed.targets.verify import ReadBack

WorkInputs = Manifests | NamedSources


@dataclass(slots=True, frozen=True)
class RunWork:
    """The work of a whole run: what is read, where to, and by which rules. All targets have it in common.

    It is an apply, or with `reading` a verify, or with `rollback` a rollback, which reads nothing.
    `selections` are what `Selection.to_json` gave, by target; none: everything is taken. `source_rate` is for
    values that lines name at other stores; `readers` workers share it.
    """

    options: ApplyOptions
    specs: Sequence[TargetSpec] = ()
    inputs: WorkInputs | None = None
    reading: ReadBack | None = None
    rollback: RollbackRules | None = None
    selections: Mapping[str, list[Any]] = field(default_factory=dict)
    source_rate: float | None = None
    readers: int = 1

    def spec(self, target: str) -> TargetSpec:
        """Return a target by its name."""
        (spec,) = (spec for spec in self.specs if spec.name == target)
        return spec

    def what_is_read(self) -> WorkInputs:
        """Return the inputs.

        Raises:
            UsageError: there are none.
        """
        if self.inputs is None:
            raise UsageError("this run reads nothing")
        return self.inputs

    def ledger(self, folder: RunFolder, target: str) -> Path:
        """Return the path of the ledger that a target's run writes."""
        return folder.ledger(target) if self.reading is None else folder.verifications(target)

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return orjson.dumps(
            {
                "version": bulkseed.__version__,
                "specs": [asdict(spec) for spec in self.specs],
                "inputs": None if self.inputs is None else asdict(self.inputs),
                "is_source": isinstance(self.inputs, NamedSources),
                "options": asdict(self.options),
                "reading": self.reading,
                "rollback": self.rollback,
                "selections": dict(self.selections),
                "source_rate": self.source_rate,
                "readers": self.readers,
            },
            default=list,  # a named tuple
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> RunWork:
        """Return the work that a coordinator has sent.

        Raises:
            UsageError: it has another version of bulkseed.
        """
        found = orjson.loads(data)
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
            ApplyOptions(**{**options, "rules": Rules(**rules)}),
            [spec_from_json(spec) for spec in found["specs"]],
            found["inputs"] and _inputs(found["inputs"], is_source=found["is_source"]),
            found["reading"] and ReadBack(*found["reading"]),
            found["rollback"] and RollbackRules(*found["rollback"]),
            found["selections"],
            found["source_rate"],
            found["readers"],
        )


def _inputs(given: dict[str, Any], *, is_source: bool) -> WorkInputs:
    paths = tuple(given["paths"])
    if not is_source:
        defaults = tuple((name, text) for name, text in given["defaults"])
        return Manifests(**{**given, "paths": paths, "defaults": defaults})
    lists = {key: tuple(given["overrides"][key]) for key in ("include", "exclude")}
    return NamedSources(**{**given, "paths": paths, "overrides": {**given["overrides"], **lists}})


@dataclass(slots=True, frozen=True)
class CoordinatorAddress:
    """Where a coordinator answers, and which one of all that have answered there."""

    address: str
    token: str


@dataclass(slots=True, frozen=True)
class Task:
    """One target, to be worked on under a ticket.

    `ledger`: the path of the target's ledger at the coordinator. `lease`: in seconds. `limit`: how many
    definitions may be sent; earlier placements have used up some.
    """

    coordinator: CoordinatorAddress
    target: str
    ticket: str
    ledger: str
    lease: float
    limit: int | None = None

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Task:
        """Return the task that a coordinator has sent."""
        found = orjson.loads(data)
        return cls(**{**found, "coordinator": CoordinatorAddress(**found["coordinator"])})
