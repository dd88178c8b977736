"""What is not settled, grouped by why, with what to do about it and a few examples."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bulkseed.humanize import same_mistake
from bulkseed.ledger.rollbacks import IS_ROLLED_BACK
from bulkseed.model import Outcome, Verified
from bulkseed.policy.advice import advise

EXAMPLES = 5
_GROUPS = f"""
SELECT outcome, code, iif(code IS NULL, message, NULL) AS said, count(*) AS n FROM definitions d
WHERE outcome IN (SELECT value FROM json_each(?)) AND NOT ({IS_ROLLED_BACK})
GROUP BY outcome, code, said ORDER BY n DESC, 1, 2, 3"""  # noqa: S608  # fixed text
_EXAMPLES = f"""
SELECT name, source, place FROM definitions d
WHERE outcome = ? AND code IS ? AND (code IS NOT NULL OR message IS ?) AND NOT ({IS_ROLLED_BACK})
ORDER BY id LIMIT {EXAMPLES}"""  # noqa: S608  # fixed text


class Example(NamedTuple):
    """A definition and where it stands; an invalid line may have no readable name."""

    name: str | None
    manifest: str
    line: int | str


@dataclass(slots=True)
class Failure:
    """Definitions that are not settled for the same reason."""

    outcome: Outcome | Verified
    code: str | None
    meaning: str
    action: str
    count: int
    examples: list[Example]


def read_failures(connection: sqlite3.Connection, words: type[Outcome | Verified]) -> list[Failure]:
    """Return the groups, the largest first, the reasons of invalid lines last; `words` are those of the job.

    An invalid line is in as many groups as it has reasons.
    """
    return [*_definitions(connection, words), *_invalid_lines(connection)]


def _definitions(connection: sqlite3.Connection, words: type[Outcome | Verified]) -> Iterator[Failure]:
    unsettled = [word.value for word in words if not word.settled and word.value != Outcome.INVALID]
    for text, code, said, count in connection.execute(_GROUPS, (json.dumps(unsettled),)).fetchall():
        outcome = words(text)
        advice = advise(outcome, code, said)
        examples = connection.execute(_EXAMPLES, (text, code, said))
        yield Failure(
            outcome, code, said or advice.meaning, advice.action, count, [Example(*row) for row in examples]
        )


def _invalid_lines(connection: sqlite3.Connection) -> Iterator[Failure]:
    action = advise(Outcome.INVALID, None).action
    found: dict[str, Failure] = {}
    for name, manifest, line, reasons in connection.execute(
        "SELECT name, source, place, reasons FROM invalid_lines ORDER BY rowid"
    ):
        for reason in json.loads(reasons):
            kind = same_mistake(reason)
            if (failure := found.get(kind)) is None:
                failure = found[kind] = Failure(Outcome.INVALID, None, reason, action, 0, [])
            elif reason != failure.meaning:
                failure.meaning = kind
            failure.count += 1
            if len(failure.examples) < EXAMPLES:
                failure.examples.append(Example(name, manifest, line))
    yield from sorted(found.values(), key=lambda failure: -failure.count)
