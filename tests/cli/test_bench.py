"""``bulkseed bench`` against the local KMS, as users run it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.command import bulkseed, environment, simple, start, write_manifest
from support.torture import held, served


def measured(done: subprocess.CompletedProcess[str], exit_code: int = 0) -> dict[str, Any]:
    """Return what a run printed as JSON."""
    assert done.returncode == exit_code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Every request of every rate is created, timed and deleted again."""
    with served(tmp_path / "kms") as endpoint:
        call = ["bench", "--endpoint", endpoint, "--ladder", "40,80", "--seconds", "0.5", "--output", "json"]
        found = measured(bulkseed(*call, cwd=tmp_path))
    assert [(rung["rate"], rung["created"], rung["kept_up"]) for rung in found["ladder"]] == [
        (40, 20, True),
        (80, 40, True),
    ]
    for rung in found["ladder"]:
        times = rung["latency_ms"]
        assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["p99.9"] <= times["max"]
    assert (found["knee"], found["deleted"], found["left"], found["exit_code"]) == (80, 60, 0, 0)
    assert held(tmp_path / "kms") == {}


def test_the_embedded_service_needs_nothing_else(tmp_path: Path) -> None:
    """Without a service of one's own it tells what a person wants to know."""
    done = bulkseed("bench", "--endpoint", "embedded", "--rate", 50, "--count", 10, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "10 of 10 created" in done.stdout
    assert "knee: not reached, 50/s is kept up with\ncleaned up: 10 deleted, 0 left" in done.stdout


def test_latency_counts_from_the_moment_a_request_was_due(tmp_path: Path) -> None:
    """One stall on the only connection makes all that is due meanwhile late, and nothing is left out."""
    stall = {"rules": [{"action": "CreateSecret", "requests": [10], "fault": "delay", "delay_ms": 1000}]}
    with served(tmp_path / "kms", stall) as endpoint:
        call = ["bench", "--endpoint", endpoint, "--rate", 50, "--seconds", 2, "--connections", 1]
        found = measured(bulkseed(*call, "--output", "json", cwd=tmp_path))
    (rung,) = found["ladder"]
    assert (rung["arrivals"], rung["created"]) == (100, 100)
    assert rung["latency_ms"]["p90"] >= 500, "a closed loop would see one slow request, and 99 fast ones"
    assert rung["due_to_written_ms"]["p90"] >= 500


def test_the_ladder_ends_where_the_service_does_not_keep_up(tmp_path: Path) -> None:
    """A quota refuses the second rate; the third is not tried, and the clean-up bears with the quota."""
    with served(tmp_path / "kms", create_qps=40) as endpoint:
        call = ["bench", "--endpoint", endpoint, "--ladder", "30,400,800", "--count", 100, "--output", "json"]
        found = measured(bulkseed(*call, cwd=tmp_path))
    first, second = found["ladder"]
    assert (first["kept_up"], second["kept_up"], found["knee"]) == (True, False, 30)
    assert second["throttled"] == second["problems"]["Rejected.Throttling"] > 0
    assert (found["deleted"], found["left"]) == (first["created"] + second["created"], 0)
    assert held(tmp_path / "kms") == {}


def test_what_may_have_been_created_is_deleted_too(tmp_path: Path) -> None:
    """A reply that was lost, or an error after the commit, hides a secret; it is not left behind."""
    faults = {
        "rules": [
            {"action": "CreateSecret", "requests": [3], "fault": "drop-after"},
            {"action": "CreateSecret", "requests": [5], "fault": "500-after"},
            {"action": "DeleteSecret", "requests": [2], "fault": "500-before"},
        ]
    }
    with served(tmp_path / "kms", faults) as endpoint:
        call = ["bench", "--endpoint", endpoint, "--rate", 50, "--count", 20, "--output", "json"]
        found = measured(bulkseed(*call, cwd=tmp_path))
    assert (found["ladder"][0]["created"], found["deleted"], found["left"]) == (18, 20, 0)
    assert sum(found["ladder"][0]["problems"].values()) == 2
    assert held(tmp_path / "kms") == {}


def test_of_a_manifest_only_what_it_created_is_deleted(tmp_path: Path) -> None:
    """A secret that was there before is reported as refused, and stays."""
    manifest = write_manifest(tmp_path / "all.jsonl", simple(12))
    one = write_manifest(tmp_path / "one.jsonl", simple(1))
    with served(tmp_path / "kms") as endpoint:
        assert bulkseed("apply", one, "--endpoint", endpoint, cwd=tmp_path).returncode == 0
        call = ["bench", manifest, "--endpoint", endpoint, "--rate", 50, "--output", "json"]
        found = measured(bulkseed(*call, cwd=tmp_path))
    (rung,) = found["ladder"]
    assert (rung["due"], rung["created"]) == (12, 11)
    assert rung["problems"] == {"Rejected.ResourceExist": 1}
    assert (found["prefix"], found["deleted"], found["left"]) == (None, 11, 0)
    assert list(held(tmp_path / "kms")) == ["app/00000"]


def test_it_can_keep_what_it_created(tmp_path: Path) -> None:
    """With --keep the secrets are there afterwards, with obviously fake values of the size asked for."""
    with served(tmp_path / "kms") as endpoint:
        call = ["bench", "--endpoint", endpoint, "--rate", 50, "--count", 3, "--keep", "--value-bytes", 100]
        found = measured(bulkseed(*call, "--output", "json", cwd=tmp_path))
    kept = held(tmp_path / "kms")
    assert sorted(kept) == sorted(found["left_names"]) == [f"{found['prefix']}{i}" for i in (1, 2, 3)]
    assert all(len(value) == 100 and value.startswith("fake-not-a-secret") for value in kept.values())


@pytest.mark.parametrize(
    "where",
    [
        [],
        ["--region", "eu-central-1"],
        ["--endpoint", "https://kms.cn-hangzhou.aliyuncs.com"],
        ["--endpoint", "https://KMS-VPC.cn-hangzhou.AliyunCS.com.:443"],
    ],
)
def test_the_public_service_needs_an_explicit_word(where: list[str], tmp_path: Path) -> None:
    """Without --yes-really nothing is sent there, and it says why."""
    done = bulkseed("bench", *where, cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"aliyuncs.com(.:443)? is the public service", done.stderr.lower())
    assert "--yes-really" in done.stderr


def test_what_every_request_would_meet_stops_it(tmp_path: Path) -> None:
    """A wrong key ends it at once, with exit 3 and what to do."""
    with served(tmp_path / "kms") as endpoint:
        env = environment(ALIBABA_CLOUD_ACCESS_KEY_SECRET="fake-and-wrong")
        done = bulkseed("bench", "--endpoint", endpoint, "--output", "json", cwd=tmp_path, env=env)
    found = measured(done, 3)
    assert found["stopped_by"].startswith("SignatureDoesNotMatch: ")
    assert found["ladder"][0]["arrivals"] < 100


@pytest.mark.parametrize("ladder", ["", "fast", "10,,20", "10,-1", "nan", "inf"])
def test_a_ladder_of_no_rates_is_refused(ladder: str, tmp_path: Path) -> None:
    """It is a mistake of usage, said in one line."""
    done = bulkseed("bench", "--endpoint", "embedded", "--ladder", ladder, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: --ladder takes rates like 50,100,200\n"


def test_interrupted_it_cleans_up(tmp_path: Path) -> None:
    """Ctrl-C ends the load; what was created until then is deleted."""
    with served(tmp_path / "kms") as endpoint:
        call = ["bench", "--endpoint", endpoint, "--ladder", "50,5", "--count", 50]
        process = start(*call, cwd=tmp_path)
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    assert "50 of 50 created" in first
    assert process.returncode == 130, errors
    assert "deleted, 0 left" in rest
    assert held(tmp_path / "kms") == {}
