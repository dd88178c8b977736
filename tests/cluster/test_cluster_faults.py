"""Real processes over TLS: whatever is killed, frozen or cut off, every row is true, no quota is passed.

Each service notes when creates and deletes arrive: never more than a target's pace in any second, whoever
sent them. Two that served one target at a time would pass it. The long form is `benchmarks/soak_cluster.py`.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.command import KEY_SECRET, TIMEOUT, bulkseed, environment, start, write_manifest
from support.dask_processes import DaskProcesses, dask_cluster, who_has
from support.many_kms import Accounts, accounts, worst_second

from bulkseed.errors import LedgerError
from bulkseed.ledger import LedgerReader, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.ledger.rollbacks import rolled_back
from bulkseed.ledger.sqlite.lock import is_at_work
from bulkseed.model import Outcome, Verified

TARGETS, EACH, PACE = 12, 24, 12
LEASE = 2
NO_KEYS = {
    **environment(),
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "",
}


@pytest.fixture(scope="module")
def services() -> Iterator[Accounts]:
    """Serve twelve accounts."""
    with accounts(TARGETS, create_qps=0) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """Run three workers."""
    with dask_cluster(tmp_path_factory.mktemp("dask"), "a", "b", "c") as found:
        yield found


Counted = Callable[[LedgerReader], int]


def created(ledger: LedgerReader) -> int:
    """Count what a ledger's runs have created."""
    return ledger.counts()[Outcome.CREATED]


def read_back(ledger: LedgerReader) -> int:
    """Count what a verify has found identical."""
    return ledger.counts()[Verified.IDENTICAL]


class Run:
    """One run of the command over the cluster: `names` are its own."""

    def __init__(self, folder: Path, services: Accounts, cluster: DaskProcesses, names: str) -> None:
        self._folder = folder
        self._names = names
        self._services = services
        self._arrived: list[list[float]] = [[] for _ in range(TARGETS)]
        services.arrived()  # by other runs, into ledgers of their own
        (folder / "targets.toml").write_text(services.targets(names, PACE))
        write_manifest(
            folder / "m.jsonl",
            [
                {"SecretName": f"{names}/{target}/{n}", "SecretData": f"canary-of-{names}-{target}-{n}"}
                for n in range(EACH)
                for target in range(TARGETS)
            ],
        )
        self.local = ["apply", "m.jsonl", "--targets", "targets.toml", "--output", "json"]
        self._there = ["--lease", LEASE, *cluster.options]
        self.arguments = [*self.local, *self._there]
        self.process = start(*self.arguments, cwd=folder, env=NO_KEYS)

    def then(self, *command: object) -> None:
        """Begin another command on the cluster."""
        self.process = start(*command, "--output", "json", *self._there, cwd=self._folder, env=NO_KEYS)

    def until(self, share: float, count: Counted = created, kind: str = "ledger") -> None:
        """Wait until so much of it is on record."""
        for target in range(TARGETS):
            path = self._folder / "m.run" / f"t{target}.{kind}.db"
            while not is_at_work(path) or self._count(path, count) < share * EACH:
                self._look_again()

    def until_placed_again(self, targets: int) -> None:
        """Wait until so many targets have begun another run."""
        paths = [self._folder / "m.run" / f"t{target}.ledger.db" for target in range(TARGETS)]
        while sum(self._runs(path) > 1 for path in paths) < targets:
            self._look_again()

    def _look_again(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.02)
            raise AssertionError(self.process.communicate())

    def _runs(self, path: Path) -> int:
        with read_ledger(path) as ledger:
            return sum(1 for _ in ledger.runs())

    def _count(self, path: Path, count: Counted) -> int:
        with suppress(LedgerError), read_ledger(path) as ledger:  # it is being made at this moment
            return count(ledger)
        return 0

    def holds(self) -> None:
        """Audit every ledger; no service has ever had more in a second than its pace, over all the runs."""
        for times, more in zip(self._arrived, self._services.arrived(), strict=True):
            times += more
        assert [worst for times in self._arrived if (worst := worst_second(times)) > PACE] == []
        for target in range(TARGETS):
            with read_ledger(self._folder / "m.run" / f"t{target}.ledger.db") as ledger:
                assert [found for found in audit(ledger) if not found.holds] == []

    def end(self) -> dict[str, object]:
        """Wait for its end, and return what it printed."""
        out, errors = self.process.communicate(timeout=TIMEOUT)
        assert out, errors
        return dict(json.loads(out))

    def again(self, *, local: bool = False) -> dict[str, object]:
        """Run the command again."""
        done = bulkseed(
            *(self.local if local else self.arguments),
            cwd=self._folder,
            env=environment() if local else NO_KEYS,
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))

    def proves_exact(self) -> list[Outcome]:
        """Hold everything against the services and the ledgers; return what became of the definitions."""
        outcomes = []
        self.holds()
        for target in range(TARGETS):
            with read_ledger(self._folder / "m.run" / f"t{target}.ledger.db") as ledger:
                rows = list(ledger.rows())
            assert {row.name for row in rows} == {f"{self._names}/{target}/{n}" for n in range(EACH)}
            outcomes += [Outcome(row.outcome) for row in rows]
        assert set(outcomes) <= {Outcome.CREATED, Outcome.ADOPTED}
        assert counted(self.here("verify", "m.jsonl", "--run", "m.run")) == {"identical": TARGETS * EACH}
        return outcomes

    def here(self, *command: str) -> dict[str, object]:
        """Run a command on this machine alone; return what it printed."""
        done = bulkseed(*command, "--output", "json", cwd=self._folder)
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def run(
    request: pytest.FixtureRequest, tmp_path: Path, services: Accounts, cluster: DaskProcesses
) -> Iterator[Run]:
    """Begin a run with names of its own, and end it whatever happens."""
    begun = Run(tmp_path, services, cluster, request.node.name.removeprefix("test_").replace("_", "-")[:40])
    try:
        yield begun
    finally:
        begun.process.kill()
        begun.process.communicate()


