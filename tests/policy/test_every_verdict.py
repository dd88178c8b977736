"""What each verdict on each request of each procedure leads to, as one table to review.

A new verdict has no row here until somebody has thought about it: what a procedure does not name, it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import pytest
from support.creating import EXISTS, created

from bulkseed.model import Fault
from bulkseed.policy import steps
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.create import create
from bulkseed.policy.follow import confirm, follow
from bulkseed.policy.moments import CreationTime, OurMoment, ServiceMoment, of_earlier_run
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.policy.put_back import put_back
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import OwnedSecret, rollback
from bulkseed.policy.steps import Aborted, Counted, Described, Found, Step, Subject
from bulkseed.policy.verdicts import RULES, Verdict, classify
from bulkseed.policy.verify import verify

IN_WINDOW = Fault("Rejected.ResourceInDeleteWindow", 409)
MADE = CreationTime(ServiceMoment(1_000.0), OurMoment(1_001.0, 1_001.0), OurMoment(998.0, 998.0))
ANSWERS: dict[Step[Any], Any] = {
    steps.CREATE: EXISTS,
    steps.READ_VERSION: Found("v1", same_value=True, created=created(1_001.0)),
    steps.READ_CURRENT: Found("v0", same_value=False, created=created(999.0)),
    steps.COUNT_VERSIONS: Counted(1, ("v1",), "v1"),
    steps.DESCRIBE: Described(MADE, "2027-01-15T08:00:00Z", unchanged=True),
}
"""What is answered to the requests before the one that is refused."""
OURS = OwnedSecret(("v1",), OurMoment(1_000.0, 1_000.0), OurMoment(1_000.5, 1_000.5))
SUBJECT = Subject("v1")


class Case(NamedTuple):
    """A procedure, and the one of its requests that is refused; `before` are other answers than usual."""

    begin: Callable[[RetryState], Generator[Any, Any, Any]]
    step: Step[Any]
    doubt: bool = False
    before: Mapping[Step[Any], Any] = {}


def creating(**rules: Any) -> Callable[[RetryState], Generator[Any, Any, Any]]:
    """Return how a creation by these rules begins."""
    return lambda retry: create(Rules(RetryPolicy(2), **rules), SUBJECT, retry)


UPDATING = creating(on_exists=OnExists.UPDATE)
CASES = {
    "create": Case(creating(), steps.CREATE),
    "restore": Case(
        creating(on_delete_window=OnDeleteWindow.RESTORE), steps.RESTORE, before={steps.CREATE: IN_WINDOW}
    ),
    "probe": Case(creating(), steps.READ_VERSION, doubt=True),
    "compare": Case(creating(on_exists=OnExists.VERIFY), steps.READ_VERSION),
    "current": Case(UPDATING, steps.READ_CURRENT),
    "count": Case(UPDATING, steps.COUNT_VERSIONS),
    "put": Case(UPDATING, steps.PUT),
    "verify": Case(lambda retry: verify(Rules(), SUBJECT, retry), steps.READ_VERSION),
    "held": Case(lambda retry: follow("v0", SUBJECT, retry), steps.READ_CURRENT),
    "follow": Case(lambda retry: follow("v0", SUBJECT, retry), steps.PUT),
    "confirm": Case(
        lambda retry: confirm(SUBJECT, retry, of_earlier_run(2_000.0), owned=True), steps.READ_VERSION
    ),
    "look": Case(lambda retry: rollback(OURS, retry), steps.DESCRIBE),
    "versions": Case(lambda retry: rollback(OURS, retry), steps.COUNT_VERSIONS),
    "delete": Case(lambda retry: rollback(OURS, retry), steps.DELETE),
    "put_back": Case(lambda retry: put_back(OURS, "v0", "v1", retry), steps.PUT_BACK),
}

ENDS = """
                 create     restore    probe      compare    current    count      put
EXISTED          existing   rejected   rejected   rejected   rejected   rejected   conflict
IN_DELETE_WINDOW rejected   rejected   rejected   rejected   rejected   rejected   rejected
NOT_SCHEDULED    -          existing   -          -          -          -          -
NOT_FOUND        rejected   rejected   existing   conflict   rejected   rejected   rejected
NO_PERMISSION    rejected   rejected   existing   rejected   rejected   rejected   rejected
NO_ROOM          -          -          -          -          -          -          rejected
INVALID          rejected   rejected   rejected   rejected   rejected   rejected   rejected
RETRY            exhausted  exhausted  exhausted  exhausted  exhausted  exhausted  exhausted
THROTTLED        exhausted  exhausted  exhausted  exhausted  exhausted  exhausted  exhausted
CLOCK            stop       stop       stop       stop       stop       stop       stop
REJECT           rejected   rejected   rejected   rejected   rejected   rejected   rejected
ABORT            stop       stop       stop       stop       stop       stop       stop

                 verify     held       follow     confirm
