"""The quota across processes: a run that follows a killed one does not begin a second anew."""

from __future__ import annotations

from pathlib import Path

from support.command import KEY_ID, KEY_SECRET, simple, start, write_manifest
from support.stub_kms import StubKms

LIMIT = 20


def test_a_restart_at_once_keeps_to_the_limit(tmp_path: Path) -> None:
    """Kill in full flow and start again: the service never sees more than the limit in a second."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(200))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        for enough in (15, 30, 45):
            run = start("apply", manifest, "--endpoint", stub.endpoint, "--qps", LIMIT, cwd=tmp_path)
            while len(stub.arrivals) < enough:
                assert run.poll() is None, run.communicate()
            run.kill()
            run.communicate(timeout=120)
        arrivals = stub.arrivals
    worst = max(sum(start <= at < start + 1 for at in arrivals) for start in arrivals)
    assert worst <= LIMIT
    assert stub.problems == []
