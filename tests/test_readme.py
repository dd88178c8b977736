"""The README is true: its commands, its example and its tables are what the code says."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.command import BULKSEED, bulkseed, environment, simple, start, write_manifest
from support.reference import updated

from bulkseed.errors import BulkseedError, LedgerError, UsageError
from bulkseed.manifest import value_from
from bulkseed.model import Outcome
from bulkseed.service.access.policies import read_policies
from bulkseed.service.shell.databases import read_databases
from bulkseed.service.shell.faults import KINDS, read_faults
from bulkseed.wire.actions import ACTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL))
TASKS = {
    section.partition("\n")[0]: block
    for section in README.split("\n## ")
    for block in re.findall(r"<!-- task -->\n```sh\n(.*?)```", section, re.DOTALL)
}
COME_TO = {
    "Migrate": "definitions: 2 = 2 created\n",
    "Plan": "at the service: 0 of the names to create exist already\n",
    "Resume": "attempts: 0 ",
    "Repair": "definitions: 1 = 1 created\n",
    "Onboard": "created: 2 ",
    "Verify and report": "identical: 2 ",
    "Roll back": "deleted: 2 ",
    "Benchmark": "/s is kept up with",
}
ON_THE_LOCAL_KMS = """
bulkseed() {
  case "$*" in
    apply*|plan*|verify*|rollback*|*--online) command bulkseed "$@" --endpoint embedded ;;
    *) command bulkseed "$@" ;;
  esac
}
"""


def test_every_task_has_commands() -> None:
    """What the README says how to do is what the next test does."""
    assert TASKS.keys() == COME_TO.keys()


@pytest.mark.parametrize("task", TASKS)
def test_the_commands_of_a_task_do_it(task: str, tmp_path: Path) -> None:
    """Each block runs as it stands, with the README's own files, against the embedded local KMS."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if task in {"Resume", "Repair", "Verify and report", "Roll back"}:
        first, second = FILES["prod.jsonl"].splitlines()
        bad = second.replace("SecretData", "SecretDate") if task == "Repair" else second
        write_manifest(tmp_path / "prod.jsonl", [first, bad])
        before = bulkseed("apply", "prod.jsonl", "--endpoint", "embedded", cwd=tmp_path)
        assert before.returncode == (task == "Repair"), before.stderr
        write_manifest(tmp_path / "prod.jsonl", [first, second])
    done = subprocess.run(
        ["sh", "-euc", ON_THE_LOCAL_KMS + TASKS[task]],
        cwd=tmp_path,
        env=environment(PATH=f"{BULKSEED.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert COME_TO[task] in done.stdout


@pytest.mark.parametrize("spec", re.findall(r"^\| `(\{.*?\})` \|", README, re.MULTILINE))
def test_the_values_that_can_be_asked_for(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of the table of `SecretDataFrom` gives a value."""
    monkeypatch.setenv("DB_PASSWORD", "fake")
    (tmp_path / "orders.pem").write_text("fake\n")
    wanted = value_from.resolve(json.loads(spec), None, tmp_path)
    assert wanted.problem is None
    assert wanted.text


def test_the_sets_of_characters_are_the_code_s() -> None:
    """The sets that a charset may name, and its default."""
    told = re.search(r"sets joined by `\+`: (.*?)\. .*? Unless said, `(.*?)`", README)
    assert told is not None
    assert re.findall(r"\w+", told[1]) == list(value_from.SETS)
    assert told[2] == value_from.CHARSET


def test_the_test_of_a_user_runs(tmp_path: Path) -> None:
    """The test module for the local KMS is collected, gets its KMS and passes."""
    (tmp_path / "test_mine.py").write_text(FILES["test_mine.py"], encoding="utf-8")
    call = [sys.executable, "-m", "pytest", "-q", "test_mine.py"]
    done = subprocess.run(call, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


def test_the_local_kms_prints_what_it_says(tmp_path: Path) -> None:
    """The line of ``bulkseed serve`` has the keys that the README shows."""
    found = re.search(r"```console\n\$ bulkseed (serve .*?)\n(.*?)\n```", README)
    assert found is not None
    served = start(*found[1].replace("/tmp/kms", str(tmp_path)).split(), "--port", "0", cwd=tmp_path)  # noqa: S108  # not used
    try:
        assert served.stdout is not None
        said = json.loads(served.stdout.readline())
    finally:
        served.terminate()
        served.communicate()
    shown = json.loads(found[2])
    assert said.keys() == shown.keys()
    assert (said["region"], said["access_key_id"]) == (shown["region"], shown["access_key_id"])


def test_every_variable_of_ours_is_documented() -> None:
    """The table of the environment has each ``BULKSEED_…`` that the code reads."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bulkseed").rglob("*.py"))
    table = README.split("## Environment")[1].split("\n## ")[0]
    assert set(re.findall(r"\b_?BULKSEED_[A-Z_]+", code)) == set(re.findall(r"\b_?BULKSEED_[A-Z_]+", table))


def test_the_example_prints_what_it_says(tmp_path: Path) -> None:
    """The Python example runs as it stands and prints the lines below it."""
    found = re.search(r"<!-- example -->\n```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert found is not None
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    done = subprocess.run(
        [sys.executable, "-c", found[1]],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (found[2], "")


def test_console_examples_print_what_they_say(tmp_path: Path) -> None:
    """What a plan prints is not made up."""
    found = re.search(r"```console\n\$ bulkseed (plan .*?)\n(.*?)```", README, re.DOTALL)
    assert found is not None
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    assert bulkseed(*found[1].split(), cwd=tmp_path).stdout == found[2]


def test_the_outcome_table_is_the_code_s() -> None:
    """Every outcome, in order, settled or not."""
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", README, re.MULTILINE)
    assert rows == [(o.value, "yes" if o.settled else "no") for o in Outcome]


def test_the_exit_codes_are_the_code_s() -> None:
    """The table of exit codes covers what errors carry."""
    codes = {
        int(code) for code in re.findall(r"^\| (\d+) \|", README.split("## Exit codes")[1], re.MULTILINE)
    }
    assert codes >= {UsageError.exit_code, LedgerError.exit_code, BulkseedError.exit_code, 0, 3, 130}


def test_what_the_code_writes_is_up_to_date() -> None:
    """The reference of commands, the failure table and the schema are the code's own words."""
    assert updated(README) == README, "run: python tests/support/reference.py"


LOCAL_KMS = README.split("## The local KMS")[1].split("\n## ")[0]


def test_the_local_kms_answers_the_actions_it_claims() -> None:
    """The list of actions is the table of actions."""
    lists = re.search(r"^Secrets: (.*?)\. Keys: (.*?)\.$", LOCAL_KMS, re.DOTALL | re.MULTILINE)
    assert lists is not None
    assert set(re.findall(r"\w+", f"{lists[1]} {lists[2]}")) == set(ACTIONS)


def test_the_example_files_of_the_local_kms_are_read(tmp_path: Path) -> None:
    """Each JSON example is what the service takes, and each fault it names exists."""
    readers = {
        "faults": read_faults,
        "policies": lambda path: read_policies(path, "1000000000000001"),
        "rds": read_databases,
    }
    for option, read in readers.items():
        found = re.search(rf"^\| `--{option}` \| (.*) \| `(.*)` \|$", LOCAL_KMS, re.MULTILINE)
        assert found is not None
        (tmp_path / option).write_text(found[2], encoding="utf-8")
        read(tmp_path / option)
        if option == "faults":
            assert set(re.findall("`([\\w-]+)`", found[1])) == set(KINDS)


def recipe(name: str) -> str:
    """Return the text of a recipe."""
    found = re.search(rf"<!-- recipe: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def recipe_commands() -> list[list[str]]:
    """Return the commands that the recipes run, each parsed out of its own format."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    unit.read_string(recipe("systemd"))
    job = yaml.safe_load(recipe("kubernetes"))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    workflow = yaml.safe_load(recipe("github"))
    runs = [step["run"] for step in workflow["jobs"]["plan"]["steps"] if "run" in step]
    return [
        shlex.split(unit["Service"]["ExecStart"]),
        container["command"],
        *(shlex.split(run) for run in runs if run.startswith("bulkseed")),
    ]


@pytest.mark.parametrize("call", recipe_commands(), ids=" ".join)
def test_the_commands_of_the_recipes_run(call: list[str], tmp_path: Path) -> None:
    """Each recipe is well-formed, and its command does its work, here against the embedded local KMS."""
    write_manifest(tmp_path / "onboarding.jsonl", simple(3))
    program, *arguments = call
    assert Path(program).name == "bulkseed"
    if arguments[0] == "apply" and "--endpoint" not in arguments:
        arguments += ["--endpoint", "embedded"]
    done = bulkseed(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
