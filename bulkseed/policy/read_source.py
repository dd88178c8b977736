"""How a value is read where it is still at another store: before anything is sent for its definition."""

from __future__ import annotations

from bulkseed.model import Fault, Outcome, ReadValue
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import READ_SOURCE, Aborted, Ending, GiveUp, Procedure, ended


def read_source(retry: RetryState) -> Procedure[ReadValue | Ending | Aborted]:
    """Read the value, or end the definition: nothing was sent for it, and a doubt of before stays."""
    try:
        answer = yield from retry.ask(READ_SOURCE)
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer, retry.in_doubt)
        return ended(Outcome.EXHAUSTED, given_up.answer, doubt=retry.in_doubt)
    if isinstance(answer, Fault):
        return ended(Outcome.REJECTED, answer, doubt=retry.in_doubt)
    return answer
