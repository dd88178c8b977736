"""``apply --targets``: many accounts and regions in one command, each a served process of its own."""

from __future__ import annotations

import json
import logging
import subprocess
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from support.command import BULKSEED, bulkseed, environment
from support.serve_process import SECRET, UNLIMITED_FLAGS
from support.serve_process import served as served_process
from support.torture import served

from bulkseed.cli.app import app
from bulkseed.errors import UsageError
from bulkseed.targets.run_folder import make_run_folder
from bulkseed.targets.spec import TargetSpec


def targets_file(folder: Path, stack: ExitStack, *names: str) -> Path:
    """Serve a local KMS for each name and write the file that lists them; they take ``NAME/*``."""
    lines = []
    for number, name in enumerate(names):
        endpoint = stack.enter_context(served(folder / f"kms-{name}", account_id=1000000000000000 + number))
        lines += [
            "[[target]]",
            f'name = "{name}"',
            'region = "cn-hangzhou"',
            f'endpoint = "{endpoint}"',
            f'match = ["{name}/*"]',
            "qps = 500",
        ]
    path = folder / "targets.toml"
    path.write_text("\n".join(lines))
    return path


def manifest(folder: Path, names: list[str]) -> Path:
    """Write definitions with obviously fake values."""
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps({"SecretName": n, "SecretData": "fake-value"}) + "\n" for n in names))
    return path


