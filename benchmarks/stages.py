"""Where our time goes: each stage by itself in a tight loop, and the whole run.

    python -m benchmarks.stages [--secrets 20000] [--rounds 5]

Stages are measured with everything else out of the way and with warm caches, so their sum is less than the
whole. The rest is what holds them together (workers, pacing, the worker, counters), and that between two
secrets the kernel, SQLite and the event loop have had the caches.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.common import cores, publish, stub_server, write_manifest
from benchmarks.peers import KEY_ID, KEY_SECRET
from benchmarks.stub_server import reply_to
from bulkseed.cli.process import GC_THRESHOLD
from bulkseed.client.sanitize import CreatedCheck
from bulkseed.jobs.apply import seed
from bulkseed.ledger import Claim, Creation, open_ledger
from bulkseed.manifest import open_manifest
from bulkseed.model import Created, Credentials, QuotaGroup, SecretDefinition, SecretValue, Target
from bulkseed.pacing.pacer import always
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.wire.actions import create_secret
from bulkseed.wire.message import Request, Response
from bulkseed.wire.signing.verify import SIGNATURES

BLOCK, WORKERS, NOW = 1024, 64, 1_800_000_000.0
Times = dict[str, float]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {cores()[1]})
    gc.set_threshold(GC_THRESHOLD)  # as the command does
    rounds: list[Times] = []
    with stub_server() as endpoint:
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                manifest = write_manifest(Path(folder) / "stages.jsonl", options.secrets)
                rounds.append(_Round(manifest, endpoint).times)
    publish("stages", "Where our time goes", table(rounds), rounds)


def table(rounds: list[Times]) -> str:
    """Return the results as Markdown: medians, and what the stages leave unexplained."""
    medians = {stage: statistics.median(one[stage] for one in rounds) for stage in rounds[0]}
    whole = medians.pop("the whole run")
    medians["the rest"] = whole - sum(medians.values())
    lines = ["| stage | µs of CPU a secret | share |", "|---|---|---|"]
    lines += [f"| {stage} | {took:.1f} | {took / whole:.0%} |" for stage, took in medians.items()]
    return "\n".join([*lines, f"| the whole run | {whole:.1f} | |"])


class _Round:
    """One measurement of everything; `times` are µs of CPU a secret."""

    def __init__(self, manifest: Path, endpoint: str) -> None:
        self.times: Times = {}
        self.target = Target(endpoint, "cn-hangzhou", Credentials(KEY_ID, SecretValue(KEY_SECRET)))
        with open_manifest(manifest) as entries:
            definitions = self.time("read and check a line", lambda: list(entries), None)
        self.count = len(definitions)
        self._ledger(manifest.with_suffix(".stages.db"), definitions)
        self._wire(definitions)
        self._whole(manifest)

    def time(self, stage: str, work: Callable[[], Any], count: int | None) -> Any:
        """Do `work` and note what it took for each of `count`, or of what it returns."""
        began = time.process_time()
        result = work()
        self.times[stage] = (time.process_time() - began) / (count or len(result)) * 1e6
        return result

    def _ledger(self, path: Path, definitions: list[Any]) -> None:
        with open_ledger(path, self.target) as ledger:
            ledger.begin_run("stages", [], {QuotaGroup.CREATE: 0}, NOW)
            starts = range(0, self.count, BLOCK)
            blocks: list[list[Claim]] = self.time(
                "claim, on disk",
                lambda: [ledger.admit(definitions[i : i + BLOCK], NOW).to_send for i in starts],
                self.count,
            )

            def record(block: list[Claim]) -> None:
                ledger.record([], [], [Creation(c.row_id, NOW, 0.01, "id", "arn") for c in block])

            self.time("record attempt and answer, on disk", lambda: list(map(record, blocks)), self.count)

    def _wire(self, definitions: list[SecretDefinition]) -> None:
        endpoint = parse_endpoint(self.target.endpoint)
        signer = SIGNATURES["acs3"](endpoint.address, Credentials(KEY_ID, SecretValue(KEY_SECRET)))
        calls = self.time("encode", lambda: list(map(create_secret.encode, definitions)), None)
        requests = self.time("sign", lambda: [signer.sign(call, NOW, "0" * 32) for call in calls], None)

        async def send() -> None:
            async with RawTransport(endpoint, connections=WORKERS) as transport:
                left = iter(requests)
                await asyncio.gather(*(_send_all(transport, left) for _ in range(WORKERS)))

        self.time("send and receive, kernel included", lambda: uvloop.run(send()), self.count)
        bodies = [reply_to(request.query.encode()).partition(b"\r\n\r\n")[2] for request in requests]

        check = CreatedCheck()

        def understand(body: bytes, definition: SecretDefinition) -> Any:
            answer = create_secret.decode(Response(200, {}, body))
            if isinstance(answer, Created):
                check(answer, definition)
            return answer

        self.time("decode and check the reply", lambda: list(map(understand, bodies, definitions)), None)

    def _whole(self, manifest: Path) -> None:
        with (
            open_ledger(manifest.with_suffix(".db"), self.target) as ledger,
            open_manifest(manifest) as entries,
        ):
            run = seed(entries, self.target, ledger, qps=0)
            self.time("the whole run", lambda: uvloop.run(run), self.count)


async def _send_all(transport: RawTransport, requests: Any) -> None:
    request: Request
    for request in requests:
        if not isinstance(await transport.send(request, always), Response):
            raise SystemExit("the stub server does not answer")


if __name__ == "__main__":
    main()
