"""The ledger's records as they travel: names, places and times as JSON, never a value.

A definition travels as its name, version and place. What comes back names it by its number in the block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bulkseed.ledger import Admission, AttemptRecord, Claim, Creation, Settlement
from bulkseed.ledger.rollbacks import OwnedRow
from bulkseed.model import (
    InvalidLine,
    ManifestEntry,
    Origin,
    Outcome,
    QuotaGroup,
    SecretDefinition,
    SecretValue,
    Verified,
)
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

Json = Any
_NO_VALUE = SecretValue("")


def entry_to_json(entry: ManifestEntry) -> Json:
    """Return what the ledger needs to know of a manifest's entry."""
    if isinstance(entry, SecretDefinition):
        return [*entry.origin, entry.name, entry.version_id]
    return [*entry.origin, _text(entry.name), _text(entry.version_id), entry.reasons]


def entry_from_json(found: Json) -> ManifestEntry:
    """Return the entry, a definition without its value."""
    manifest, line, name, version_id, *reasons = found
    origin = Origin(manifest, line)
    if reasons:
        return InvalidLine(origin, tuple(reasons[0]), name, version_id)
    return SecretDefinition(name, _NO_VALUE, version_id, origin)


def admission_to_json(admission: Admission, entries: Sequence[ManifestEntry]) -> Json:
    """Return an admission of these entries."""
    number = {id(entry): number for number, entry in enumerate(entries)}
    return {
        "to_send": [[number[id(claim.definition)], *claim[1:]] for claim in admission.to_send],
        "settled": {outcome.value: count for outcome, count in admission.settled.items()},
        "invalid": [entry_to_json(line) for line in admission.invalid],
        "unsent": admission.unsent,
    }


def admission_from_json(
    found: Json, entries: Sequence[ManifestEntry], words: type[Outcome | Verified]
) -> Admission:
    """Return the admission, with the definitions as they were read; `words` are those of the job."""
    claims = []
    for number, *rest in found["to_send"]:
        definition = entries[number]
        assert isinstance(definition, SecretDefinition)  # noqa: S101  # an invalid line is never claimed
        claims.append(Claim(definition, *rest))
    invalid = [line for line in map(entry_from_json, found["invalid"]) if isinstance(line, InvalidLine)]
    settled = Counter({words(text): count for text, count in found["settled"].items()})
    return Admission(claims, settled, invalid, found["unsent"])


def settlement_from_json(found: Json, words: type[Outcome | Verified]) -> Settlement:
    """Return a settlement; it travels as a list. `words` are those of the job."""
    row_id, outcome, *rest = found
    return Settlement(row_id, words(outcome), *rest)


def attempt_from_json(found: Json) -> AttemptRecord:
    """Return an attempt; it travels as a list."""
    row_id, group, *rest = found
    return AttemptRecord(row_id, QuotaGroup(group), *rest)


def creation_from_json(found: Json) -> Creation:
    """Return a creation; it travels as a list."""
    return Creation(*found)


def owned_row_from_json(found: Json) -> OwnedRow:
    """Return a row of a rollback; it travels as a list."""
    row = OwnedRow(*found)
    return row._replace(versions=tuple(row.versions))


def rollback_end_from_json(found: Json) -> RollbackEnd:
    """Return the end of a secret's rollback; it travels as a list."""
    outcome, *rest = found
    return RollbackEnd(RollbackOutcome(outcome), *rest)


def _text(text: str | None) -> str | None:
    """Return a text that can travel: one that was refused may be no Unicode at all."""
    return text and text.encode(errors="replace").decode()
