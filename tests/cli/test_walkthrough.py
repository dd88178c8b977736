"""A whole job at the terminal, from plan to rollback, with everything that it prints to standard output."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest

FAULTS = {
    "rules": [
        {"action": "CreateSecret", "name": "app/00002", "requests": [1], "fault": "drop-after"},
        {"action": "CreateSecret", "name": "app/00005", "requests": [1], "fault": "500-before"},
    ]
}
MEASURED = [
    (re.compile(r"http://127\.0\.0\.1:\d+"), "ENDPOINT"),
    (re.compile(r"in \d[\d.]* s$", re.MULTILINE), "in SOME TIME"),
    (re.compile(r"ends \d{4}-\S+Z by"), "ends SOME DAY by"),
    (re.compile(r"^(rate|latency): .*$\n", re.MULTILINE), ""),
]


def plain(text: str) -> str:
    """Return what was printed, without what differs from run to run."""
    for pattern, name in MEASURED:
        text = pattern.sub(name, text)
    return text


class Terminal:
    """One user's folder with a local KMS beside it."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.target = ["--endpoint", endpoint, "--qps", "20"]

    def run(self, *call: str, code: int = 0) -> str:
        """Run a command, expect its exit code, and return its standard output."""
        done = bulkseed(*call, cwd=self.folder)
        assert done.returncode == code, done.stderr
        assert "canary" not in done.stdout + done.stderr
        return plain(done.stdout)


def test_a_whole_job(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Plan, apply with faults, Ctrl-C, resume, rejects, repair, verify, report, rollback: as printed."""
    (tmp_path / "faults.json").write_text(json.dumps(FAULTS))
    definitions = [{**d, "SecretData": f"canary-{i}"} for i, d in enumerate(simple(40))]
    write_manifest(tmp_path / "m.jsonl", [*definitions[:39], {**definitions[39], "SecretDataType": "hex"}])
    env = environment(BULKSEED_SERVE_ACCESS_KEY_ID=KEY_ID, BULKSEED_SERVE_ACCESS_KEY_SECRET=KEY_SECRET)
    service = start(
        "serve",
        "--port",
        "0",
        "--data-dir",
        "kms",
        "--faults",
        "faults.json",
        "--create-qps",
        "20",
        cwd=tmp_path,
        env=env,
    )
    request.addfinalizer(lambda: service.communicate(timeout=120))
    request.addfinalizer(service.terminate)
    assert service.stdout is not None
    here = Terminal(tmp_path, json.loads(service.stdout.readline())["endpoint"])

    assert here.run("plan", "m.jsonl", *here.target[:2], code=1) == PLAN
    interrupted(here)
    assert here.run("apply", "m.jsonl", *here.target, code=1).splitlines()[2:6] == RESUMED
    rejects = here.run("ledger", "rejects", "m.ledger.db")
    assert json.loads(rejects) == REJECT
    (tmp_path / "rejects.jsonl").write_text(rejects)
    write_manifest(tmp_path / "m.jsonl", definitions)
    assert here.run("apply", "m.jsonl", "--only", "rejects.jsonl", *here.target) == REPAIRED
    assert here.run("verify", "m.jsonl", *here.target[:2]) == VERIFIED
    assert here.run("report", "m.ledger.db") == "m.report.html\n"
    assert "40" in (tmp_path / "m.report.html").read_text()
    assert here.run("rollback", "m.ledger.db", *here.target) == PREVIEW
    assert here.run("rollback", "m.ledger.db", *here.target, "--yes") == ROLLED_BACK
    assert here.run("ledger", "audit", "m.ledger.db").endswith("\neverything adds up\n")


def interrupted(here: Terminal) -> None:
    """Apply, press Ctrl-C once a few definitions are through, and look at what is said."""
    run = start("apply", "m.jsonl", *here.target, "--log-level", "debug", cwd=here.folder)
    assert run.stderr is not None
    attempts = 0
    while attempts < 8:
        attempts += "attempt" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "to resume: bulkseed apply m.jsonl" in stderr
    counts = dict(re.findall(r"^(created|adopted|invalid|pending): +(\d+) ", stdout, re.MULTILINE))
    assert sum(map(int, counts.values())) == 40
    assert re.search(r"^definitions: 40 = ", stdout, re.MULTILINE)
    assert "canary" not in stdout + stderr


PLAN = """\
target: ENDPOINT (cn-hangzhou)
ledger: m.ledger.db (none here yet: a first run)
nothing is sent to the target: only --online asks it
invalid: SecretDataType must be text or binary: 1 line
  m.jsonl:40
39 to create, 3.9 s at 10/s, 341 bytes of values
invalid: 1             bad manifest line, never sent
definitions: 40 = 39 to create + 0 settled + 1 invalid
"""
RESUMED = [
    "created: 38            the service said so",
    "adopted: 1             ours: made by an earlier attempt, or taken back",
    "invalid: 1             bad manifest line, never sent",
    "definitions: 40 = 38 created + 1 adopted + 1 invalid",
]
REJECT = {
    "secret_name": "app/00039",
    "outcome": "invalid",
    "code": None,
    "message": "SecretDataType must be text or binary",
    "hint": "correct it in the manifest or store, then run again",
    "manifest": "m.jsonl",
    "line": 40,
}
REPAIRED = """\
target: ENDPOINT (cn-hangzhou, account 1000000000000001)
ledger: m.ledger.db
created: 1             the service said so
definitions: 1 = 1 created
attempts: 1   throttled: 0   retried: 0   in SOME TIME
"""
VERIFIED = """\
target: ENDPOINT (cn-hangzhou, account 1000000000000001)
ledger: m.verify.db (none here yet: a first run)
identical: 40          the service has this version with this value
definitions: 40 = 40 identical
attempts: 40   throttled: 0   retried: 0   in SOME TIME
"""
PREVIEW = """\
target: ENDPOINT (cn-hangzhou, account 1000000000000001)
ledger: m.ledger.db
40 to delete unless changed since, restorable for 30 days, 2 s at 20/s
  app/00000
  app/00001
  app/00002
  app/00003
  app/00004
  app/00005
  app/00006
  app/00007
  app/00008
  app/00009
  and 30 more
nothing was sent; to do it: bulkseed rollback m.ledger.db --endpoint ENDPOINT --qps 20 --yes
"""
ROLLED_BACK = """\
target: ENDPOINT (cn-hangzhou, account 1000000000000001)
ledger: m.ledger.db
deleted: 40            by this ledger's rollbacks
secrets of this ledger: 40 = 40 deleted
a deleted secret's name is taken as long as its delete window lasts: bulkseed apply MANIFEST \
--on-delete-window restore takes the secret back; the first window ends SOME DAY by the service's clock
attempts: 120   throttled: 0   retried: 0   in SOME TIME
"""
