"""A quota as the service enforces it, behind a network with jitter: a strict window of one second.

    python -m benchmarks.quota_server LIMIT JITTER RECORD

Each way takes 5 ms and up to JITTER seconds more. It prints ``{"port": …}``, serves until SIGTERM, and then
writes to RECORD what it decided: ``[[seconds, accepted], …]``. Its answers can be read by
clients of this API and by those of AWS (`botocore`): both find their fields in them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import deque
from pathlib import Path

BASE = 0.005
_ACCEPTED = b'{"RequestId":"3bf02f7a-015b-4f23-be0f-c0bd5d3b0d7c","Arn":null,"ARN":"arn","Name":"name"}'
_REFUSED = (
    b'{"Code":"Rejected.Throttling","Message":"QPS Limit Exceeded","HttpCode":429,'
    b'"RequestId":"3bf02f7a-015b-4f23-be0f-c0bd5d3b0d7c","__type":"ThrottlingException"}'
)


async def serve(limit: int, jitter: float, record: Path) -> None:
    """Decide on requests until SIGTERM, then record it and exit. What is refused does not count."""
    window, decided = deque[float](maxlen=limit), list[tuple[float, bool]]()
    rng = random.Random(1)  # noqa: S311  # a network, not a key

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, length = head.partition(b"content-length: ")
                await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                await asyncio.sleep(BASE + rng.random() * jitter)
                now = time.monotonic()
                accepted = len(window) < limit or now - window[0] >= 1
                if accepted:
                    window.append(now)
                decided.append((now, accepted))
                await asyncio.sleep(BASE + rng.random() * jitter)
                status, body = ("200 OK", _ACCEPTED) if accepted else ("429 Too Many Requests", _REFUSED)
                lines = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                writer.write(f"{lines}\r\n\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
        await stop.wait()
    await asyncio.to_thread(record.write_text, json.dumps(decided))
    os._exit(0)  # clients may still hold connections


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
