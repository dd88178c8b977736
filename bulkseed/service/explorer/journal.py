"""The last requests, for the explorer: kept as they came, and read only when somebody looks.

What is kept may hold values. It stays in memory, and only `describe` reads it for the list: who, what, when.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_plus

from bulkseed.service.shell.plain_request import read_plain
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Request, Response

KEPT = 1000
BODY_KEPT = 64 * 1024
"""Bytes; a longer body is forgotten, so that a thousand requests stay small."""

_NAMES = re.compile(r"(?:^|&)(Action|SecretName|KeyId|AccessKeyId)=([^&]*)")
_CREDENTIAL = re.compile(r"Credential=([^,]*)")
_SHOWN = 200  # characters of what a client sent


class Entry(NamedTuple):
    """One request and what became of it. `status` is 0 when the connection was dropped; times in seconds.

    `sent` is the request, or the bytes of a plain one.
    """

    number: int
    at: float
    seconds: float
    sent: Request | bytes
    status: int
    refusal: bytes

    @property
    def request(self) -> Request:
        """The request as it was read."""
        return _read(self.sent)

    @property
    def code(self) -> str:
        """The code of the refusal; empty for a success."""
        return decode_fault(Response(self.status, {}, self.refusal)).code if self.refusal else ""


class Journal:
    """Holds the last `KEPT` requests; numbers count from 1."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, float, float, Request | bytes, int, bytes]] = deque(maxlen=KEPT)
        self.last = 0

    def note(self, sent: Request | bytes, response: Response | None, at: float, seconds: float) -> None:
        """Keep a request; nothing is read or decoded here, because every request pays for it."""
        self.last += 1
        if len(sent.body if isinstance(sent, Request) else sent) > BODY_KEPT:
            request = _read(sent)
            sent = Request(request.method, request.query, request.headers, b"", request.path)
        status = response.status if response else 0
        refusal = b"" if response is None or status == 200 else response.body
        self._entries.append((self.last, at, seconds, sent, status, refusal))

    def since(self, number: int) -> list[Entry]:
        """Return what is kept of the entries after `number`, oldest first."""
        fresh = min(self.last - number, len(self._entries))
        return [Entry(*entry) for entry in islice(reversed(self._entries), fresh)][::-1]

    def find(self, number: int) -> Entry | None:
        """Return an entry that is still kept."""
        return next((Entry(*entry) for entry in self._entries if entry[0] == number), None)


def _read(sent: Request | bytes) -> Request:
    request = sent if isinstance(sent, Request) else read_plain(sent)
    assert request is not None  # noqa: S101  # it was answered as a plain one
    return request


def describe(entry: Entry) -> dict[str, object]:
    """Return the entry's row of the list: nothing of any other parameter, so never a value."""
    request = entry.request
    headers = request.headers
    text = f"{request.query}&{request.body.decode('latin-1')}"
    found = {name: unquote_plus(value)[:_SHOWN] for name, value in _NAMES.findall(text)}
    credential = _CREDENTIAL.search(headers.get("authorization", ""))
    return {
        "number": entry.number,
        "at": entry.at,
        "ms": round(entry.seconds * 1000, 2),
        "caller": credential[1][:_SHOWN] if credential else found.get("AccessKeyId", ""),
        "action": headers.get("x-acs-action", "")[:_SHOWN] or found.get("Action", ""),
        "name": found.get("SecretName") or found.get("KeyId", ""),
        "status": entry.status,
        "code": entry.code,
    }
