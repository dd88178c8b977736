"""``bulkseed bench``: an open-loop load on an endpoint, its latencies, and the rate it keeps up with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import click

from bulkseed.cli.arguments import Number, option, takes
from bulkseed.cli.many.cluster_arguments import ClusterArguments
from bulkseed.cli.options import LogArguments, ManifestArguments, OutputOption, open_manifests
from bulkseed.cli.process import run_async
from bulkseed.cli.render import print_json, say
from bulkseed.cli.target import TargetArguments, TargetOptions, open_target
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.errors import UsageError
from bulkseed.model import InvalidLine, SecretDefinition
from bulkseed.wire.validation.limits import DATA_MAX_BYTES

if TYPE_CHECKING:
    from bulkseed.jobs.load_test import RateStep

NAMED = 100
"""The most names of what is left over in the JSON output."""


@dataclass(slots=True, frozen=True)
class BenchArguments:
    """What ``bulkseed bench`` is told."""

    manifest: ManifestArguments
    target: TargetArguments
    rate: Annotated[
        float,
        option(
            "--rate",
            type=Number(above=True),
            default=100,
            metavar="N",
            help="Requests a second.",
        ),
    ]
    ladder: Annotated[
        str | None,
        option("--ladder", metavar="N,N…", help="Rates to climb, until one is too much; instead of --rate."),
    ]
    seconds: Annotated[
        float,
        option(
            "--seconds",
            type=Number(0, 86_400, above=True),
            default=10,
            metavar="N",
            help="How long each rate is held.",
        ),
    ]
    count: Annotated[
        int | None,
        option(
            "--count",
            type=click.IntRange(min=1),
            metavar="N",
            help="Requests at each rate, instead of --seconds.",
        ),
    ]
    p99: Annotated[
        float,
        option(
            "--p99",
            type=Number(above=True),
            default=1000,
            metavar="MS",
            help="A rate is kept up with if 99 % are created within this time.",
        ),
    ]
    value_bytes: Annotated[
        int,
        option(
            "--value-bytes",
            type=click.IntRange(1, DATA_MAX_BYTES),
            default=32,
            metavar="N",
            help="Size of the synthetic values.",
        ),
    ]
    connections: Annotated[
        int,
        option(
            "--connections",
            type=click.IntRange(min=1),
            default=256,
            metavar="N",
            help="At most; waiting for one counts as latency.",
        ),
    ]
    delete_qps: Annotated[
        float | None,
        option(
            "--delete-qps",
            type=Number(),
            metavar="N",
            help="Deletions a second afterwards; 0: no ceiling.  [default: the knee, else the first rate]",
        ),
    ]
    keep: Annotated[bool, option("--keep", is_flag=True, help="Do not delete what was created.")]
    yes_really: Annotated[
        bool,
        option(
            "--yes-really", is_flag=True, help="Allow the public service (*.aliyuncs.com): it costs money."
        ),
    ]
    cluster: ClusterArguments
    output: OutputOption
    log: LogArguments

    def rates(self) -> list[tuple[float, int]]:
        """Return the rates to climb, and how many requests at each.

        Raises:
            UsageError: a rate is no positive number.
        """
        texts = str(self.rate) if self.ladder is None else self.ladder
        try:
            rates = [float(text) for text in texts.split(",")]
        except ValueError:
            rates = []
        if not rates or not all(0 < rate < float("inf") for rate in rates):
            raise UsageError("--ladder takes rates like 50,100,200")
        return [(rate, self.count or max(1, round(rate * self.seconds))) for rate in rates]


@click.command()
@takes(BenchArguments)
def bench(given: BenchArguments) -> int:
    """Send creates at a fixed rate, whether or not earlier ones were answered, and measure.

    Latencies count from the moment a request was due, so a slow service cannot hide by slowing the sender
    down. The secrets are synthetic, named bench/RUN/N, or those of MANIFEST…. All that was created is
    deleted again at the end, for good.

    \b
    Exit codes: 0 measured and cleaned up, 1 something is left over, 2 usage,
    3 stopped early, 130 interrupted.

    \b
    Examples:
      bulkseed bench --endpoint http://127.0.0.1:8080 --rate 500 --seconds 30
      bulkseed bench --endpoint embedded --ladder 250,500,1000,2000,4000
      bulkseed bench --endpoint http://10.0.0.9:8553 --rate 2000 --cluster tcp://10.0.0.5:8786
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given.log)
    chosen = given.target.chosen()
    _need_permission(chosen, given.yes_really)
    if given.cluster.cluster is not None:
        found = _on_workers(chosen, given)
    else:
        found = run_async(_bench, chosen, given)
    if given.output == "json":
        print_json(found)
    else:
        _print_end(found)
    if found["stopped_by"] is not None:
        say(f"stopped early: {found['stopped_by']}", err=True)
    return int(found["exit_code"])


