"""What a reply says is checked for its shape before a row or a log can carry it: it may echo a value."""

from __future__ import annotations

import re
from dataclasses import replace

from bulkseed.model import Created, Fault, SecretDefinition
from bulkseed.policy.advice import ADVICE
from bulkseed.policy.steps import Answer, Done, Found

REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")


_VERSION_ID = re.compile(r"[0-9A-Za-z_/+=.@-]{1,64}")


_CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*){0,3}|HTTP\d{3}")


_ARN_PREFIX = re.compile(r"acs:kms:[a-z0-9-]{1,40}:\d{1,20}:secret/")


def shaped(answer: Answer, definition: SecretDefinition) -> Answer:
    """Return `answer` without what does not look like what it claims to be, or like the value.

    It may be the same object, changed.
    """
    if isinstance(answer, Created):
        if not is_good(answer.request_id, REQUEST_ID, definition):
            answer.request_id = None
        if answer.arn is not None and not _good_arn(answer.arn, definition):
            answer.arn = None
        return answer
    if isinstance(answer, Fault):
        good_code = answer.code in ADVICE or (
            len(answer.code) <= 80 and is_good(answer.code, _CODE, definition)
        )
        return Fault(
            code=answer.code if good_code else f"HTTP{answer.status}",
            status=answer.status,
            request_id=answer.request_id if is_good(answer.request_id, REQUEST_ID, definition) else None,
            retry_after=answer.retry_after,
        )
    if isinstance(answer, Done):
        good_id = is_good(answer.request_id, REQUEST_ID, definition)
        return Done(answer.request_id if good_id else None, answer.current)
    if isinstance(answer, Found) and answer.version_id != definition.version_id:
        good_version = is_good(answer.version_id, _VERSION_ID, definition)
        return replace(answer, version_id=answer.version_id if good_version else "another one")
    return answer


def plain_code(fault: Fault) -> str:
    """Return the code if it looks like one, else ``HTTP<status>``; for replies to calls without a value."""
    known = fault.code in ADVICE or (len(fault.code) <= 80 and _CODE.fullmatch(fault.code))
    return fault.code if known else f"HTTP{fault.status}"


def is_good(text: str | None, shape: re.Pattern[str], definition: SecretDefinition) -> bool:
    """Tell whether `text` has its `shape` and does not echo the definition's value."""
    return text is not None and shape.fullmatch(text) is not None and not _echoes(text, definition)


def _good_arn(arn: str, definition: SecretDefinition) -> bool:
    prefix = arn.removesuffix(definition.name)
    return len(prefix) + len(definition.name) == len(arn) and is_good(prefix, _ARN_PREFIX, definition)


def _echoes(text: str, definition: SecretDefinition) -> bool:
    """Tell whether a reply's text is the value, or a part of it; a short value may be in it by chance."""
    value = definition.data.reveal()
    return text in value or (len(value) >= 6 and value in text)
