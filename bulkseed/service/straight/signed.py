"""A request whose signature fits, as the straight path reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bulkseed.service.straight.plans import CreatePlan
from bulkseed.wire.encoding import Item
from bulkseed.wire.signing.verify import AccessKey, Caller


class Metadata(NamedTuple):
    """Parameters that many requests have alike, and the plan of a plain CreateSecret with them.

    `first` were sent before the name, `last` after it; `before` and `after` are what the canonical query has
    in front of the name and behind it.
    """

    first: dict[str, str]
    last: dict[str, str]
    plan: CreatePlan | None
    before: bytes = b""
    after: bytes = b""


@dataclass(slots=True)
class Signed:
    """Who signed what. `sent_at` is in epoch seconds.

    `data` is the value of a CreateSecret; `form` is what the body adds to name and metadata.
    """

    key: AccessKey
    action: str
    nonce: str
    sent_at: float
    name: str
    data: str | None = field(repr=False)
    metadata: Metadata = field(repr=False)
    form: list[Item] = field(repr=False)

    def parameters(self) -> dict[str, str]:
        """Return all parameters in the order sent: of several mistakes, the first is named."""
        form = {item.name: item.value for item in self.form}
        return {**self.metadata.first, "SecretName": self.name, **self.metadata.last, **form}

    def caller(self, version: str) -> Caller:
        """Return what the signature vouches for."""
        return Caller(self.key.id, self.key.account, self.action, version, self.nonce, self.sent_at)


class Reader(Protocol):
    """Reads requests whose head fits `pattern`."""

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """Return what the heads are like."""
        ...

    def read(self, head: re.Match[bytes], data: bytes, now: float) -> Signed | None:
        """Return the request, if its signature fits; None: the ordinary path is to look at it."""
        ...