def test_one_command_fills_all_targets_and_says_what_went_nowhere(tmp_path: Path) -> None:
    """Text for people, JSON in the promised shape; run again it sends nothing."""
    names = [f"{t}/{n}" for t in ("a", "b", "c") for n in range(20)]
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a", "b", "c")
        manifest(tmp_path, names)
        call = ["apply", "m.jsonl", "--targets", targets, "--progress", "plain"]
        planned = bulkseed("plan", "m.jsonl", "--targets", targets, cwd=tmp_path)
        assert not (tmp_path / "m.run").exists()
        assert planned.stdout.startswith("a (cn-hangzhou): 20 to send, 0.0 s at 500/s\n"), planned.stdout
        assert "together: 60 to send to 3 targets" in planned.stdout
        done = bulkseed(*call, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert (
            "definitions: 60 = 60 created\nlines: 60, for the targets together 60\nrun: m.run\n"
            in done.stdout
        )
        assert "a: 20 = 20 created\n" in done.stdout
        manifest(tmp_path, [*names, "nowhere"])
        again = bulkseed(*call, "--output", "json", cwd=tmp_path)
        planned = bulkseed("plan", "m.jsonl", "--run", "m.run", "--output", "json", cwd=tmp_path)
        verified = bulkseed("verify", "m.jsonl", "--run", "m.run", "--output", "json", cwd=tmp_path)
        status = bulkseed("ledger", "status", "m.run", cwd=tmp_path)
        in_json = bulkseed("ledger", "status", "m.run", "--output", "json", cwd=tmp_path)
        audit_json = bulkseed("ledger", "audit", "m.run", "--output", "json", cwd=tmp_path)
        rows = bulkseed("ledger", "rows", "m.run", cwd=tmp_path)
        audit = bulkseed("ledger", "audit", "m.run", cwd=tmp_path)
        reported = bulkseed("report", "m.run", cwd=tmp_path)
        preview = bulkseed("rollback", "m.run", cwd=tmp_path)
        undone = bulkseed("rollback", "m.run", "--yes", "--output", "json", cwd=tmp_path)
        missing = bulkseed("verify", "m.jsonl", "--run", "m.run", cwd=tmp_path)
        rereported = tmp_path / "late.html"
        bulkseed("report", "m.run", "-o", rereported, cwd=tmp_path)
    plans = json.loads(planned.stdout)["targets"]
    assert {name: (plan["to_send"], plan["settled"]) for name, plan in plans.items()} == {
        "a": (0, 20),
        "b": (0, 20),
        "c": (0, 20),
    }
    assert json.loads(verified.stdout)["results"]["identical"] == 60
    assert [line for line in status.stdout.splitlines() if line.startswith("target ")] == [
        "target a",
        "target b",
        "target c",
    ]
    for found in (in_json, audit_json):
        assert [json.loads(line)["target"] for line in found.stdout.splitlines()] == ["a", "b", "c"]
    assert {json.loads(line)["target"] for line in rows.stdout.splitlines()} == {"a", "b", "c"}
    assert (audit.returncode, audit.stdout.count("everything adds up")) == (0, 3)
    assert reported.stdout == "m.run/report.html\n"
    page = (tmp_path / "m.run" / "report.html").read_text()
    assert "<strong>All 60 definitions are settled.</strong>" in page
    assert "1 line went nowhere" in page
    assert "A verify found all definitions as the manifest says." in page
    assert page.count("<td>all as the manifest says</td>") == 3
    pages = [f"report.{name}.html" for name in "abc"]
    assert [name in page and (tmp_path / "m.run" / name).is_file() for name in pages] == [True] * 3
    assert "fake-value" not in page
    of_a = (tmp_path / "m.run" / "report.a.html").read_text()
    assert "A verify found all 20 definitions as the manifest says" in of_a
    late = rereported.read_text()
    assert "A verify found 60 definitions otherwise." in late
    assert late.count("<td>20 otherwise</td>") == 3
    assert "together: 60, 0.5 s at the targets' paces\n" in preview.stdout
    assert (undone.returncode, json.loads(undone.stdout)["results"]["deleted"]) == (0, 60)
    assert (missing.returncode, "60 missing" in missing.stdout) == (1, True)
    shape = json.loads(again.stdout)
    assert (again.returncode, shape["exit_code"], shape["unrouted"], shape["definitions"]) == (1, 1, 1, 60)
    assert [target["attempts"] for target in shape["targets"].values()] == [0, 0, 0]
    assert shape["outcomes"]["created"] == 60
    unrouted = json.loads((tmp_path / "m.run" / "unrouted.jsonl").read_text())
    assert unrouted == {"manifest": "m.jsonl", "line": 61, "reason": "no target's match fits the name"}


def test_a_killed_run_over_many_targets_goes_on(tmp_path: Path) -> None:
    """After kill -9 the same command finishes the work; every row is ours, and every ledger adds up."""
    names = [f"{t}/{n}" for t in ("a", "b") for n in range(1500)]
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a", "b")
        manifest(tmp_path, names)
        call = ["apply", "m.jsonl", "--targets", str(targets), "--progress", "none", "--output", "json"]
        command = [str(BULKSEED), *call]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL)
        while not (tmp_path / "m.run" / "b.ledger.db-wal").exists() and process.poll() is None:
            pass
        process.kill()
        process.wait()
        done = bulkseed(*call, cwd=tmp_path)
    shape = json.loads(done.stdout)
    assert done.returncode == 0
    assert shape["outcomes"]["created"] + shape["outcomes"]["adopted"] == 3000
    for name in ("a", "b"):
        audit = bulkseed("ledger", "audit", tmp_path / "m.run" / f"{name}.ledger.db", cwd=tmp_path)
        assert audit.returncode == 0, audit.stdout


