"""The comparison: ours against what people use instead, on this machine, against a server that costs nothing.

    pip install -e '.[bench]' && python -m benchmarks [--rounds 5] [--all]

Client and server have a core each. Every round runs every client once, so that another program on the machine
hits all alike; ratios are taken inside a round. Ours is the whole command: reading, validating, claiming,
signing, sending, decoding, recording. Rates leave out the start of every client; the CPU time of ours
includes its start, that of the others begins after their imports. ``--all`` then runs the other benchmarks
too, half an hour with the long manifest of `benchmarks.memory`, and takes the results into the README. All is
written to ``benchmarks/results``; ``python tests/support/reference.py`` takes it into the README by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.certificate import self_signed
from benchmarks.common import RESULTS, apply, cores, publish, stub_server, write_manifest
from benchmarks.peers import PEERS, definition, signed

OURS, OURS_PLAIN = "bulkseed", "bulkseed, without uvloop"
WRK = "wrk, replaying one request"
COUNTS = {OURS: 40_000, OURS_PLAIN: 40_000, "bare aiohttp script": 6_000, "typical aiohttp script": 6_000}
TLS_COUNTS = {**COUNTS, OURS: 25_000, OURS_PLAIN: 25_000, "SDK, async": 60}
FEW = 3_000
OTHERS = (
    "stages",
    "ledger_cost",
    "quota",
    "local_kms",
    "list_pages",
    "explorer",
    "resume",
    "memory",
    "targets",
    "cluster",
    "sources",
)

Figures = dict[str, float]
Round = dict[str, Figures]


def main() -> None:
    """Run all rounds and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder / "bench.jsonl", max(COUNTS.values()))
        with stub_server() as endpoint:
            plain = [_round(folder, endpoint, None) for _ in range(options.rounds)]
        certificate, key = self_signed(folder)
        with stub_server("--tls", str(certificate), str(key)) as endpoint:
            tls = [_round(folder, endpoint, certificate) for _ in range(options.rounds)]
    about = f"Medians and ranges of {options.rounds} rounds; one core for the client, another for the server."
    tables = f"{about}\n\n## HTTP\n\n{_table(plain)}\n\n## HTTPS\n\n{_table(tls)}"
    figures = {"http": plain, "https": tls}
    versions = ("alibabacloud_kms20160120", "aiolimiter", "pydantic")
    publish("comparison", "Against other clients", tables, figures, *versions)
    from benchmarks.plots import bars

    bars(plain, RESULTS / "comparison")
    if options.all:
        for other in OTHERS:
            subprocess.run([sys.executable, "-m", f"benchmarks.{other}"], check=True)
        reference = RESULTS.parents[1] / "tests" / "support" / "reference.py"
        subprocess.run([sys.executable, str(reference)], check=True)


def _round(folder: Path, endpoint: str, ca_file: Path | None) -> Round:
    counts = COUNTS if ca_file is None else TLS_COUNTS
    done = {
        OURS: _ours(folder, endpoint, ca_file, counts[OURS], {}),
        OURS_PLAIN: _ours(folder, endpoint, ca_file, counts[OURS_PLAIN], {"BULKSEED_NO_UVLOOP": "1"}),
    }
    for name in PEERS:
        done[name] = _peer(name, folder, endpoint, ca_file, counts.get(name, FEW))
    if ca_file is None and shutil.which("wrk"):
        done[WRK] = _wrk(folder, endpoint)
    return done


def _ours(folder: Path, endpoint: str, ca_file: Path | None, count: int, env: dict[str, str]) -> Figures:
    for old in folder.glob("bench.ledger.db*"):
        old.unlink()
    trust = () if ca_file is None else ("--ca-file", str(ca_file))
    applied = apply(folder / "bench.jsonl", endpoint, "--limit", str(count), *trust, env=env)
    created = applied.summary["outcomes"]["created"]
    if created != count:
        raise SystemExit(f"{created} of {count} created")
    return _figures(created, applied.summary["elapsed_s"], applied.cpu)


def _peer(name: str, folder: Path, endpoint: str, ca_file: Path | None, count: int) -> Figures:
    manifest = str(folder / "bench.jsonl")
    command = [sys.executable, "-m", "benchmarks.peers", name, endpoint, manifest, str(count)]
    command += [str(ca_file)] if ca_file else []
    took = json.loads(_run(command)[0])
    return _figures(took["secrets"], took["wall"], took["cpu"])


def _wrk(folder: Path, endpoint: str) -> Figures:
    form = "application/x-www-form-urlencoded"
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = "{urlencode(signed(definition(1)))}"\n'
        f'wrk.headers["Content-Type"] = "{form}"\n'
    )
    said, cpu = _run(["wrk", "-t1", "-c64", "-d3s", "-s", str(script), endpoint])
    requests = next(int(line.split()[0]) for line in said.splitlines() if " requests in " in line)
    return _figures(requests, 3.0, cpu)


def _run(command: list[str]) -> tuple[str, float]:
    """Run a client on its core; return what it printed, and the seconds of CPU of the whole process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {cores()[1]})
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} failed")
    return said, usage.ru_utime + usage.ru_stime


def _figures(secrets: float, wall: float, cpu: float) -> Figures:
    return {"per_second": secrets / wall, "cpu_us": cpu / secrets * 1e6}


def _table(rounds: list[Round]) -> str:
    lines = [
        "| client | bulkseed is faster by | without uvloop | secrets a second | CPU µs a secret |",
        "|---|---|---|---|---|",
    ]
    for name in rounds[0]:
        ratios = (
            ["", ""] if name in (OURS, OURS_PLAIN) else [_ratio(rounds, o, name) for o in (OURS, OURS_PLAIN)]
        )
        rate = _spread([one[name]["per_second"] for one in rounds], ",.0f")
        cpu = _spread([one[name]["cpu_us"] for one in rounds], ",.0f")
        lines.append(f"| {name} | {' | '.join(ratios)} | {rate} | {cpu} |")
    return "\n".join(lines)


def _ratio(rounds: list[Round], ours: str, theirs: str) -> str:
    return _spread([one[ours]["per_second"] / one[theirs]["per_second"] for one in rounds], ".3g", "x")


def _spread(values: list[float], form: str, unit: str = "") -> str:
    return f"{statistics.median(values):{form}}{unit} ({min(values):{form}}-{max(values):{form}})"


if __name__ == "__main__":
    main()
