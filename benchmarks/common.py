"""What the benchmarks share: servers, the installed command, manifests, this machine, results."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import bulkseed
from benchmarks.peers import KEY_ID, KEY_SECRET, definition

LOAD = os.getloadavg()[0]
"""Of the last minute, before the benchmark: more than a few tenths is another program's."""
RESULTS = Path(__file__).parent / "results"
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}


class Applied(NamedTuple):
    """One run of ``bulkseed apply``: its summary, and what the kernel counted, its start included.

    `wall` and `cpu` are seconds, `peak` is MiB.
    """

    summary: dict[str, Any]
    wall: float
    cpu: float
    peak: float


def cores() -> tuple[int, int]:
    """Return the core of servers and that of clients; the same one where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


@contextmanager
def serving(command: list[str], cpu: int, env: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Run a server on a core of its own, and give the JSON object that it prints first."""
    with subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        os.sched_setaffinity(process.pid, {cpu})
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        try:
            yield {"pid": process.pid, **json.loads(process.stdout.readline())}
        finally:
            process.terminate()


@contextmanager
def stub_server(*flags: str) -> Iterator[str]:
    """Run the stub server, and give its endpoint."""
    command = [sys.executable, "-m", "benchmarks.stub_server", *flags]
    with serving(command, cores()[0]) as said:
        yield f"{'https' if '--tls' in flags else 'http'}://127.0.0.1:{said['port']}"


def program() -> str:
    """Return the path of the installed command."""
    return str(Path(sys.executable).with_name("bulkseed"))


def apply(manifest: Path, endpoint: str, *flags: str, env: Mapping[str, str] | None = None) -> Applied:
    """Run ``bulkseed apply`` without a ceiling on the core of the clients; everything must settle."""
    command = [program(), "apply", manifest.name, "--endpoint", endpoint, "--qps", "0"]
    command += ["--progress", "none", "--output", "json", *flags]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=manifest.parent,
        env={**os.environ, **KEYS, **(env or {})},
        stdout=subprocess.PIPE,
    )
    os.sched_setaffinity(process.pid, {cores()[1]})
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    summary = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if summary["stopped_by"] or sum(summary["outcomes"][it] for it in ("rejected", "exhausted", "invalid")):
        raise SystemExit(f"bulkseed did not finish: {summary}")
    return Applied(summary, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_manifest(path: Path, count: int) -> Path:
    """Write a manifest of `count` secrets."""
    with path.open("w") as lines:
        for number in range(count):
            lines.write(json.dumps(definition(number)) + "\n")
    return path


def machine(*packages: str) -> str:
    """Name the machine, how its Python was built, the versions of what was measured, and the day."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    # Not of the metadata: an environment may have that of an older installation beside this checkout.
    others = (f"{name} {version(name)}" for name in ("aiohttp", "uvloop", *packages))
    versions = ", ".join((f"bulkseed {bulkseed.__version__}", *others))
    python = f"Python {platform.python_version()} ({python_build()})"
    system = f"{os.cpu_count()} x {model}, {platform.system()}, {python}"
    load = f"load {LOAD:.1f} before it, niceness {os.nice(0)}"
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {system}, {versions}; {load}."


def python_build() -> str:
    """Tell whether this Python was built with a profile (PGO): that alone moves a rate by a tenth or more."""
    return "PGO" if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") else "no PGO"


def commit() -> str:
    """Return the short name of the commit that was measured, with "-dirty" where code differs from it.

    Results of benchmarks that ran before, and the README, are no code. It is "unknown" where there is no Git,
    or no repository.
    """
    git = ["git", "-C", str(RESULTS.parents[1])]
    code = ["--", ".", ":!benchmarks/results", ":!README.md"]
    try:
        name, changed = (
            subprocess.run([*git, *asked], capture_output=True, text=True, check=True).stdout.strip()
            for asked in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", *code])
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


COMMIT = commit()
"""Taken when a benchmark begins: the results that it writes would make the tree look changed."""


def publish(name: str, title: str, tables: str, data: object, *packages: str) -> None:
    """Print a benchmark's result, and write it to the results as Markdown and JSON."""
    about = machine(*packages)
    module = "benchmarks" if name == "comparison" else f"benchmarks.{name}"
    command = " ".join(["python", "-m", module, *sys.argv[1:]])
    text = f"# {title}\n\n`{command}`, commit {COMMIT}, on {about}\n\n{tables}\n"
    everything = {"command": command, "commit": COMMIT, "about": about, "figures": data}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    (RESULTS / f"{name}.json").write_text(json.dumps(everything, indent=1) + "\n")
    print(text, flush=True)
