"""The comparison: ours against what people use instead, on this machine, against a server that costs nothing.

    pip install -e '.[bench]' && python -m benchmarks [--rounds 5] [--results benchmarks/results]

Client and server have a core each. Every round runs every client once, so that another program on the machine
hits all alike; ratios are taken inside a round. Ours is the whole command: reading, validating, claiming,
signing, sending, decoding, recording, its start included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks.certificate import self_signed
from benchmarks.peers import KEY_ID, KEY_SECRET, PEERS, definition

OURS = {"bulkseed": {}, "bulkseed, without uvloop": {"BULKSEED_NO_UVLOOP": "1"}}
WRK = "wrk, replaying one request"
COUNTS = {"bulkseed": 60_000, "bulkseed, without uvloop": 60_000, "typical aiohttp script": 8_000}
TLS_COUNTS = {"bulkseed": 40_000, "SDK, async": 60}
FEW = 2_500
Round = dict[str, dict[str, float]]


def main() -> None:
    """Run all rounds and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})  # clients inherit it; the server goes to the other
    cpu = str(cores[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_manifest(folder / "bench.jsonl", max(COUNTS.values()))
        with _server(cpu) as endpoint:
            plain = [_round(folder, endpoint, None, COUNTS) for _ in range(options.rounds)]
        certificate, key = self_signed(folder)
        with _server(cpu, "--tls", str(certificate), str(key)) as endpoint:
            tls = [_round(folder, endpoint, certificate, TLS_COUNTS) for _ in range(options.rounds)]
    results = {"machine": _machine(), "http": plain, "https": tls}
    (options.results / "comparison.json").write_text(json.dumps(results, indent=1))
    table = "\n\n".join(
        [_machine(), "HTTP", _table(plain), "HTTPS", _table(tls), "Command: `python -m benchmarks`"]
    )
    (options.results / "comparison.md").write_text(table + "\n")
    print(table)
    from benchmarks.plots import bars

    bars(plain, options.results / "comparison")


def _round(folder: Path, endpoint: str, ca_file: Path | None, counts: dict[str, int]) -> Round:
    done: Round = {}
    for name, env in OURS.items():
        if name in counts:
            done[name] = _ours(folder, endpoint, ca_file, counts[name], env)
    for name in PEERS:
        if ca_file is None or (name.startswith("SDK") and "after" not in name):
            done[name] = _peer(name, endpoint, ca_file, counts.get(name, FEW))
    if ca_file is None and shutil.which("wrk"):
        done[WRK] = _wrk(folder, endpoint)
    return done


def _ours(
    folder: Path, endpoint: str, ca_file: Path | None, count: int, env: dict[str, str]
) -> dict[str, float]:
    for old in folder.glob("bench.ledger.db*"):
        old.unlink()
    program = str(Path(sys.executable).with_name("bulkseed"))
    command = [program, "apply", "bench.jsonl", "--endpoint", endpoint]
    command += ["--qps", "0", "--progress", "none", "--output", "json", "--limit", str(count)]
    command += ["--ca-file", str(ca_file)] if ca_file else []
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **keys, **env}, stdout=subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    summary = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return _figures(summary["outcomes"]["created"], summary["elapsed_s"], usage.ru_utime + usage.ru_stime)


def _peer(name: str, endpoint: str, ca_file: Path | None, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peers", name, endpoint, str(count)]
    command += [str(ca_file)] if ca_file else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    took = json.loads(done.stdout)
    return _figures(took["secrets"], took["wall"], took["cpu"])


def _wrk(folder: Path, endpoint: str) -> dict[str, float]:
    body = "&".join(f"{key}={value}" for key, value in definition(1).items() if key != "Tags")
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = "{body}"\nwrk.headers["Content-Type"] = "x"\n')
    process = subprocess.Popen(
        ["wrk", "-t1", "-c64", "-d3s", "-s", str(script), endpoint],  # noqa: S607  # found on PATH
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    requests = next(
        int(line.split()[0])
        for line in process.stdout.read().decode().splitlines()
        if " requests in " in line
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return _figures(requests, 3.0, usage.ru_utime + usage.ru_stime)


def _figures(secrets: float, wall: float, cpu: float) -> dict[str, float]:
    return {"per_second": secrets / wall, "cpu_us": cpu / secrets * 1e6}


@contextmanager
def _server(cpu: str, *flags: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stub_server", "--cpu", cpu, *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    try:
        port = json.loads(process.stdout.readline())["port"]
        yield f"{'https' if flags else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def _write_manifest(path: Path, count: int) -> None:
    with path.open("w") as lines:
        for number in range(count):
            lines.write(json.dumps(definition(number)) + "\n")


def _machine() -> str:
    packages = ("bulkseed", "aiohttp", "uvloop", "alibabacloud_kms20160120")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"


def _table(rounds: list[Round]) -> str:
    lines = [
        "| client | ours is faster by (median, min-max) | secrets a second | CPU µs a secret |",
        "|---|---|---|---|",
    ]
    for name in rounds[0]:
        ratios = [one["bulkseed"]["per_second"] / one[name]["per_second"] for one in rounds]
        rate = statistics.median(one[name]["per_second"] for one in rounds)
        cpu = statistics.median(one[name]["cpu_us"] for one in rounds)
        ratio = f"{statistics.median(ratios):.3g}x ({min(ratios):.3g}-{max(ratios):.3g})"
        lines.append(f"| {name} | {ratio if name != 'bulkseed' else ''} | {rate:,.0f} | {cpu:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
