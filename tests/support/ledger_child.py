"""A process of its own that uses a ledger, for tests that kill it, starve it or take its rights away.

``python -m support.ledger_child SCENARIO LEDGER`` prints a line for each thing that is on disk, as it says.
"""

from __future__ import annotations

import fcntl
import os
import re
import resource
import sqlite3
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bulkseed.errors import LedgerError
from bulkseed.ledger import Ledger, open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from support.ledgers import attempt, definitions, settlement, target, whole_run

NOBODY = 65534
BLOCK = 16


def say(*words: object) -> None:
    """Write a line at once, and whole: the pipe takes it in one piece."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def write(path: Path) -> None:
    """Claim and settle definitions, block by block, until something stops it."""
    with open_ledger(path, target()) as ledger:
        work(ledger)


def work(ledger: Ledger) -> None:
    """Begin a run and resume the endless manifest where rows are not settled."""
    ledger.begin_run(f"run of {os.getpid()}", ["prod.jsonl"], {}, time.time())
    first = 1
    while True:
        claims = ledger.admit(definitions(BLOCK, first), time.time()).to_send
        first += BLOCK
        for claim in claims:
            say("claimed", claim.definition.name)
        half = len(claims) // 2
        for part in (claims[:half], claims[half:]):
            now = time.time()
            ledger.record(
                [settlement(claim, at=now + 0.02) for claim in part], [attempt(claim, now) for claim in part]
            )
            for claim in part:
                say("settled", claim.definition.name)


def grow(path: Path) -> None:
    """Work through 20,000 definitions and then 100,000, and say the most memory that each took, in bytes."""
    with open_ledger(path, target()) as ledger:
        for count in (20_000, 100_000):
            for run in ("first", "again"):
                ledger.begin_run(f"{run} {count}", [], {}, 0.0)
                for first in range(1, count, 2000):
                    claims = ledger.admit(definitions(2000, first), 0.0).to_send
                    ledger.record([settlement(c) for c in claims], [attempt(c) for c in claims])
            for _ in ledger.rows():
                pass
            say(peak_memory())


def peak_memory() -> int:
    """Return the most memory that this process had, in bytes; getrusage() would count its parent's, too."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) * 1024


def hold(path: Path) -> None:
    """Keep the ledger open until standard input ends."""
    with open_ledger(path, target()):
        say("open")
        sys.stdin.read()


def look(path: Path) -> None:
    """Read the ledger as any SQLite client does that could write, too."""
    with closing(sqlite3.connect(path)) as connection:
        say(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def starve(path: Path) -> None:
    """Write until no file of this process may grow any more."""
    limit = 600_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write(path)
    except LedgerError as error:
        say("error", error)


def write_under_one_lock_table(path: Path) -> None:
    """Write where flock is a lock on the whole file in the table of SQLite's locks, as on macOS and NFS."""

    def flock(fd: int, operation: int) -> None:
        kind = fcntl.F_WRLCK if operation & fcntl.LOCK_EX else fcntl.F_RDLCK
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))

    fcntl.flock = flock  # type: ignore[assignment]  # it is given descriptors only
    with open_ledger(path, target()) as ledger:
        whole_run(ledger, definitions(3))
    with read_ledger(path) as reader:
        say(sum(1 for _ in reader.rows()))


def open_without_rights(path: Path) -> None:
    """Open for writing as a user who may only read."""
    drop_rights()
    try:
        open_ledger(path, target()).close()
    except LedgerError as error:
        say("error", error)
    else:
        say("opened")


def read_without_rights(path: Path) -> None:
    """Read everything as a user who may only read."""
    drop_rights()
    with read_ledger(path) as ledger:
        say(
            sum(1 for _ in ledger.rows()),
            ledger.status().runs,
            all(finding.holds for finding in audit(ledger)),
        )


def drop_rights() -> None:
    """Become a user without rights; whoever is none already stays."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


SCENARIOS: dict[str, Callable[[Path], None]] = {
    scenario.__name__: scenario
    for scenario in (
        write,
        write_under_one_lock_table,
        grow,
        hold,
        look,
        starve,
        open_without_rights,
        read_without_rights,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
