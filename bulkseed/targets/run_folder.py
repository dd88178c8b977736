"""The folder of a run over many targets: ``run.json``, ``run.lock``, a ledger for each, ``unrouted.jsonl``.

``run.json`` holds the targets as their file describes them: what follows an apply needs only the folder.
``survey.json`` is what the last apply counted: without it nobody knew of a target that was never begun.

Each ledger is an ordinary one: it can be used alone, copied, given to that account's auditor. One process at
a time coordinates a run.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bulkseed.errors import LedgerBusyError, LedgerError, LedgerTargetError
from bulkseed.targets.spec import TargetSpec

RUN, LOCK, UNROUTED, SURVEY = "run.json", "run.lock", "unrouted.jsonl", "survey.json"
SUFFIX = ".ledger.db"
_VERSION = 1
_SUFFIXES = re.compile(r"(\.(jsonl|ndjson|json|csv|ya?ml|toml|gz|zst|age))+$", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Surveyed:
    """What the last apply counted: the lines of its manifests, and how many were for each target, by name."""

    lines: int
    definitions: Mapping[str, int]


@dataclass(slots=True, frozen=True)
class RunFolder:
    """A run folder, and the targets of its run in the order of their file."""

    path: Path
    specs: tuple[TargetSpec, ...]

    def ledger(self, name: str) -> Path:
        """Return the path of a target's ledger."""
        return self.path / f"{name}{SUFFIX}"

    def verifications(self, name: str) -> Path:
        """Return the path of the ledger of a target's verifies."""
        return self.path / f"{name}.verify.db"

    @property
    def unrouted(self) -> Path:
        """The file of lines that went nowhere."""
        return self.path / UNROUTED

    def count_unrouted(self) -> int:
        """Return how many lines went nowhere when the run was last applied."""
        try:
            with self.unrouted.open("rb") as lines:
                return sum(1 for _ in lines)
        except FileNotFoundError:
            return 0

    def write_survey(self, lines: int, definitions: Mapping[str, int]) -> None:
        """Write down what an apply has counted, before it begins."""
        _write(self.path / SURVEY, orjson.dumps({"lines": lines, "definitions": dict(definitions)}))

    def surveyed(self) -> Surveyed:
        """Return what the last apply counted; nothing if it did not come to that."""
        try:
            return Surveyed(**orjson.loads((self.path / SURVEY).read_bytes()))
        except (OSError, ValueError, TypeError):
            return Surveyed(0, {})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who coordinates this run, also with other processes.

        Raises:
            LedgerBusyError: another process does.
        """
        with (self.path / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LedgerBusyError(f"run {self.path}: another process is at work on it") from None
            yield

    def write_unrouted(self, lines: Iterable[tuple[str, int | str, str]]) -> int:
        """Write (manifest, line, reason) of what went nowhere; return how many."""
        told = [
            orjson.dumps({"manifest": manifest, "line": line, "reason": reason}) + b"\n"
            for manifest, line, reason in lines
        ]
        _write(self.unrouted, b"".join(told))
        return len(told)


def is_run_folder(path: str | Path) -> bool:
    """Tell whether a path is a run folder rather than a ledger."""
    return (Path(path) / RUN).is_file()


def open_run_folder(path: str | Path) -> RunFolder:
    """Open a run folder that exists.

    Raises:
        LedgerError: it is none.
    """
    path = Path(path)
    try:
        about = orjson.loads((path / RUN).read_bytes())
        version = about["version"]
        specs = tuple(spec_from_json(table) for table in about["targets"]) if version == _VERSION else ()
    except (OSError, ValueError, KeyError, TypeError):
        raise LedgerError(f"{path} is not a run folder: it has no readable {RUN}") from None
    if version != _VERSION:
        raise LedgerError(f"run {path} is of version {version}, and this bulkseed knows {_VERSION}")
    return RunFolder(path, specs)


def make_run_folder(path: str | Path, specs: Sequence[TargetSpec]) -> RunFolder:
    """Make a run folder for targets, or open it; targets may be added to a run, and none may go.

    Raises:
        LedgerBusyError: another process is at work on it; its targets stay as they are.
        LedgerTargetError: the run has a target that the file does not list.
        LedgerError: it cannot be written, or is a folder of something else.
    """
    path = Path(path)
    names = {spec.name for spec in specs}
    try:
        if is_run_folder(path):
            gone = [spec.name for spec in open_run_folder(path).specs if spec.name not in names]
            if gone:
                raise LedgerTargetError(
                    f"run {path} has the target {gone[0]}, which the targets file does not list: "
                    "list it, or use another --run"
                )
        elif path.exists() and any(path.iterdir()):
            raise LedgerError(f"{path} is not a run folder, and not empty: use another --run")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        about: dict[str, Any] = {"version": _VERSION, "targets": [asdict(spec) for spec in specs]}
        folder = RunFolder(path, tuple(specs))
        with folder.locked():
            _write(path / RUN, orjson.dumps(about, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise LedgerError(f"run {path} cannot be written: {error.strerror}") from None
    return folder


def run_folder_for(manifest: str) -> Path:
    """Return the default: ``<first manifest's stem>.run`` in the current folder."""
    if ":" in manifest:
        manifest = manifest.partition("?")[0].rstrip("/")
    return Path(f"{_SUFFIXES.sub('', Path(manifest).name)}.run")


def spec_from_json(table: dict[str, Any]) -> TargetSpec:
    """Return a target as `asdict` and JSON have given it."""
    return TargetSpec(**{**table, "match": tuple(table["match"]), "workers": tuple(table["workers"])})


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole; only its owner may read it.

    Raises:
        LedgerError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}") from None
