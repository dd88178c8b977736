"""What a run does with each definition: create it, or read it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bulkseed.policy.journey import Journey, Rules, Step, Traveller, journey
from bulkseed.policy.readback import read_back
from bulkseed.wire.message import Lane


class Task(NamedTuple):
    """A command, the lane whose quota paces it, and the journey of each definition, with its first step."""

    command: str
    lane: Lane
    journey: Callable[[Rules, str, Traveller], Journey]
    first: Step


APPLY = Task("apply", Lane.CREATE, journey, Step.CREATE)
VERIFY = Task("verify", Lane.READ, read_back, Step.READ_VERSION)