def counted(found: dict[str, object]) -> dict[str, int]:
    """Return the results of all targets, without those that nothing has."""
    results = found["results"]
    assert isinstance(results, dict)
    return {name: count for name, count in results.items() if count}


def drawn(most: float) -> float:
    """Return the phase of a fault; it is told, as a failure may depend on it."""
    phase = random.uniform(0.1, most)  # noqa: S311
    print(f"at {phase:.3f} of the run")  # noqa: T201  # pytest shows it with a failure
    return phase


def test_values_and_keys_stay_at_the_workers(run: Run, cluster: DaskProcesses) -> None:
    """Neither scheduler nor coordinator has one in memory while it runs; a worker has, by the same look."""
    run.until(0.3)
    value, key = b"canary-of-values-and-keys", KEY_SECRET.encode()
    found = who_has({value, key}, cluster.scheduler, run.process, cluster.workers["a"])
    assert found == [set(), set(), {value, key}]
    done = run.end()
    assert (done["exit_code"], done["definitions"]) == (0, TARGETS * EACH)
    run.proves_exact()


def test_a_source_is_read_where_the_workers_are(
    tmp_path: Path, services: Accounts, cluster: DaskProcesses
) -> None:
    """Each worker lists it and reads its own targets' values; the coordinator has none to show."""
    names = [f"flat/{target}/{n}" for target in range(TARGETS) for n in range(2)]
    (tmp_path / "store.json").write_text(json.dumps(dict.fromkeys(names, "fake-value-of-a-store")))
    (tmp_path / "targets.toml").write_text(services.targets("flat", PACE))
    source = f"flat:{tmp_path}/store.json"
    command = ["apply", source, "--targets", "targets.toml", "--run", "s.run", "--output", "json"]
    done = bulkseed(*command, *cluster.options, cwd=tmp_path, env=NO_KEYS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcomes"]["created"] == len(names)
    verified = bulkseed("verify", source, "--run", "s.run", "--output", "json", cwd=tmp_path)
    assert json.loads(verified.stdout)["results"]["identical"] == len(names)


def test_doctor_looks_from_each_worker(tmp_path: Path, services: Accounts, cluster: DaskProcesses) -> None:
    """Version, clock and keys of each; a manifest that is there, one that is not, a target for nobody."""
    here = write_manifest(tmp_path / "here.jsonl", [{"SecretName": "a", "SecretData": "fake"}])
    targets = services.targets("any", PACE).split("[[target]]")[1]
    (tmp_path / "t.toml").write_text(
        f'[[target]]{targets}[[target]]\nname = "none"\nregion = "cn-beijing"\nworkers = ["egress-*"]\n'
    )
    command = ["doctor", here, "gone.jsonl", "--targets", "t.toml", "--output", "json", *cluster.options]
    done = bulkseed(*command, cwd=tmp_path, env=NO_KEYS)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["checked"]["cluster"]
    assert {f["about"].split(" /")[0]: f["state"] for f in found if "gone" not in f["about"]} == {
        "encryption": "ok",
        "workers": "ok",
        "version": "ok",
        "clocks": "ok",
        "manifest": "ok",
        "credentials of t0": "ok",
        "credentials of none": "problem",
        "dashboard": "note",
    }
    assert [f["state"] for f in found if "gone" in f["about"]] == ["problem"]
    assert KEY_SECRET not in done.stdout + done.stderr


def test_a_load_from_all_workers_is_one_load(tmp_path: Path, cluster: DaskProcesses) -> None:
    """Each sends its share, the histograms are added, and nothing is left."""
    with accounts(1, create_qps=0) as there:
        call = ["bench", "--endpoint", there.endpoints[0], "--rate", 60, "--count", 31, "--output", "json"]
        done = bulkseed(*call, *cluster.options, cwd=tmp_path, env=NO_KEYS)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
    (rung,) = found["ladder"]
    assert (rung["due"], rung["arrivals"], rung["created"], rung["problems"]) == (31, 31, 31, {})
    assert (found["deleted"], found["left"]) == (31, 0)
    assert rung["latency_ms"]["max"] >= rung["latency_ms"]["p50"] > 0


def test_a_worker_killed_and_another_frozen(run: Run, cluster: DaskProcesses) -> None:
    """Their targets go on at others after the lease; the frozen one wakes up and is not heard."""
    run.until(drawn(0.5))
    cluster.workers["a"].kill()
    cluster.workers["a"].wait()
    cluster.workers["b"].send_signal(signal.SIGSTOP)
    run.until_placed_again(TARGETS * 2 // 3)
    cluster.workers["b"].send_signal(signal.SIGCONT)
    assert run.end()["exit_code"] == 0
    run.proves_exact()
    cluster.add_worker("a")
    cluster.wait_for_workers()


def test_a_worker_that_is_shut_down_hands_over(run: Run, cluster: DaskProcesses) -> None:
    """SIGTERM: its runs end in order, nothing is in doubt, and others go on at once."""
    run.until(drawn(0.5))
    process = cluster.workers.pop("c")
    process.terminate()
    assert run.end()["exit_code"] == 0
    assert set(run.proves_exact()) == {Outcome.CREATED}
    assert process.wait(TIMEOUT) == 0
    cluster.add_worker("c")
    cluster.wait_for_workers()


def test_the_coordinator_killed_and_started_again(run: Run) -> None:
    """The next one waits for the leases that it does not know, and does the rest."""
    run.until(drawn(0.5))
    run.process.kill()
    run.process.communicate()
    assert run.again()["exit_code"] == 0
    run.proves_exact()


def test_ctrl_c_then_a_verify_and_a_rollback_that_lose_workers(run: Run, cluster: DaskProcesses) -> None:
    """Nothing is in doubt, the exit code is 130, the next run does the rest. All of it is undone after.

    No value and no key is in scheduler or coordinator of verify and rollback, either. A worker has what it
    needs: a verify all of it, a rollback the key.
    """
    value, key = b"canary-of-ctrl-c", KEY_SECRET.encode()
    run.until(drawn(0.5))
    run.process.send_signal(signal.SIGINT)
    assert run.end()["exit_code"] == 130
    assert run.again()["exit_code"] == 0
    assert set(run.proves_exact()) == {Outcome.CREATED}

    run.then("verify", "m.jsonl", "--run", "m.run", "--qps", PACE)
    run.until(drawn(0.5), read_back, "verify")
    found_by_all = who_has({value, key}, cluster.scheduler, run.process, cluster.workers["a"])
    assert found_by_all == [set(), set(), {value, key}]
    process = cluster.workers.pop("c")
    process.terminate()
    found = run.end()
    assert (found["exit_code"], found["definitions"]) == (0, TARGETS * EACH)
    assert counted(found) == {"identical": TARGETS * EACH}
    assert process.wait(TIMEOUT) == 0

    run.then("rollback", "m.run", "--yes")
    run.until(drawn(0.5), rolled_back)
    scheduler, coordinator, worker = who_has(
        {value, key}, cluster.scheduler, run.process, cluster.workers["b"]
    )
    assert (scheduler, coordinator, key in worker) == (set(), set(), True)
    cluster.workers["a"].kill()
    cluster.workers["a"].wait()
    undone = run.end()
    assert (undone["exit_code"], undone["definitions"]) == (0, TARGETS * EACH)
    assert set(counted(undone)) <= {"deleted", "gone"}
    run.holds()
    assert counted(run.here("verify", "m.jsonl", "--run", "m.run")) == {"missing": TARGETS * EACH}
    for name in "ac":
        cluster.add_worker(name)
    cluster.wait_for_workers()


def test_the_scheduler_killed(run: Run, cluster: DaskProcesses) -> None:
    """The workers leave in order, the command says so, and one machine does the rest."""
    run.until(drawn(0.5))
    cluster.scheduler.kill()
    out, errors = run.process.communicate(timeout=TIMEOUT)
    assert run.process.returncode == 3, errors
    assert "the cluster's scheduler is gone: start it and run again" in errors, out + errors
    assert "distributed" not in errors
    assert run.again(local=True)["exit_code"] == 0
    run.proves_exact()
