"""What travels: calls before they are signed, requests and responses, and the port that carries them.

What may hold a value is in no repr: error reporters print the variables of every frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bulkseed.model import NoReply

API_VERSION = "2016-01-20"


@dataclass(slots=True)
class Call:
    """An action with its parameters, encoded once and signed anew for every attempt.

    `query` and `form` are ``a=b&c=d``: sorted by name, the values percent-encoded.
    """

    action: str
    query: str = ""
    form: str = field(default="", repr=False)


@dataclass(slots=True)
class Request:
    """A signed HTTP request. `query` is already encoded; header names are lower-case."""

    method: str
    query: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    path: str = "/"


class WrittenRequest(Request):
    """A signed POST request whose head was written as it travels, in one go.

    Its headers are read out of its head when somebody asks: the raw transport never does. A changed copy
    (`dataclasses.replace`) has no head, "".
    """

    __slots__ = ("head",)

    head: str
    """From the request line to the empty line. It is part of no repr, as a header may be a token."""

    @classmethod
    def of(cls, query: str, head: str, body: bytes) -> WrittenRequest:
        """Return the request with this head; `query` is in it, too."""
        made = cls.__new__(cls)
        made.method, made.path = "POST", "/"
        made.query, made.head, made.body = query, head, body
        return made

    def __getattr__(self, name: str) -> object:
        """Return `headers` when they are asked for the first time, and the head of a copy."""
        if name == "head":
            return ""
        if name != "headers":
            raise AttributeError(name)
        fields = dict(line.split(": ", 1) for line in self.head.split("\r\n")[1:-2])
        del fields["content-length"]
        self.headers = fields
        return fields


@dataclass(slots=True)
class Response:
    """An HTTP response. Headers are found by their lower-case names.

    `round_trip` is the fastest that the kernel has seen on its connection, in seconds; None: unknown.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    round_trip: float | None = None


class Transport(Protocol):
    """Carries one request to the service and its answer back."""

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send `request`; never raises for what the network or the service does.

        `on_write` is called at most once, at the moment the first byte is handed to the kernel: pacing counts
        from there. If it was not called, or returned False, nothing was sent and `NoReply.maybe_applied` is
        False.
        """
        ...
