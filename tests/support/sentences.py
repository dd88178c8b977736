"""Whether what is told of a problem reads as a sentence."""

from __future__ import annotations

import re

from bulkseed.wire.fault import broken_rule
from bulkseed.wire.validation.parameters import Problem

_SENTENCE = re.compile(r"(It|(Tag|Statement) \d+(: \w+)?|[A-Z]\w+) (is|has|must|may|becomes) .*\.", re.DOTALL)


def reads_well(problem: Problem) -> bool:
    """Tell whether the message of a problem has a subject, then a verb."""
    told = broken_rule(*problem).message.partition(" is not valid. ")[2]
    return _SENTENCE.fullmatch(told) is not None
