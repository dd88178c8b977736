"""What a contributor finds around the code agrees with the code."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import yaml
from support.pages import TEXTS

import bulkseed

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_matrix_is_what_the_classifiers_promise() -> None:
    """Each Python version that the package names is tried."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_changelog_begins_with_this_version() -> None:
    """No version goes out without a word on what changed."""
    assert re.findall(r"^## (\S+)", TEXTS["changelog"], re.MULTILINE)[0] == bulkseed.__version__


def test_the_check_of_one_part_says_how_it_is_called() -> None:
    """A part that there is not is a usage error, before anything is installed."""
    done = subprocess.run([ROOT / ".ci" / "check", "all"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "lint | types | tests" in done.stderr


def test_the_hooks_call_parts_of_the_check() -> None:
    """Before a commit the same is checked as in CI."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [".ci/check lint", ".ci/check types"]


def test_contributing_names_tables_that_there_are() -> None:
    """Every table to add a row to is in the code."""
    code = "".join(path.read_text() for path in (ROOT / "bulkseed").rglob("*.py"))
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    tables = re.findall(r"`([A-Z]{4,})`", text)
    assert tables
    assert all(re.search(rf"^{table}\b.*=", code, re.MULTILINE) for table in tables), tables


def test_every_page_begins_with_a_title_and_its_tables_are_whole() -> None:
    """The title is short enough for the list of pages; a table has a head, and as many cells in each row."""
    for page, text in TEXTS.items():
        assert re.match(r"# .{2,72}\n", text), page
        for table in re.findall(
            r"(?:^\|.*\n)+", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
        ):
            rows = [re.sub(r"\\\||`[^`]*`", "", row).count("|") for row in table.splitlines()]
            assert len(set(rows)) == 1, (page, table)
            assert re.fullmatch(r"\|[-| :]+\|", table.splitlines()[1]), (page, table)


def test_no_test_sleeps() -> None:
    """What a test waits for has a name: a line that a process says, an event, a reply."""
    sleeping = "time." + "sleep("
    tests = (ROOT / "tests").rglob("*.py")
    assert [path.name for path in tests if sleeping in path.read_text(encoding="utf-8")] == []
