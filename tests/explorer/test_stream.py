"""The stream of requests: what a batch of many has, and a page that is closed."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from support.serve_process import UNLIMITED_FLAGS, started

from bulkseed.service.explorer.journal import KEPT, Entry, Journal
from bulkseed.service.explorer.listing import ROWS, Listing, newest
from bulkseed.wire.message import Response


@given(st.lists(st.sampled_from([200, 400, 429, 0]), max_size=4 * ROWS))
def test_the_newest_of_a_batch_are_listed_and_those_refused_among_them(statuses: list[int]) -> None:
    """In order, no more than a person reads, and no refusal goes under in a flood of successes."""
    entries = [Entry(number, 0.0, 0.0, b"", status, b"") for number, status in enumerate(statuses, 1)]
    listed = newest(entries)
    assert [entry.number for entry in listed] == sorted(entry.number for entry in listed)
    for refused in (True, False):
        kind = [entry for entry in entries if (entry.status != 200) is refused]
        assert [entry for entry in listed if (entry.status != 200) is refused] == kind[-ROWS:]


@settings(max_examples=10)
@given(st.lists(st.integers(0, 2 * KEPT), max_size=4), st.sampled_from([(200,), (400,), (200, 200, 429)]))
def test_after_a_flood_all_that_is_kept_has_been_listed(bursts: list[int], statuses: tuple[int, ...]) -> None:
    """However many come at once: each batch stays small, nothing comes twice, and nothing is left out."""
    journal = Journal()
    listing = Listing(journal)
    given: list[int] = []
    for burst in (*bursts, *[0] * (KEPT // ROWS + 1)):
        for number in range(burst):
            status = statuses[number % len(statuses)]
            journal.note(b"", Response(status, {}, b"{}"), 0.0, 0.0)
        batch = [entry.number for entry in listing.batch()]
        assert len(batch) <= 2 * ROWS
        assert batch == sorted(batch)
        given += batch
    assert len(given) == len(set(given))
    assert {entry.number for entry in journal.since(0)} <= set(given)


def test_a_page_that_is_closed_leaves_no_traceback(tmp_path: Path) -> None:
    """Not even one that is gone before it is answered."""
    with started(tmp_path, *UNLIMITED_FLAGS) as (ready, process):
        parts = urlsplit(ready["explorer"])
        address = ("127.0.0.1", int(parts.port or 0))
        cookie = _ask(address, parts.netloc, f"/?{parts.query}")
        for _ in range(20):
            with socket.create_connection(address) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(_request(parts.netloc, "/api/requests", cookie))
        _ask(address, parts.netloc, "/api/actions", cookie)
        process.terminate()
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert "Traceback" not in said, said


def _request(host: str, target: str, cookie: str = "") -> bytes:
    cookies = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{cookies}Connection: close\r\n\r\n".encode()


def _ask(address: tuple[str, int], host: str, target: str, cookie: str = "") -> str:
    """Make a whole request; return the cookie that it was given."""
    with socket.create_connection(address) as connection:
        connection.sendall(_request(host, target, cookie))
        reply = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert reply.startswith("HTTP/1.1 200"), reply[:200]
    found = [line for line in reply.splitlines() if line.lower().startswith("set-cookie:")]
    return found[0].partition(": ")[2].partition(";")[0] if found else ""
