"""Which targets a line is for.

The first that applies: the line's ``Target`` (a name or a list of names); else every target whose `match`
fits the name; and a target without `match` takes every line that names no target. A line that fits none is
unrouted: it is told, and in nobody's ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from bulkseed.targets.spec import TargetSpec

KEY = "Target"
"""The key of a manifest's line that names its targets; no parameter of the API."""


class Unrouted(str):
    """Why a line goes nowhere."""

    __slots__ = ()


class Router:
    """Tells for each line which targets it is for."""

    def __init__(self, specs: Sequence[TargetSpec]) -> None:
        self._names = frozenset(spec.name for spec in specs)
        self._open = tuple(spec.name for spec in specs if not spec.match)
        self._globs = tuple((spec.name, glob) for spec in specs for glob in spec.match)
        self._order = tuple(spec.name for spec in specs)

    def route(self, secret_name: object, target: object) -> tuple[str, ...] | Unrouted:
        """Return the names of the targets of a line, in the file's order, or why there is none.

        `target`: what stands under ``Target``; None or empty if nothing does.
        """
        if target is not None and target != "" and target != []:
            return self._named(target)
        if not isinstance(secret_name, str) or not secret_name:
            return self._open or Unrouted("has no SecretName, by which a target could be found")
        fits = {name for name, glob in self._globs if fnmatchcase(secret_name, glob)}
        fits.update(self._open)
        if not fits:
            return Unrouted("no target's match fits the name")
        return tuple(name for name in self._order if name in fits)

    def _named(self, target: object) -> tuple[str, ...] | Unrouted:
        named = [target] if isinstance(target, str) else target
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            return Unrouted(f"{KEY} must be a name or a list of names")
        if not self._names.issuperset(named):
            return Unrouted(f"{KEY} names no target of the file")
        return tuple(name for name in self._order if name in named)
