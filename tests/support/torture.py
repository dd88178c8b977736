"""Kills a provisioning command at random moments until it gets through, over real sockets and processes."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Credentials, Outcome, Row, SecretValue
from bulkseed.service.build import build_kms
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import get_secret_value, list_secrets
from bulkseed.wire.signing.verify import SIGNATURES
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest

FAULTS: dict[str, Any] = {
    "seed": 11,
    "rules": [
        {"action": "CreateSecret", "probability": 0.03, "fault": "drop-before"},
        {"action": "CreateSecret", "probability": 0.04, "fault": "drop-after"},
        {"action": "CreateSecret", "probability": 0.03, "fault": "500-after"},
        {"action": "CreateSecret", "probability": 0.02, "fault": "500-before"},
        {"action": "CreateSecret", "probability": 0.002, "fault": "429", "retry_after_ms": 50},
        {"action": "CreateSecret", "probability": 0.02, "fault": "truncate"},
        {"action": "CreateSecret", "probability": 0.02, "fault": "html-502"},
        {"probability": 0.3, "fault": "delay", "delay_ms": 15},
        {"probability": 0.3, "fault": "delay", "delay_ms": 40},
    ],
}

STALLS = {**FAULTS, "rules": [{"probability": 0.002, "fault": "delay", "delay_ms": 2500}, *FAULTS["rules"]]}


OFFSETS = [-3600.0, -10.0, -1.5, -0.3, 0.0, 0.0, 0.3, 1.5, 10.0, 3600.0]


class WrongClock:
    """The wall clock of commands: wrong from their start, and set while they run.

    It needs libfaketime, which is started with the command; clocks that nobody can set are left alone.
    """

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._file = folder / "clock"
        self._dice = dice
        self._there = shutil.which("faketime") is not None

    def environment(self) -> dict[str, str] | None:
        """Return the environment of the next command; of half of them the clock is right."""
        if not self._there or self._dice.random() < 0.5:
            return None
        self.set()
        return environment(
            LD_PRELOAD="/usr/$LIB/faketime/libfaketime.so.1",
            FAKETIME_TIMESTAMP_FILE=str(self._file),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )

    def set(self) -> None:
        """Set it by something else than before; it is looked at once a second."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._dice.choice(OFFSETS):+}\n")
        new.replace(self._file)


@contextmanager
def served(
    data_dir: Path,
    faults: dict[str, Any] | None = None,
    end_with: int = signal.SIGTERM,
    **options: object,
) -> Iterator[str]:
    """Run ``bulkseed serve`` as a process of its own and give its endpoint; it ends with a signal."""
    arguments: list[object] = [
        "serve",
        "--port",
        0,
        "--data-dir",
        data_dir,
        "--read-qps",
        0,
        "--manage-qps",
        0,
    ]
    if faults is not None:
        script = data_dir.with_suffix(".faults.json")
        script.write_text(json.dumps(faults))
        arguments += ["--faults", script]
    for name, value in ({"create_qps": 0} | options).items():
        arguments += [f"--{name.replace('_', '-')}", value]
    keys = {"BULKSEED_SERVE_ACCESS_KEY_ID": KEY_ID, "BULKSEED_SERVE_ACCESS_KEY_SECRET": KEY_SECRET}
    process = start(*arguments, cwd=data_dir.parent, env=environment(**keys))
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["endpoint"]
    finally:
        process.send_signal(end_with)
        process.communicate(timeout=120)


def held(data_dir: Path) -> dict[str, str]:
    """Return the names and values that a service, which has ended, keeps in its data directory."""
    options = ServiceOptions(
        data_dir=data_dir,
        access_key_id=KEY_ID,
        access_key_secret=SecretValue(KEY_SECRET),
        read_qps=0,
        manage_qps=0,
    )
    kms, _ = build_kms(options)
    signer = SIGNATURES["acs3"]("kms.test", Credentials(KEY_ID, SecretValue(KEY_SECRET)))
    try:
        nonces = iter(range(10**9))

        def ask(request: Any, reply: Any) -> Any:
            signed = signer.sign(request.encode(), time.time(), f"look-{next(nonces)}")
            return reply.read(kms.handle(signed, time.time()))

        values: dict[str, str] = {}
        page = 1
        while True:
            listed = ask(list_secrets.Request(page_number=page, page_size=100), list_secrets.Reply)
            for entry in listed.secret_list:
                read = ask(get_secret_value.Request(entry.secret_name), get_secret_value.Reply)
                values[entry.secret_name] = read.secret_data.reveal()
            if page * 100 >= listed.total_count:
                return values
            page += 1
    finally:
        kms.close()


