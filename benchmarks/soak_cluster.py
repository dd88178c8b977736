"""Targets on a Dask cluster whose parts are killed, frozen and interrupted; the suite does it in seconds.

    python -m benchmarks.soak_cluster [--targets 12] [--each 200] [--frozen 15] [--seed N] [--within 900]

Scheduler, three workers, the command and the services are processes of their own, and all of them talk TLS.
An apply loses a worker (kill -9) and has another one frozen (SIGSTOP), the command is killed and started
again, then gets a Ctrl-C, and is run again to its end; then come verify, audit, report and rollback of the
run folder. When what happens is drawn from the seed, which is told.

It ends with 0 if every row is true (audited, read back, looked for at the services), if no service had more
creates and deletes than the pace in any second by its own log, and if no value was in the scheduler, in the
command or in any file, and no key; the workers have both, by the same search.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.certificates import Authority
from support.command import BULKSEED, KEY_SECRET, environment
from support.dask_processes import HOST, DaskProcesses, dask_cluster, who_has
from support.many_kms import Accounts, accounts, worst_second

from bulkseed.errors import LedgerError
from bulkseed.ledger import read_ledger
from bulkseed.model import Outcome

PACE, LEASE = 10, 5
CANARY = "canary-of-a-soak"
NO_KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ""}


class SoakError(Exception):
    """Something is not as it has to be."""


def require(holds: object, otherwise: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise SoakError(otherwise)


class Soak:
    """One run of all of it; `there` are the services, `until` is when it has to be over."""

    def __init__(
        self, folder: Path, cluster: DaskProcesses, there: Accounts, each: int, until: float
    ) -> None:
        self.times: list[list[float]] = [[] for _ in there.endpoints]
        self.definitions = each * len(there.endpoints)
        self._folder = folder
        self._cluster = cluster
        self._there = there
        self._until = until
        self._began = time.monotonic()
        (folder / "targets.toml").write_text(there.targets("soak", PACE))
        with (folder / "m.jsonl").open("w") as manifest:
            for n in range(each):
                for target in range(len(there.endpoints)):
                    line = {"SecretName": f"soak/{target}/{n}", "SecretData": f"{CANARY}-{target}-{n}"}
                    manifest.write(json.dumps(line) + "\n")

    def tell(self, what: str) -> None:
        """Print what happens, and when."""
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; on the cluster it has no keys."""
        there = [*map(str, self._cluster.options), "--lease", str(LEASE), "--output", "json"]
        return subprocess.Popen(
            [BULKSEED, *arguments, *there],
            cwd=self._folder,
            env=environment(**NO_KEYS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def apply(self) -> subprocess.Popen[str]:
        """Start the apply, or go on with it."""
        return self.start("apply", "m.jsonl", "--targets", "targets.toml")

    def end(self, process: subprocess.Popen[str], code: int) -> dict[str, Any]:
        """Wait for the end of a command, and return what it printed."""
        out, errors = process.communicate(timeout=max(1.0, self._until - time.monotonic()))
        require(process.returncode == code, f"exit {process.returncode} instead of {code}: {out} {errors}")
        require(CANARY not in out + errors and KEY_SECRET not in out + errors, "a value or a key was printed")
        return dict(json.loads(out))

    def here(self, *arguments: str, code: int = 0) -> str:
        """Run a command on this machine alone, and return what it printed."""
        done = subprocess.run(
            [BULKSEED, *arguments],
            cwd=self._folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        require(done.returncode == code, f"{arguments}: exit {done.returncode}: {done.stdout} {done.stderr}")
        require(CANARY not in done.stdout + done.stderr, f"{arguments} printed a value")
        return done.stdout

    def wait(self, process: subprocess.Popen[str], enough: Callable[[], bool]) -> None:
        """Wait while a command runs; it must not end before that."""
        while not enough():
            require(time.monotonic() < self._until, "it takes too long")
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                raise SoakError(f"it ended before that: {process.communicate()}")

    def more(self, share: float) -> Callable[[], bool]:
        """Tell whether so much of what is left now has been created, by the ledgers."""
        targets = range(len(self.times))
        before = sum(map(self._created, targets))
        enough = before + max(1.0, share * (self.definitions - before))
        return lambda: sum(map(self._created, targets)) >= enough

    def _created(self, target: int) -> int:
        with suppress(LedgerError), read_ledger(self._folder / "m.run" / f"t{target}.ledger.db") as ledger:
            counts = ledger.counts()
            return counts[Outcome.CREATED] + counts[Outcome.ADOPTED]
        return 0

    def search(self, process: subprocess.Popen[str], worker: str) -> None:
        """Look for values and keys in the memory of all parts."""
        texts = {CANARY.encode(), KEY_SECRET.encode()}
        found = who_has(texts, self._cluster.scheduler, process, self._cluster.workers[worker])
        require(found == [set(), set(), texts], f"in memory of scheduler, command and worker: {found}")

    def search_files(self) -> int:
        """Look for values and keys in every file but the manifest; return how many there were."""
        files = [path for path in self._folder.rglob("*") if path.is_file() and path.name != "m.jsonl"]
        for path in files:
            text = path.read_bytes()
            require(CANARY.encode() not in text and KEY_SECRET.encode() not in text, f"in {path.name}")
        return len(files)

    def quota_holds(self) -> int:
        """Hold the services' own logs against the pace; return the most in any second."""
        for times, more in zip(self.times, self._there.arrived(), strict=True):
            times += more
        worst = max(map(worst_second, self.times))
        require(worst <= PACE, f"a service had {worst} in a second, and the pace is {PACE}")
        return worst

    def walk(self, rng: random.Random, frozen: float) -> None:
        """Apply under all blows, prove it, and undo it."""
        process = self.apply()
        self.wait(process, self.more(rng.uniform(0.05, 0.15)))
        self.search(process, "a")
        self.tell("kill -9 of a worker, SIGSTOP of another")
        self._cluster.workers["a"].kill()
        self._cluster.workers["a"].wait()
        self._cluster.workers["b"].send_signal(signal.SIGSTOP)
        thaw = time.monotonic() + frozen
        self.wait(process, lambda: time.monotonic() >= thaw)
        self._cluster.workers["b"].send_signal(signal.SIGCONT)
        self.tell(f"SIGCONT after {frozen:g} s; {self.quota_holds()} in the fullest second")
        self.wait(process, self.more(rng.uniform(0.1, 0.3)))
        self.tell("kill -9 of the command")
        process.kill()
        process.communicate()
        process = self.apply()
        self.wait(process, self.more(rng.uniform(0.2, 0.6)))
        self.tell("Ctrl-C")
        process.send_signal(signal.SIGINT)
        self.end(process, 130)
        done = self.end(self.apply(), 0)
        counts = {outcome: count for outcome, count in done["outcomes"].items() if count}
        self.tell(f"applied: {counts}; {self.quota_holds()} in the fullest second")
        require(counts.keys() <= {"created", "adopted"}, f"rows of others: {counts}")
        require(sum(counts.values()) == self.definitions, f"not all: {counts}")
        self.prove(rng)

    def prove(self, rng: random.Random) -> None:
        """Read all back, audit, report and roll back, on the cluster and from the run folder alone."""
        found = self.end(self.start("verify", "m.jsonl", "--run", "m.run"), 0)
        require(found["results"]["identical"] == self.definitions, f"verified: {found['results']}")
        self.tell("read back, all identical")
        told = self.here("ledger", "audit", "m.run", "--online")
        require(told.count("everything adds up") == len(self.times), told)
        self.tell("audited, all looked for")
        self.here("report", "m.run")
        self.page_says(f"All {self.definitions:,} definitions are settled.")
        self.page_says("A verify found all definitions as the manifest says.")
        self.tell("reported")
        undone = self.start("rollback", "m.run", "--yes")
        left = rng.uniform(0.3, 0.6)
        self.wait(undone, lambda: sum(map(len, self._seen())) >= (1 + left) * self.definitions)
        self.tell("kill -9 of a worker in the rollback")
        self._cluster.workers["c"].kill()
        results = {name: count for name, count in self.end(undone, 0)["results"].items() if count}
        require(results.keys() <= {"deleted", "gone"}, f"undone: {results}")
        missing = json.loads(self.here("verify", "m.jsonl", "--run", "m.run", "--output", "json", code=1))
        require(missing["results"]["missing"] == self.definitions, f"after it: {missing['results']}")
        self.here("ledger", "audit", "m.run")
        self.here("report", "m.run")
        self.page_says(f"{self.definitions:,} of {self.definitions:,} definitions were rolled back")
        self.tell(f"rolled back: {results}; {self.quota_holds()} in the fullest second")

    def _seen(self) -> list[list[float]]:
        self.quota_holds()
        return self.times

    def page_says(self, text: str) -> None:
        """Look for a text in the report of the run folder."""
        require(
            text in (self._folder / "m.run" / "report.html").read_text(), f"the report does not say: {text}"
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=12)
    parser.add_argument("--each", type=int, default=200, help="secrets of each target")
    parser.add_argument("--frozen", type=float, default=15.0, help="seconds of the SIGSTOP")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311  # no key
    parser.add_argument("--within", type=float, default=900.0, help="seconds; longer is a failure")
    given = parser.parse_args()
    if given.each < PACE * given.frozen:
        parser.error("--each is too little: all would be done while the worker is frozen")
    print(f"seed {given.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tls").mkdir()
        authority = Authority(folder / "tls")
        tls = authority.ca_file, *authority.issue(HOST)
        (folder / "dask").mkdir()
        with (
            accounts(given.targets, 0, tls) as there,
            dask_cluster(folder / "dask", "a", "b", "c") as cluster,
        ):
            soak = Soak(folder, cluster, there, given.each, began + given.within)
            soak.walk(random.Random(given.seed), given.frozen)  # noqa: S311  # no key
            files = soak.search_files()
            worst = soak.quota_holds()
    print(
        f"{soak.definitions:,} secrets in {given.targets} targets, made and undone in "
        f"{time.monotonic() - began:.0f} s: every row is true, at most {worst} of {PACE} in any second, "
        f"{files} files searched"
    )


if __name__ == "__main__":
    try:
        main()
    except SoakError as error:
        sys.exit(f"failed: {error}")
