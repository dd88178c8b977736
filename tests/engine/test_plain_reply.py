"""The pattern for plain replies agrees with the parser that everything else goes to."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkseed.transport.aiohttp_internals import new_parser
from bulkseed.transport.plain_reply import read_plain

PLAIN = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nConnection: keep-alive\r\nx-acs-request-id: 1\r\n\r\n{}"
)
STARTS = [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 429 ", b"HTTP/1.1 599 a\tb"]
UNUSUAL_STARTS = [b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 ", b"HTTP/1.1 100 ", b"HTTP/2 200 OK"]
HEADERS = [
    b"Server: a",
    b"X-A:b",
    b"x-a: \tc \t",
    b"X_A: ",
    b"etag: \"'",
    b"Set-Cookie: a=b",
    b"Keep-Alive: 5",
]
HEADERS += [b"Date: Thu, 01 Jan 2026 00:00:00 GMT", b"date: a", b"Connection: keep-alive", b"Content-Type: a"]
UNUSUAL_HEADERS = [
    b"Connection: close",
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Upgrade: a",
]
UNUSUAL_HEADERS += [
    b"Trailer: a",
    b"Proxy-Connection: close",
    b"X-A: \xff",
    b"X-A: \x00",
    b" folded",
    b"X-A : b",
]
UNUSUAL_HEADERS += [
    b"Content-Length: 2",
    b"content-length: +2",
    b"no colon",
    b": b",
    b"X-A: a\nX-B: b",
    b"x: a\x7f",
]
LENGTHS = [b"Content-Length: 2", b"content-length: 002", b"Content-Length: 0", b"Content-Length: 3"]


def as_parsed(data: bytes) -> tuple[Any, ...] | None:
    """Return status, headers and body of the one reply in `data`, if it is all and the connection goes on."""
    loop = asyncio.get_running_loop()
    parser: HttpResponseParser = new_parser(ResponseHandler(loop), loop)
    try:
        messages, upgraded, rest = parser.feed_data(data)
    except Exception:  # noqa: BLE001  # whatever it raises, it is no plain reply
        return None
    if len(messages) != 1 or upgraded or rest:
        return None
    head, payload = messages[0]
    if head.should_close or head.chunked or not payload.is_eof() or "content-length" not in head.headers:
        return None
    return head.code, {name.lower(): head.headers[name] for name in head.headers}, payload.read_nowait()


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Draw a reply, mostly plain, with at most a few unusual things."""
    unusual = draw(st.booleans())
    start = draw(st.sampled_from(STARTS + UNUSUAL_STARTS * unusual))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    for more in [LENGTHS, UNUSUAL_HEADERS] if unusual else [LENGTHS]:
        headers.insert(draw(st.integers(0, len(headers))), draw(st.sampled_from(more)))
    body = draw(st.sampled_from([b"{}", b"{}", b"", b"\r\n", b"{}\n"]))
    return b"\r\n".join([start, *headers, b"", body])


def agrees(data: bytes) -> None:
    """Fail where what the pattern makes of `data` is not what the parser says."""
    found = read_plain(data)
    if found is not None:
        assert (found.status, dict(found.headers), found.body) == as_parsed(data)
        assert found.headers.get("date") == dict(found.headers).get("date")
        assert len(found.headers) == len(list(found.headers))


@example(PLAIN)
@example(PLAIN.replace(b"Date", b"a:\r\n" * 32 + b"Date").replace(b"Conn", b"a:\r\n" * 31 + b"Conn"))
@example(PLAIN.replace(b"\r\n", b"\n"))
@example(PLAIN.replace(b"x-acs-request-id: 1", b"x: " + b"a" * 9000))
@example(PLAIN.replace(b"x-acs-request-id: 1", b"a:\r\n" * 900 + b"a:"))
@example(PLAIN + PLAIN)
@example(PLAIN[:-1])
@given(replies())
@settings(max_examples=100)
def test_a_plain_reply_is_what_the_parser_says(data: bytes) -> None:
    """The same status, headers and body; where they could differ, the parser is left to it."""
    asyncio.run(_check(data))


async def _check(*replies: bytes) -> None:
    for data in replies:
        agrees(data)


def test_what_is_not_plain_is_for_the_parser() -> None:
    """Each by itself in a reply that is plain but for it."""
    odd = [PLAIN.replace(b"x-acs-request-id: 1", header) for header in UNUSUAL_HEADERS]
    odd += [PLAIN.replace(b"HTTP/1.1 200 OK", start) for start in UNUSUAL_STARTS]
    assert [read_plain(data) for data in odd] == [None] * len(odd)


def test_usual_replies_are_plain() -> None:
    """Those of the service, and of those who forward them: the shortcut would be useless otherwise."""
    date = b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    for reply in (
        PLAIN,
        PLAIN.replace(date, b""),
        PLAIN.replace(date, b"").replace(b"Content-Length: 2\r\n", b"content-length: 2\r\n" + date),
        PLAIN.replace(b"200 OK", b"429 Too Many Requests"),
    ):
        found = read_plain(reply)
        assert found is not None
        assert found.headers.get("x-acs-request-id") == "1"
        assert found.headers.get("none", "other") == "other"
