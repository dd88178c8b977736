"""What a run does with each definition: create it, or read it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bulkseed.policy.create import journey
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Journey, Step
from bulkseed.policy.verify import read_back
from bulkseed.wire.message import QuotaGroup


class Task(NamedTuple):
    """A command, the lane whose quota paces it, and the journey of each definition, with its first step."""

    command: str
    lane: QuotaGroup
    journey: Callable[[Rules, str, RetryState], Journey]
    first: Step


APPLY = Task("apply", QuotaGroup.CREATE, journey, Step.CREATE)
VERIFY = Task("verify", QuotaGroup.READ, read_back, Step.READ_VERSION)
