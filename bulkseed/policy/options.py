"""What a user chooses for a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bulkseed.policy.backoff import RetryPolicy


class OnExists(StrEnum):
    """What ``Rejected.ResourceExist`` means for a secret that is not ours."""

    SKIP = "skip"
    VERIFY = "verify"
    UPDATE = "update"
    FAIL = "fail"


class OnDeleteWindow(StrEnum):
    """What ``Rejected.ResourceInDeleteWindow`` means."""

    FAIL = "fail"
    RESTORE = "restore"


@dataclass(slots=True, frozen=True)
class Rules:
    """The user's choices for a run.

    `follow`: a secret of ours whose VersionId changed gets the new version; if not, it is left behind.
    `regenerate`: so does one whose generated value was lost, if version and time prove that it is ours.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_exists: OnExists = OnExists.SKIP
    on_delete_window: OnDeleteWindow = OnDeleteWindow.FAIL
    follow: bool = True
    regenerate: bool = False
