"""What a reply says is checked before a row or a log can carry it: it may echo a value.

Each text must have the shape of what it claims to be, and must not be a part of the value that was sent, nor
hold it. What is decided does not change by that: a value may look like a version or a code by chance.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeVar

from bulkseed.model import Created, Fault, SecretDefinition
from bulkseed.policy.advice import ADVICE
from bulkseed.policy.steps import Done, Found
from bulkseed.policy.verdicts import known_part
from bulkseed.wire.encoding import parse_timestamp
from bulkseed.wire.identifiers import ARN_PREFIX, CODE, CODE_MAX, REQUEST_ID, VERSION_ID

A = TypeVar("A")


def sanitized(answer: A, item: object) -> A:
    """Return an answer to a request for `item` without texts that fail the check.

    It may be the same object, changed. Only a definition has a value that can be echoed.
    """
    definition = item if isinstance(item, SecretDefinition) else None
    safe: object = answer
    if isinstance(answer, Fault):
        good_code = answer.code in ADVICE or (
            len(answer.code) <= CODE_MAX and is_good(answer.code, CODE, definition)
        )
        safe = Fault(
            code=answer.code if good_code else known_part(answer.code) or f"HTTP{answer.status}",
            status=answer.status,
            request_id=answer.request_id if is_good(answer.request_id, REQUEST_ID, definition) else None,
            retry_after=answer.retry_after,
        )
    elif isinstance(answer, Created):
        CreatedCheck()(answer, item)
    elif isinstance(answer, Done):
        good_id = is_good(answer.request_id, REQUEST_ID, definition)
        until = answer.restorable_until
        good_time = until is not None and parse_timestamp(until) is not None
        safe = Done(answer.request_id if good_id else None, answer.current, until if good_time else None)
    elif isinstance(answer, Found) and definition is not None and answer.version_id != definition.version_id:
        safe = replace(answer, echoes=not is_good(answer.version_id, VERSION_ID, definition))
    return safe  # type: ignore[return-value]  # each branch makes what it was given


class CreatedCheck:
    """The check of a `Created`, at a third of its price: every secret has one.

    An ARN is its prefix, which is the same for all of an account, and the secret's name. One with the prefix
    of the last good ARN is good. A value that is a part of the prefix (such as the account's number) may
    pass: it stands in other rows anyway.
    """

    def __init__(self) -> None:
        self._prefix: str | None = None

    def __call__(self, created: Created, item: object) -> None:
        """Remove from the answer to a creation of `item`, a definition, what fails the check."""
        assert isinstance(item, SecretDefinition)  # noqa: S101  # nothing else is created
        prefix = self._prefix
        if not is_good(created.request_id, REQUEST_ID, item):
            created.request_id = None
        if prefix is None or created.arn != prefix + item.name:
            if created.arn is not None and not _is_good_arn(created.arn, item):
                created.arn = None
            self._prefix = created.arn and created.arn.removesuffix(item.name)


def is_good(text: str | None, shape: re.Pattern[str], definition: SecretDefinition | None) -> bool:
    """Tell whether `text` has its `shape` and does not echo the definition's value."""
    if text is None or shape.fullmatch(text) is None:
        return False
    return definition is None or not _echoes(text, definition)


def _is_good_arn(arn: str, definition: SecretDefinition) -> bool:
    prefix = arn.removesuffix(definition.name)
    return len(prefix) + len(definition.name) == len(arn) and is_good(prefix, ARN_PREFIX, definition)


def _echoes(text: str, definition: SecretDefinition) -> bool:
    """Tell whether a reply's text is the value, or a part of it; a short value may be in it by chance."""
    value = definition.data.reveal()
    return text in value or (len(value) >= 6 and value in text)
