"""What may happen to a manifest and its service: the vocabulary of histories, and how one is drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import strategies as st

from bulkseed.model import InvalidLine, ManifestEntry, Origin, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.service.shell.faults import KINDS
from support.world import Trouble

TROUBLES = ["none", "refused", "late", "mixed", *(kind for kind in KINDS if kind != "delay")]
THERE = ["same", "other value", "other version", "same value, other version", "to be deleted"]
MEANWHILE = ["create", "create", "put"]
JUMPS = ["sleep", "sleep uncounted", "sleep without the wall clock", "set", "set", "the service's"]
SECONDS = [-3600.0, -3.0, -0.4, 0.4, 3.0, 10.0, 3600.0]
ENDS = ["kill", "kill", "kill", "cancel", "stop", "restart"]


@dataclass
class History:
    """What happens. `ends`, `meanwhile` and `restarts` begin with the step at which it does.

    `generated` are the definitions whose value every run makes anew.
    """

    count: int
    on_exists: OnExists
    on_delete_window: OnDeleteWindow
    qps: float
    quota: float
    workers: int | None
    max_attempts: int
    skew: float
    one_way: float
    bad_lines: bool
    troubles: list[Trouble]
    there: dict[int, str]
    ends: list[tuple[int, str]]
    meanwhile: list[tuple[int, int, str]]
    restarts: list[int] = field(default_factory=list)
    generated: set[int] = field(default_factory=set)
    jumps: list[tuple[int, str, float]] = field(default_factory=list)  # step, what, seconds
    between: list[float] = field(default_factory=list)  # by which our clock is set before each further run
    drift: float = 0.0
    force: bool = False


steps = st.integers(0, 40)
histories = st.builds(
    History,
    count=st.integers(1, 8),
    on_exists=st.sampled_from(OnExists),
    on_delete_window=st.sampled_from(OnDeleteWindow),
    qps=st.sampled_from([0.0, 3.0, 8.0, 20.0, 400.0]),
    quota=st.sampled_from([0, 2, 20]),
    workers=st.sampled_from([None, 1, 2]),
    max_attempts=st.integers(2, 6),
    skew=st.sampled_from([0.0, -400.0, 400.0, 3600.0]),
    one_way=st.sampled_from([0.0, 0.001, 0.01]),
    bad_lines=st.booleans(),
    troubles=st.lists(
        st.builds(Trouble, st.sampled_from(TROUBLES), st.sampled_from([0.0, 0.02, 0.4, 2.0, 6.0])),
        max_size=16,
    ),
    there=st.dictionaries(st.integers(0, 5), st.sampled_from(THERE), max_size=3),
    ends=st.lists(st.tuples(steps, st.sampled_from(ENDS)), max_size=4),
    meanwhile=st.lists(st.tuples(steps, st.integers(0, 5), st.sampled_from(MEANWHILE)), max_size=3),
    restarts=st.just([]) | st.lists(steps, max_size=2),
    generated=st.sets(st.integers(0, 5), max_size=3),
    jumps=st.just([])
    | st.lists(st.tuples(steps, st.sampled_from(JUMPS), st.sampled_from(SECONDS)), max_size=3),
    between=st.just([]) | st.lists(st.sampled_from([0.0, *SECONDS]), max_size=3),
    drift=st.sampled_from([0.0, 0.0, 0.002, -0.002]),
    force=st.booleans(),
)


def name(number: int) -> str:
    """Return the name of a definition."""
    return f"secret-{number}"


def value(number: int) -> str:
    """Return the value of a definition."""
    return f"our-value-{number}"


def manifest(history: History) -> list[ManifestEntry]:
    """Return the definitions, perhaps among lines that are none and a name that comes twice."""
    entries: list[ManifestEntry] = []
    for i in range(history.count):
        generated = i in history.generated
        text = f"generated-value-{next(_made)}" if generated else value(i)
        origin = Origin("m.jsonl", i + 1)
        entries.append(SecretDefinition(name(i), SecretValue(text), "v1", origin, generated=generated))
    if history.bad_lines:
        again = SecretDefinition(name(0), SecretValue("another-value"), "v1", Origin("m.jsonl", 90))
        entries[1:1] = [InvalidLine(Origin("m.jsonl", 91), ("is no definition",)), again]
    return entries


_made = itertools.count()


class Manifest(list[ManifestEntry]):
    """A manifest that is read to its end."""

    paths = ("m.jsonl",)


def rules_of(history: History) -> Rules:
    """Return the rules of its runs."""
    spare = 5 if history.quota == 2 else 0  # or what is refused anew in every run starves the rest
    retry = RetryPolicy(max_attempts=history.max_attempts + spare, budget=300.0, ceiling=5.0)
    return Rules(retry, history.on_exists, history.on_delete_window)
