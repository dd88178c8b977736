"""Invalid lines by reason: how many there are of each, and the first few of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bulkseed.cli.render import say, wrapped
from bulkseed.humanize import filled_place, same_mistake
from bulkseed.model import InvalidLine, Origin

EXAMPLES = 5
MOST_REASONS = 1000
"""Reasons that are told apart; memory stays flat whatever a manifest holds."""
_OTHERS = "other reasons"


@dataclass(slots=True)
class _Reason:
    reason: str
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class InvalidLines:
    """Counts reasons; a line with several counts for each of them."""

    def __init__(self) -> None:
        self._groups: dict[str, _Reason] = {}
        self._of_table: Origin | None = None
        self._lacks_table = False

    def add(self, line: InvalidLine) -> None:
        """Count a line, and keep where it is if it is among the first for its reason."""
        if self._of_table is None and "@" in line.origin.manifest:
            self._of_table = line.origin
        for reason in line.reasons:
            self._lacks_table |= reason.startswith("SecretName may have only") and '("{" at' in reason
            kind = same_mistake(reason)
            if kind not in self._groups and len(self._groups) >= MOST_REASONS:
                kind = reason = _OTHERS
            group = self._groups.setdefault(kind, _Reason(reason))
            if group.count and group.reason != reason:
                group.reason = kind
            group.count += 1
            if len(group.examples) < EXAMPLES:
                group.examples.append((str(line.origin), reason))

    def as_list(self) -> list[dict[str, Any]]:
        """Return the reasons with their counts, the commonest first."""
        return [{"reason": group.reason, "count": group.count} for group in self._sorted()]

    def print(self) -> None:
        """Print every reason with its first lines."""
        for group in self._sorted():
            say(wrapped(f"invalid: {group.reason}: {group.count:,} line{'s' * (group.count > 1)}"))
            for origin, reason in group.examples:
                detail = "" if reason == group.reason else f": {reason}"
                say(wrapped(f"  {origin}{detail}", "    "))
            if (more := group.count - len(group.examples)) > 0:
                say(f"  and {more:,} more")
        if self._lacks_table and self._of_table is None:
            say(wrapped("  (a name with {column} in it is a template: --each TABLE.csv fills it)", "    "))
        if self._of_table is not None and (told := filled_place(*self._of_table)):
            say(wrapped(f"  ({told})", "    "))

    def _sorted(self) -> list[_Reason]:
        return sorted(self._groups.values(), key=lambda group: -group.count)