def test_what_was_never_begun_or_cannot_be_read_is_in_every_proof(tmp_path: Path) -> None:
    """A target without credentials, and one whose ledger is damaged: nobody calls the rest all there is."""
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a", "b")
        with targets.open("a") as file:
            file.write('\n[[target]]\nname = "c"\nregion = "cn-beijing"\nprofile = "none"\nmatch = ["c/*"]\n')
        manifest(tmp_path, ["a/1", "b/1", "b/2", "c/1", "c/2", "c/3"])
        done = bulkseed("apply", "m.jsonl", "--targets", targets, cwd=tmp_path)
        assert (done.returncode, "c: not run: " in done.stdout) == (3, True)
        whole = bulkseed("ledger", "audit", "m.run", cwd=tmp_path)
        assert (whole.returncode, whole.stdout.count("everything adds up")) == (1, 2)
        (tmp_path / "m.run" / "b.ledger.db").write_bytes(b"no ledger")
        told = {
            name: bulkseed(*call.split(), "m.run", cwd=tmp_path)
            for name, call in {
                "audit": "ledger audit --output json",
                "status": "ledger status",
                "rows": "ledger rows",
                "rejects": "ledger rejects",
                "report": "report",
                "preview": "rollback --output json",
                "undone": "rollback --yes --output json",
            }.items()
        }
    assert {name: found.returncode for name, found in told.items()} == dict.fromkeys(told, 4)
    assert all("b.ledger.db" in found.stderr for name, found in told.items() if name != "undone"), told
    *_, waiting = told["audit"].stdout.splitlines()
    assert json.loads(waiting) == {"target": "c", "not_begun": 3}
    assert told["status"].stdout.endswith("target c\nnot begun; the manifest has 3 for it\n")
    assert [json.loads(line)["target"] for line in told["rows"].stdout.splitlines()] == ["a"]
    assert "not listed: 3 of target c, which was not begun" in told["rejects"].stderr
    page = (tmp_path / "m.run" / "report.html").read_text()
    assert "6 definitions</strong> = 1 created + 5 not come to" in page
    assert "5 of 6 definitions are not settled." in page
    assert [f"The ledger of {n}: {why}." in page for n, why in (("b", "cannot be read"), ("c", "not begun"))]
    assert json.loads(told["preview"].stdout)["targets"] == {"a": 1}
    undone = json.loads(told["undone"].stdout)
    assert (undone["results"]["deleted"], undone["targets"]["b"]["exit_code"]) == (1, 4)


ONE = '[[target]]\nname = "a"\nregion = "cn-hangzhou"\n'


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--endpoint", "https://kms.example"], "--endpoint does not go with many targets: say it in the"),
        (["--qps", "5"], "--qps does not go with many targets: say it in the targets file"),
        (["--ledger", "x.db"], "--ledger does not go with many targets: it is for one target"),
    ],
)
def test_options_for_one_target_are_refused(options: list[str], said: str, tmp_path: Path) -> None:
    """They would be ignored in silence."""
    manifest(tmp_path, ["x"])
    (tmp_path / "t.toml").write_text(ONE)
    done = bulkseed("apply", "m.jsonl", "--targets", "t.toml", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "m.run").exists()