EXISTED          unreadable rejected   conflict   rejected
IN_DELETE_WINDOW missing    rejected   rejected   rejected
NOT_SCHEDULED    -          -          -          -
NOT_FOUND        behind     rejected   rejected   not_ours
NO_PERMISSION    unreadable rejected   rejected   rejected
NO_ROOM          -          -          rejected   -
INVALID          unreadable rejected   rejected   rejected
RETRY            unreadable exhausted  exhausted  exhausted
THROTTLED        unreadable exhausted  exhausted  exhausted
CLOCK            stop       stop       stop       stop
REJECT           unreadable rejected   rejected   rejected
ABORT            stop       stop       stop       stop

                 look       versions   delete     put_back
EXISTED          failed     failed     failed     failed
IN_DELETE_WINDOW gone       gone       gone       failed
NOT_SCHEDULED    -          -          -          -
NOT_FOUND        gone       gone       gone       failed
NO_PERMISSION    failed     failed     failed     failed
NO_ROOM          -          -          -          -
INVALID          failed     failed     failed     failed
RETRY            failed     failed     failed     failed
THROTTLED        failed     failed     failed     failed
CLOCK            stop       stop       stop       stop
REJECT           failed     failed     failed     failed
ABORT            stop       stop       stop       stop
"""
"""The end if the request is always refused so; a dash where no row of `RULES` gives that verdict."""


def refusal(verdict: Verdict, step: Step[Any]) -> Fault | None:
    """Return an answer to a step on which this is the verdict; None if no row gives one."""
    faults = (Fault((rule.code or "").removesuffix("*"), 400) for rule in RULES if rule.verdict is verdict)
    return next((fault for fault in faults if fault.code and classify(fault, step) is verdict), None)


REFUSALS = ("rejected", "conflict", "exhausted", "unreadable", "missing", "failed")


def end_of(case: Case, refused: Fault) -> str:
    """Return how a procedure ends if one of its requests is always refused so; a failure names it."""
    since = of_earlier_run(1_000.0) if case.doubt else None
    retry = RetryState(RetryPolicy(2), since, lambda: of_earlier_run(2_000.0), lambda: 0.0, lambda: 0.5)
    procedure, answer = case.begin(retry), None
    try:
        while True:
            step = procedure.send(answer)
            if step is case.step:
                answer = refused
            else:
                answer = {**ANSWERS, **case.before}[step] if isinstance(step, Step) else None
    except StopIteration as ended:
        end = ended.value
    if isinstance(end, Aborted):
        return "stop"
    if not hasattr(end, "outcome"):
        return str(end.name.lower())
    assert end.code == refused.code or end.outcome not in REFUSALS
    return str(end.outcome)


def table() -> dict[tuple[str, str], str]:
    """Return the ends by case and verdict."""
    found: dict[tuple[str, str], str] = {}
    for block in ENDS.strip().split("\n\n"):
        cases, *rows = block.splitlines()
        for row in rows:
            verdict, *ends = row.split()
            found |= {(case, verdict): end for case, end in zip(cases.split(), ends, strict=True)}
    return found


def test_the_table_has_every_verdict_on_every_request() -> None:
    """Whoever adds a verdict says here what each procedure makes of it."""
    assert set(table()) == {(case, verdict.name) for case in CASES for verdict in Verdict}
    answered = set(ANSWERS) | {case.step for case in CASES.values()}
    assert answered == {step for step in vars(steps).values() if isinstance(step, Step)} - {steps.READ_SOURCE}


def test_which_requests_leave_a_doubt_and_which_may_be_made_again() -> None:
    """A secret that may be there now is looked for, and before a rollback repeats anything it looks."""
    every = {step for step in vars(steps).values() if isinstance(step, Step)}
    assert {step for step in every if step.leaves_doubt} == {steps.CREATE, steps.PUT_BACK, steps.DELETE}
    assert {step for step in every if not step.repeatable} == {steps.PUT_BACK, steps.DELETE}


@pytest.mark.parametrize(("name", "verdict"), [(case, verdict) for case in CASES for verdict in Verdict])
def test_each_verdict_leads_to_its_end(name: str, verdict: Verdict) -> None:
    """No verdict falls through to an end that nobody has chosen."""
    case = CASES[name]
    refused = refusal(verdict, case.step)
    assert ("-" if refused is None else end_of(case, refused)) == table()[name, verdict.name]
