"""Faults on demand: which request is disturbed, and how. The shells carry it out.

`KINDS` names the disturbances of a faults file. One seed gives one history: whether a rule strikes depends on
the seed, the rule, and how many requests matched it before.

    {"seed": 7,
     "rules": [{"action": "CreateSecret", "name": "prod/*", "requests": [3, 4], "fault": "drop-after"},
               {"probability": 0.01, "fault": "delay", "delay_ms": 2000}]}
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bulkseed.errors import UsageError
from bulkseed.model import Fault
from bulkseed.wire.fault import fault, respond
from bulkseed.wire.message import Response


class Arrival(NamedTuple):
    """What is known about a request before it is served."""

    action: str
    name: str


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens to one request. Times are in seconds.

    `applied`: the request is served and its changes are on disk; only then the reply is lost or replaced.
    `reply` makes what the client gets instead from what it would have got; None drops the connection.
    """

    delay: float = 0.0
    applied: bool = True
    reply: Callable[[Response], Response | None] = lambda response: response


Hook = Callable[[Arrival], Disturbance | None]
"""Asked for every request: return how to disturb it, or None to leave it alone."""


def drop(_response: Response) -> None:
    """Close the connection without a reply."""


def internal_failure(_response: Response) -> Response:
    """Answer 500 InternalFailure."""
    return respond(fault("InternalFailure"))


def bad_gateway(_response: Response) -> Response:
    """Answer 502 with a proxy's HTML page."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return Response(502, {"content-type": "text/html"}, page)


def truncated(response: Response) -> Response:
    """Cut the body in half."""
    return Response(response.status, response.headers, response.body[: len(response.body) // 2])


def throttled(retry_after: float | None) -> Callable[[Response], Response]:
    """Answer 429, with ``x-acs-retry-after`` when `retry_after` (seconds) is given."""
    refusal = fault("Rejected.Throttling")
    response = respond(Fault(refusal.code, refusal.status, refusal.message, retry_after=retry_after))
    return lambda _: response


KINDS: dict[str, Callable[[float | None], Disturbance]] = {
    "delay": lambda _: Disturbance(),
    "drop-before": lambda _: Disturbance(applied=False, reply=drop),
    "drop-after": lambda _: Disturbance(reply=drop),
    "500-before": lambda _: Disturbance(applied=False, reply=internal_failure),
    "500-after": lambda _: Disturbance(reply=internal_failure),
    "429": lambda retry_after: Disturbance(applied=False, reply=throttled(retry_after)),
    "truncate": lambda _: Disturbance(reply=truncated),
    "html-502": lambda _: Disturbance(applied=False, reply=bad_gateway),
}


@dataclass(slots=True)
class Rule:
    """One rule of a faults file; `requests` counts the requests that match it, from 1."""

    disturbance: Disturbance
    action: str = "*"
    name: str = "*"
    requests: frozenset[int] | None = None
    probability: float = 1.0
    matched: int = field(default=0, init=False)


class ScriptedFaults:
    """A hook that follows rules; the first that strikes wins."""

    def __init__(self, rules: list[Rule], seed: int = 0) -> None:
        self._rules = rules
        self._seed = seed

    def __call__(self, arrival: Arrival) -> Disturbance | None:
        """Return how to disturb this request, if at all."""
        struck = None
        for index, rule in enumerate(self._rules):
            if not (fnmatchcase(arrival.action, rule.action) and fnmatchcase(arrival.name, rule.name)):
                continue
            rule.matched += 1
            if struck is None and self._strikes(index, rule):
                struck = rule.disturbance
        return struck

    def _strikes(self, index: int, rule: Rule) -> bool:
        if rule.requests is not None and rule.matched not in rule.requests:
            return False
        draw = random.Random(f"{self._seed}/{index}/{rule.matched}").random()  # noqa: S311  # a script, not a key
        return draw < rule.probability


def read_faults(path: Path) -> ScriptedFaults:
    """Read a faults file.

    Raises:
        UsageError: it cannot be read, or says something that has no meaning.
    """
    try:
        script = orjson.loads(path.read_bytes())
        rules = [_read_rule(rule) for rule in script.get("rules", [])]
        return ScriptedFaults(rules, int(script.get("seed", 0)))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"{path} is not a faults file: {error}") from None


def _read_rule(rule: dict[str, Any]) -> Rule:
    known = {"action", "name", "requests", "probability", "fault", "delay_ms", "retry_after_ms"}
    if unknown := rule.keys() - known:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    if rule.get("fault") not in KINDS:
        raise ValueError(f"fault must be one of {', '.join(KINDS)}")
    retry_after = rule.get("retry_after_ms")
    base = KINDS[rule["fault"]](None if retry_after is None else retry_after / 1000)
    requests = rule.get("requests")
    return Rule(
        Disturbance(rule.get("delay_ms", 0) / 1000, base.applied, base.reply),
        action=rule.get("action", "*"),
        name=rule.get("name", "*"),
        requests=None if requests is None else frozenset(requests),
        probability=float(rule.get("probability", 1.0)),
    )
