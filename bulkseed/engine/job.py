"""What a job does with each definition of a manifest; the jobs themselves are in `bulkseed.jobs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bulkseed.policy.jobs import JobKind
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, Ending, Procedure, Step, Subject


class RunJob(NamedTuple):
    """A kind of job, the procedure of each definition, and its first step.

    `follows`: a secret of ours whose version changed gets the new one.
    """

    kind: JobKind
    procedure: Callable[[Rules, Subject, RetryState], Procedure[Ending | Aborted]]
    first: Step[Any]
    follows: bool = False