@dataclass
class Torture:
    """`kills` times killed after a random time, on a manifest of `count` definitions.

    `soak`: replies stall for seconds, clocks are wrong and set, and in the end all is rolled back, killed
    again and again.
    """

    count: int
    kills: int
    longest: float
    seed: int = 1
    qps: float = 0
    soak: bool = False

    def run(self, folder: Path) -> dict[Outcome, int]:
        """Kill, run until done, and see that everything is true; return how often each outcome came."""
        definitions = simple(self.count)
        manifest = write_manifest(folder / "m.jsonl", definitions)
        expected = {d["SecretName"]: d["SecretData"] for d in definitions}
        random_time = random.Random(self.seed)  # noqa: S311  # the same moments in every run
        clock = WrongClock(folder, random_time) if self.soak else None
        data_dir, ledger = folder / "kms", folder / "m.ledger.db"
        with served(data_dir, STALLS if self.soak else FAULTS) as endpoint:
            command = ["apply", manifest, "--endpoint", endpoint, "--qps", self.qps, "--output", "json"]
            killed = 0
            while killed < self.kills:
                if self._gets_through(command, folder, random_time, clock):
                    break
                killed += 1
                if ledger.exists() and ledger.stat().st_size:
                    assert_audited(ledger)
            assert killed == self.kills, f"it was done after {killed} kills: more definitions are needed"
            for _ in range(5):
                process = start(*command, cwd=folder)
                _, errors = process.communicate(timeout=300)
                if process.returncode == 0:
                    break
            assert process.returncode == 0, errors
            again = bulkseed(*command, cwd=folder)
            assert (again.returncode, json.loads(again.stdout)["attempts"]) == (0, 0)
            before = {outcome: sum(row.outcome is outcome for row in rows_of(ledger)) for outcome in Outcome}
            if self.soak:
                assert before[Outcome.CREATED] + before[Outcome.ADOPTED] == self.count, before
                self._roll_back(ledger, manifest, endpoint, random_time, clock)
        if self.soak:
            assert held(data_dir) == {}
            assert_audited(ledger)
            return before
        rows = rows_of(ledger)
        assert held(data_dir) == expected
        assert {row.name for row in rows} == set(expected)
        assert len(rows) == len(expected)
        assert {row.outcome for row in rows} <= {Outcome.CREATED, Outcome.ADOPTED}
        assert_audited(ledger)
        proof = bulkseed("ledger", "audit", ledger, cwd=folder)
        assert proof.returncode == 0, proof.stdout
        return {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}

    def _gets_through(
        self, command: list[object], folder: Path, random_time: random.Random, clock: WrongClock | None
    ) -> bool:
        """Start it and kill it, unless it is done before; its clock may be set in the middle."""
        process = start(*command, cwd=folder, env=None if clock is None else clock.environment())
        seconds = random_time.uniform(0.2, self.longest)
        try:
            for _ in range(2):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds / 2)
                    return True
                if clock is not None:
                    clock.set()
            process.send_signal(signal.SIGKILL)
            return False
        finally:
            process.communicate()

    def _roll_back(
        self,
        ledger: Path,
        manifest: Path,
        endpoint: str,
        random_time: random.Random,
        clock: WrongClock | None,
    ) -> None:
        """See that all values are there; then delete all, killed again and again."""
        where = ["--endpoint", endpoint, "--qps", self.qps]
        proof = bulkseed("verify", manifest, "--endpoint", endpoint, cwd=ledger.parent)
        assert proof.returncode == 0, proof.stdout
        for _ in range(self.kills):
            undo = ["rollback", ledger, *where, "--yes", "--force"]
            if self._gets_through(undo, ledger.parent, random_time, clock):
                break
            assert_audited(ledger)
        undo = ["rollback", ledger, *where, "--yes", "--force", "--output", "json"]
        last = start(*undo, cwd=ledger.parent)
        told, errors = last.communicate(timeout=1800)  # where kills let none begin, all is left: 40 a second
        assert last.returncode == 0, told + errors
        assert json.loads(told)["results"]["gone"] == 0, "what we deleted is not called gone"


def rows_of(path: Path) -> list[Row]:
    """Return all rows of a ledger."""
    with read_ledger(path) as ledger:
        return list(ledger.rows())


def assert_audited(path: Path) -> None:
    """See that the ledger proves itself."""
    with read_ledger(path) as ledger:
        broken = [finding for finding in audit(ledger) if not finding.holds]
    assert not broken, broken
