"""The fastest round trip that the kernel has seen on a connection.

The kernel takes it from what the other kernel confirms, beginning with the handshake (`struct tcp_info` of
linux/tcp.h, `tcpi_min_rtt`, since Linux 4.6; the least of the last five minutes). So it tells of the network
alone: not of the service, which may let a request wait, nor of this process, which may be late to read. To a
proxy it is the way to the proxy.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

_AT = 148
"""Bytes before `tcpi_min_rtt` in `struct tcp_info`."""

_MICROSECONDS = struct.Struct("=I")
_UNKNOWN = (0, 0xFFFF_FFFF)
"""What a kernel says that has measured nothing, and what one says that does not measure it."""


def fastest_round_trip(transport: asyncio.BaseTransport | None) -> float | None:
    """Return it in seconds; None where the system does not tell it, or the connection is closed."""
    if sys.platform != "linux" or transport is None or transport.is_closing():
        return None  # of what is closed asyncio may have no socket, and uvloop the number of another one's
    connection = transport.get_extra_info("socket")
    if connection is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _AT + _MICROSECONDS.size)
    except (OSError, ValueError):  # closed, or no TCP
        return None
    if len(info) < _AT + _MICROSECONDS.size:
        return None
    (microseconds,) = _MICROSECONDS.unpack_from(info, _AT)
    return None if microseconds in _UNKNOWN else microseconds / 1e6
