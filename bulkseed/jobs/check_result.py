"""What a checkup says of each thing that it looks at."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How bad what was found is."""

    OK = "ok"
    NOTE = "note"  # not asked, or worth knowing
    WARNING = "warning"  # some commands will not work
    PROBLEM = "problem"  # no command will work


class CheckResult(NamedTuple):
    """One thing that was looked at. `action`: what to do about it."""

    about: str
    state: State
    text: str
    action: str | None = None