def _on_workers(chosen: TargetOptions, given: BenchArguments) -> dict[str, Any]:
    from bulkseed.cli.many.bench import bench_on_workers
    from bulkseed.cluster.load_share import Share

    if given.manifest.manifests:
        raise UsageError("--cluster sends synthetic secrets: give no manifest")
    if chosen.embedded:
        raise UsageError("--cluster needs an --endpoint that its workers can reach")
    run_id = os.urandom(4).hex()
    share = Share(
        *(chosen.url, chosen.region, chosen.signature, chosen.profile, chosen.ca_file, f"bench/{run_id}"),
        rate=0.0,
        count=0,
        value_bytes=given.value_bytes,
        connections=given.connections,
        keep=given.keep,
        delay=0.0,
        delete_rate=0.0,
    )
    where = given.cluster.cluster or "", given.cluster.tls
    show = _print_rung if given.output == "text" else None
    found = run_async(
        bench_on_workers, *where, share, given.rates(), given.delete_qps, given.p99 / 1000, show
    )
    return {"run_id": run_id, **found}


def _need_permission(chosen: TargetOptions, given: bool) -> None:
    from bulkseed.transport.endpoint import is_public

    if is_public(chosen.url) and not (given or chosen.embedded):
        raise UsageError(
            f"{chosen.url} is the public service, where secrets cost money and others share your "
            "quota: give --yes-really if you mean it, or --endpoint embedded"
        )


async def _bench(chosen: TargetOptions, given: BenchArguments) -> dict[str, Any]:
    from bulkseed.cli.session import beside, stop_on_signals
    from bulkseed.engine.lane import open_lane
    from bulkseed.engine.stop import Stop
    from bulkseed.jobs.load_test import LoadTest, synthetic
    from bulkseed.jobs.load_test_cleanup import remove
    from bulkseed.model import QuotaGroup
    from bulkseed.pacing.ceilings import limits

    run_id, stop, manifests = os.urandom(4).hex(), Stop(), given.manifest.manifests
    ladder = given.rates()
    definitions = (
        _definitions(given.manifest) if manifests else synthetic(f"bench/{run_id}", given.value_bytes)
    )
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(open_target(chosen, 0))
        group, connections = QuotaGroup.CREATE, given.connections
        opening = open_lane(target, limits(group, 0), connections=connections, adapts=False)
        bench = LoadTest(await stack.enter_async_context(opening), stop)
        show = _print_rung if given.output == "text" else None
        async with beside((stop_on_signals, stop)):
            knee = await bench.climb(definitions, ladder, given.p99 / 1000, show)
            # Of a name in doubt only a synthetic one is certainly ours.
            ours, unknown = bench.created, bench.doubtful
            if not manifests:
                ours, unknown = ours + unknown, []
            left = ours
            if not given.keep:
                qps = given.delete_qps
                qps = (knee or ladder[0][0]) if qps is None else qps
                async with open_lane(target, limits(group, qps), connections=connections) as lane:
                    left = await remove(ours, lane)
    return {
        "run_id": run_id,
        "endpoint": target.endpoint,
        "region": target.region,
        "prefix": None if manifests else f"bench/{run_id}/",
        "ladder": [{**rung.as_dict(), "kept_up": rung.kept_up(given.p99 / 1000)} for rung in bench.rungs],
        "knee": knee,
        "deleted": len(ours) - len(left),
        "left": len(left) + len(unknown),
        "left_names": (left + unknown)[:NAMED],
        "stopped_by": stop.reason,
        "exit_code": stop.exit_code if stop.requested else 1 if left + unknown and not given.keep else 0,
    }


def _definitions(given: ManifestArguments) -> Iterator[SecretDefinition]:
    with open_manifests(given) as entries:
        for entry in entries:
            if isinstance(entry, InvalidLine):
                raise UsageError(f"{entry.origin}: {'; '.join(entry.reasons)}")
            yield entry


def _print_rung(rung: RateStep) -> None:
    told = rung.as_dict()
    latency = told["latency_ms"]
    line = f"{rung.rate:>8g}/s  {rung.created:,} of {rung.due:,} created"
    if rung.created:
        line += f"   p50 {latency['p50']:g}  p99 {latency['p99']:g}  p99.9 {latency['p99.9']:g}"
        line += f"  max {latency['max']:g} ms"
    say(line)
    for problem, count in rung.problems.most_common(3):
        say(f"{'':12}{count:,} {problem}")


def _print_end(found: dict[str, Any]) -> None:
    if found["knee"] is None:
        say("knee: none, the first rate is too much already")
    elif found["knee"] == found["ladder"][-1]["rate"]:
        say(f"knee: not reached, {found['knee']:g}/s is kept up with")
    else:
        say(f"knee: {found['knee']:g}/s is kept up with, {found['ladder'][-1]['rate']:g}/s is not")
    say(f"cleaned up: {found['deleted']:,} deleted, {found['left']:,} left")
    for name in found["left_names"][:10]:
        say(f"  {name}")
