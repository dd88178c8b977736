"""Which targets a line is for.

The first that applies: the line's ``Target`` (a name or a list of names); else every target whose `match`
fits the name; and a target without `match` takes every line that names no target. A line that fits none is
unrouted: it is told, and in nobody's ledger.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from bulkseed.manifest.formats.lines import Unreadable
from bulkseed.manifest.keys import TARGET
from bulkseed.model import Origin
from bulkseed.targets.spec import TargetSpec

_WILD = re.compile(r"[*?\[]")


class Unrouted(str):
    """Why a line goes nowhere."""

    __slots__ = ()


class _Globs:
    """The globs of all targets. Most are a prefix and ``*``: these are looked up, not tried one by one."""

    def __init__(self, specs: Sequence[TargetSpec]) -> None:
        self._prefixes: dict[str, list[str]] = {}
        self._others: list[tuple[str, str]] = []
        for spec in specs:
            for glob in spec.match:
                if glob.endswith("*") and not _WILD.search(glob[:-1]):
                    self._prefixes.setdefault(glob[:-1], []).append(spec.name)
                else:
                    self._others.append((spec.name, glob))
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def fitting(self, secret_name: str) -> set[str]:
        """Return the names of the targets one of whose globs fits."""
        found = {name for name, glob in self._others if fnmatchcase(secret_name, glob)}
        for length in self._lengths:
            found.update(self._prefixes.get(secret_name[:length], ()))
        return found


class Router:
    """Tells for each line which targets it is for."""

    def __init__(self, specs: Sequence[TargetSpec]) -> None:
        self._names = frozenset(spec.name for spec in specs)
        self._open = tuple(spec.name for spec in specs if not spec.match)
        self._match = {spec.name: spec.match for spec in specs}
        self._globs = _Globs(specs)
        self._place = {spec.name: place for place, spec in enumerate(specs)}

    def route(self, secret_name: object, target: object) -> tuple[str, ...] | Unrouted:
        """Return the names of the targets of a line, in the file's order, or why there is none.

        `target`: what stands under ``Target``; None or empty if nothing does.
        """
        if _is_given(target):
            return self._named(target)
        if not isinstance(secret_name, str) or not secret_name:
            return self._open or Unrouted("has no SecretName, by which a target could be found")
        fits = self._globs.fitting(secret_name)
        fits.update(self._open)
        if not fits:
            return Unrouted("no target's match fits the name")
        return self._in_order(fits)

    def _named(self, target: object) -> tuple[str, ...] | Unrouted:
        named = [target] if isinstance(target, str) else target
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            return Unrouted(f"{TARGET} must be a name or a list of names")
        if not self._names.issuperset(named):
            return Unrouted(f"{TARGET} names no target of the file")
        return self._in_order(set(named))

    def _in_order(self, names: set[str]) -> tuple[str, ...]:
        return tuple(names) if len(names) == 1 else tuple(sorted(names, key=self._place.__getitem__))

    def of_item(self, item: object) -> tuple[str, ...] | Unrouted:
        """Return the targets of a manifest's object; takes away the key that names them."""
        if isinstance(item, dict):
            target = item.pop(TARGET, None)
            return self.route(item.get("SecretName"), target)
        return Unrouted(item.reason if isinstance(item, Unreadable) else "is not an object of parameters")

    def keeps(self, name: str) -> Callable[[Origin, object], bool]:
        """Return the filter of a manifest for one target.

        It looks at this target's globs alone: each target reads every line, and a hundred of them looking at
        all globs take a core and more.
        """
        mine = self._match[name]
        takes_all = name in self._open

        def keep(_origin: Origin, item: object) -> bool:
            if not isinstance(item, dict):
                return False
            target = item.pop(TARGET, None)
            if _is_given(target):
                return name in _names(self._named(target))
            if takes_all:
                return True
            secret_name = item.get("SecretName")
            return isinstance(secret_name, str) and any(fnmatchcase(secret_name, glob) for glob in mine)

        return keep


def _is_given(target: object) -> bool:
    return target is not None and target != "" and target != []


def _names(routed: tuple[str, ...] | Unrouted) -> tuple[str, ...]:
    return () if isinstance(routed, Unrouted) else routed


class Survey:
    """A first pass over a manifest, which keeps nothing: how much each target gets, and what goes nowhere.

    `on_routed` is called with the targets of each line that has some.

    Attributes:
        lines: how many were seen.
        unrouted: how many went nowhere.
    """

    def __init__(
        self,
        router: Router,
        on_unrouted: Callable[[Origin, str], None],
        on_routed: Callable[[Origin, tuple[str, ...]], None] = lambda _origin, _route: None,
    ) -> None:
        self.lines = 0
        self.unrouted = 0
        self._routes: Counter[tuple[str, ...]] = Counter()
        self._router = router
        self._on_unrouted = on_unrouted
        self._on_routed = on_routed

    def __call__(self, origin: Origin, item: object) -> bool:
        """Count an object of the manifest."""
        self.lines += 1
        routed = self._router.of_item(item)
        if isinstance(routed, Unrouted):
            self.unrouted += 1
            self._on_unrouted(origin, routed)
        else:
            self._routes[routed] += 1
            self._on_routed(origin, routed)
        return False

    @property
    def definitions(self) -> Counter[str]:
        """How many each target gets, by name."""
        total: Counter[str] = Counter()
        for route, count in self._routes.items():
            total.update(dict.fromkeys(route, count))
        return total