@pytest.mark.parametrize(
    ("call", "honoured"),
    [
        ("apply m.jsonl --targets t.toml", set()),
        ("apply m.jsonl --targets t.toml --dry-run", set()),
        ("plan m.jsonl --targets t.toml", set()),
        ("verify m.jsonl --targets t.toml", {"--qps"}),
        ("rollback x.run", set()),
        ("ledger audit x.run", set()),
        ("doctor --targets t.toml", set()),
        ("doctor --ledger x.run", {"--ledger"}),
        ("doctor --cluster local", set()),
    ],
)
def test_no_option_for_one_target_is_ignored(
    call: str,
    honoured: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every command over many targets refuses each of them that it has, before anything else."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("bulkseed")  # a command sets it up for its process
    for name in ("handlers", "propagate", "level"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    manifest(tmp_path, ["x"])
    (tmp_path / "t.toml").write_text(ONE)
    make_run_folder(tmp_path / "x.run", [TargetSpec("a", "cn-hangzhou")])
    values = {"--region": "r", "--profile": "p", "--signature": "acs3", "--ca-file": "t.toml", "--qps": "5"}
    values |= {"--endpoint": "https://kms.example", "--data-dir": "d", "--ledger": "l.db"}
    command: click.Command = app
    for word in call.split():
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word) or command
    offered = {name for parameter in command.params for name in parameter.opts}
    for name in (values.keys() & offered) - honoured:
        with pytest.raises(UsageError, match=f"{name} does not go with many targets"):
            app.main([*call.split(), name, values[name]], standalone_mode=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "t.toml", "x.run"]


def test_a_plan_tells_of_each_target_what_it_tells_of_one(tmp_path: Path) -> None:
    """What has changed and what is gone from the manifest, by name; values, pace and reasons in the JSON."""
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a", "b")
        manifest(tmp_path, ["a/1", "a/2", "a/3", "b/1"])
        done = bulkseed("apply", "m.jsonl", "--targets", targets, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    lines = [
        {"SecretName": "a/1", "SecretData": "fake-value"},
        {"SecretName": "a/2", "SecretData": "fake", "VersionId": "v2"},
        {"SecretName": "b/1", "SecretData": "fake-value"},
        {"SecretName": "b/2", "SecretData": "fake", "EncryptionKeyId": "alias/x"},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "r.jsonl").write_text('{"target": "b", "secret_name": "b/2"}\n')
    call = ["plan", "m.jsonl", "--targets", targets]
    planned = bulkseed(*call, cwd=tmp_path).stdout
    in_json = json.loads(bulkseed(*call, "--output", "json", cwd=tmp_path).stdout)["targets"]
    alone = bulkseed("plan", "m.jsonl", "--ledger", "m.run/a.ledger.db", "--output", "json", cwd=tmp_path)
    only = bulkseed(*call, "--only", "r.jsonl", cwd=tmp_path).stdout
    assert "1 to send, 0 s at 500/s; 1 of them changed; 1 settled\n  changed: a/2\n" in planned
    assert "\n  1 settled, not compared: " in planned
    assert "settled, and not in the manifest any more: 1 (a/3); nothing is deleted for that" in planned
    assert "note: alias/x is an alias" in planned
    assert {n: (in_json["a"][n], in_json["b"][n]) for n in ("changed", "no_longer_there", "bytes")} == {
        "changed": (1, 0),
        "no_longer_there": (1, 0),
        "bytes": (4, 4),
    }
    assert json.loads(alone.stdout).keys() - {"exit_code"} <= in_json["a"].keys()
    assert "together: 1 to send to 2 targets" in only


def test_the_end_of_a_run_tells_of_each_target_what_it_tells_of_one(tmp_path: Path) -> None:
    """Reasons, what is gone from the manifest, problems, effort, and how to go on; events by target."""
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a", "b")
        manifest(tmp_path, ["a/1", "a/2", "a/bad name", "b/1"])
        call = ["apply", "m.jsonl", "--targets", targets]
        first = bulkseed(*call, "--log-level", "info", "--log-format", "json", cwd=tmp_path)
        manifest(tmp_path, ["a/1", "b/1", "b/3"])
        verify = ["verify", "m.jsonl", "--run", "m.run"]
        verified = bulkseed(*verify, cwd=tmp_path)
        in_json = json.loads(bulkseed(*verify, "--output", "json", cwd=tmp_path).stdout)["targets"]
        again = bulkseed(*call, cwd=tmp_path)
        preview = bulkseed("rollback", "m.run", cwd=tmp_path)
    assert first.returncode == 1
    assert "a:\n  1 invalid: SecretName may have only" in first.stdout
    assert "fullest second: 2 of 500 allowed (a)" in first.stdout
    assert "not finished; all of them: bulkseed ledger rejects m.run" in first.stderr
    events = [json.loads(line) for line in first.stderr.splitlines() if line.startswith("{")]
    assert sorted((found["event"], found["target"]) for found in events) == [
        ("definition.failed", "a"),
        *(("run.ended", name) for name in "ab"),
        *(("run.started", name) for name in "ab"),
    ]
    assert "note: a: applied, and not in the manifest any more, so not read: 1 (a/2)" in verified.stderr
    assert [problem["secret_name"] for problem in in_json["b"]["problems"]] == ["b/3"]
    assert "note: a: settled before, and not in the manifest any more: 1; nothing" in again.stderr
    assert "a: 2 to delete unless changed since\n  the first: a/1, a/2\n" in preview.stdout


def test_a_dry_run_is_a_plan_that_groups_bad_lines_and_writes_nothing(tmp_path: Path) -> None:
    """Whatever a plan is told goes for every target: what is unchecked, and that a manifest is empty (F9)."""
    manifest(tmp_path, ["good", *(f"bad name {n}" for n in range(7))])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "t.toml").write_text(ONE)
    call = ["apply", "m.jsonl", "--targets", "t.toml", "--dry-run"]
    checked = bulkseed(*call, cwd=tmp_path)
    shape = json.loads(bulkseed(*call, "--output", "json", cwd=tmp_path).stdout)["targets"]["a"]
    unchecked = bulkseed(*call, "--unchecked", cwd=tmp_path)
    empty = ["plan", "empty.jsonl", "--targets", "t.toml"]
    refused, allowed = bulkseed(*empty, cwd=tmp_path), bulkseed(*empty, "--allow-empty", cwd=tmp_path)
    assert (checked.returncode, checked.stdout.count("invalid: "), ": 7 lines" in checked.stdout) == (
        1,
        1,
        True,
    )
    assert (shape["invalid_count"], [reason["count"] for reason in shape["invalid_reasons"]]) == (7, [7])
    assert (unchecked.returncode, "8 to send" in unchecked.stdout) == (0, True)
    assert (refused.returncode, allowed.returncode) == (2, 0)
    assert "--allow-empty" in refused.stderr
    assert not list(tmp_path.glob("*.run"))


def test_a_run_folder_needs_targets(tmp_path: Path) -> None:
    """--run alone goes on with a run that exists, and is no reason to make one."""
    manifest(tmp_path, ["x"])
    done = bulkseed("apply", "m.jsonl", "--run", "x.run", cwd=tmp_path)
    assert (done.returncode, "x.run is not a run folder" in done.stderr) == (4, True)


def test_an_audit_asks_each_target_by_its_own_credentials(tmp_path: Path) -> None:
    """The run knows them; an option that fits one target alone is refused."""
    manifest(tmp_path, ["a/1", "b/1"])
    (tmp_path / ".aliyun").mkdir()
    keys = {"access_key_id": "embedded", "access_key_secret": SECRET.reveal()}
    profile = {"name": "b", "mode": "AK", **keys, "region_id": "cn-hangzhou"}
    (tmp_path / ".aliyun" / "config.json").write_text(json.dumps({"current": "b", "profiles": [profile]}))
    env = {**environment(), "HOME": str(tmp_path)}
    with ExitStack() as stack:
        targets = targets_file(tmp_path, stack, "a")
        flags = (*UNLIMITED_FLAGS, "--account-id=1000000000000009")
        other, _ = stack.enter_context(served_process(tmp_path / "kms-b", *flags))
        lines = ["[[target]]", 'name = "b"', 'region = "cn-hangzhou"', 'profile = "b"', 'match = ["b/*"]']
        with targets.open("a") as file:
            file.write("\n" + "\n".join([*lines, f'endpoint = "{other.endpoint}"']))
        done = bulkseed("apply", "m.jsonl", "--targets", targets, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        audit = bulkseed("ledger", "audit", "m.run", "--online", cwd=tmp_path, env=env)
        one = bulkseed("ledger", "audit", "m.run", "--online", "--profile", "b", cwd=tmp_path, env=env)
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert audit.stdout.count("every settled row exists at the service: 1 do") == 2
    assert one.returncode == 2
    assert "--profile does not go with many targets" in one.stderr
