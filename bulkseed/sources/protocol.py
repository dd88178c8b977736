"""What a kind of source implements, and the plain data that passes: references without values, and contents.

Methods block: they run in a small pool of threads, so a vendor's library can be used as it is. Every request
that they send pays a token of the source's pacer first. An error of a library may echo a value, so it never
leaves a kind: `SourceFault` says what happened in our words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import anyio
import anyio.from_thread

from bulkseed.model import Fault, Target
from bulkseed.policy.advice import advice
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.spec import SourceSpec

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds that a request may take to connect, and between two parts of its answer."""

PATIENCE = 120.0
"""Seconds for which a listing repeats a request that fails in passing."""

UNLISTED = "may not be listed"
"""The problem of a folder whose secrets the listing lacks."""

Value = str | bytes | Mapping[str, object]
"""A text, bytes, or a map of keys. Numbers in a map keep their text: see `content.decode_json`."""


@dataclass(slots=True, frozen=True)
class Reference:
    """A secret as a listing shows it. It never holds a value.

    Attributes:
        path: its name below the source's prefix, decoded, with "/" between folders.
        version: the exact version to read; None where only a read tells, or the store has none.
        problem: why it cannot be moved ("is deleted"); None: it can.
        changed_at: epoch seconds of its last change, where the store tells.
        handle: what the store wants back to read it; "" means the path.
        key: the one key of a map to read, where each key becomes a secret.
        tags: of the store, by key.
    """

    path: str
    version: str | None = None
    problem: str | None = None
    changed_at: float | None = None
    handle: str = ""
    key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None


@dataclass(slots=True, frozen=True)
class Content:
    """What a read brings. `version` is that of the value where the answer tells it."""

    value: Value = field(repr=False)
    version: str | None = None


class SourceFault(Exception):  # noqa: N818  # a value as often as an exception: reads return it for one of many
    """A source did not give what was asked. `code` is a row of the verdicts (``Source.Denied``…).

    `reason` is in our words: never the text of a library or a store. `retry_after` is in seconds.
    """

    def __init__(
        self, code: str, reason: str = "", *, status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(reason or code)
        self.code = f"Source.{code}"
        self.reason = reason
        self.status = status
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """True when the same request may succeed later."""
        return self.code in {"Source.Throttled", "Source.Unavailable"}

    @property
    def told(self) -> str:
        """What happened, in words."""
        return self.reason or advice(self.code).meaning

    def as_fault(self) -> Fault:
        """Return it as an answer of a run."""
        return Fault(self.code, self.status, retry_after=self.retry_after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header; None without one, or where it is a date."""
    try:
        return max(0.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def fault_of_status(status: int, headers: Mapping[str, str]) -> SourceFault:
    """Say in our words what an HTTP status means."""
    code = _CODES.get(status) or ("Unavailable" if status >= 500 else "Unreadable")
    wait = retry_after(headers) if code in {"Throttled", "Unavailable"} else None
    return SourceFault(code, status=status, retry_after=wait)


_CODES = {401: "Credentials", 403: "Denied", 404: "NotFound", 408: "Unavailable", 429: "Throttled"}


class Source:
    """One kind of store. A subclass is its file and a row of `bulkseed.sources.table.SOURCES`.

    Attributes:
        fields: what templates can name of the whole source (mount, namespace); set by `open`.
        notes: what the user should know about the listing, in our words.
        OPTIONS: names of the kind's own options; an unknown one is refused before anything is opened.
        AUTH: names that the kind's ``auth`` table may have.
        RATE: requests a second unless the user says another number; 0: no ceiling (a local file).
        PINS: whether an older version can be read, by its id.
        BATCH: the most references of one `read`.
        LOGGERS: those of its library that write what is asked or answered; they are silent in its calls.
        IN_LOOP: whether `read_in_loop` is worth a try before `read`.
    """

    OPTIONS: ClassVar[frozenset[str]] = frozenset()
    AUTH: ClassVar[frozenset[str]] = frozenset()
    RATE: ClassVar[float] = 50.0
    BATCH: ClassVar[int] = 1
    PINS: ClassVar[bool] = False
    LOGGERS: ClassVar[frozenset[str]] = frozenset()
    IN_LOOP: ClassVar[bool] = False

    def __init__(self, spec: SourceSpec, pacer: SourcePacer) -> None:
        self.spec = spec
        self.pacer = pacer
        self.fields: dict[str, str] = {}
        self.notes: list[str] = []

    def patiently(self, call: Callable[[], T], patience: float = PATIENCE) -> T:
        """Return what `call` returns; what fails in passing is repeated for `patience` seconds.

        For requests of a listing: reads are repeated by the run, as it repeats all else.
        """
        began, pause = time.monotonic(), 0.5
        while True:
            try:
                return call()
            except SourceFault as fault:
                if not fault.passing or time.monotonic() - began > patience:
                    raise
                anyio.from_thread.run(anyio.sleep, max(pause, fault.retry_after or 0.0))
                pause = min(pause * 2, 10.0)

    def open(self) -> None:
        """Log in, and find out what has to be known before the listing.

        Raises:
            SourceFault: it cannot be used.
        """

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret below the prefix once; a folder that may not be listed is one with a problem.

        Raises:
            SourceFault: the listing cannot be completed.
        """
        raise NotImplementedError

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read values, in the order of `references`, each at its listed version.

        Raises:
            SourceFault: none could be read.
        """
        raise NotImplementedError

    async def read_in_loop(self, reference: Reference) -> Content | SourceFault | None:  # noqa: ARG002  # likewise
        """Read one value in the loop of the pacer, without a thread; None where `read` has to do it."""
        return None

    def named(self, path: str) -> Reference | None:  # noqa: ARG002  # likewise
        """Return what reads the secret at a whole path, without a listing; None where that is not here."""
        return None

    def keys(self, reference: Reference) -> list[str] | None:  # noqa: ARG002  # for those who can tell
        """Return the keys of a map without reading its values; None where only a read tells.

        Raises:
            SourceFault: it cannot be told now.
        """
        return None

    def who(self) -> str:
        """Tell whose credentials these are and how long they live, for a check-up; "" where nothing tells.

        Raises:
            SourceFault: it cannot be told now.
        """
        return ""

    def is_target(self, target: Target) -> bool:  # noqa: ARG002  # for those that can be one
        """Tell whether this is the account and place that the secrets are to go to."""
        return False

    def close(self) -> None:
        """Let go of connections."""
