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


def test_what_to_add_names_files_and_tables_that_there_are() -> None:
    """Every file, folder and table of the rows on the architecture page is in the code."""
    code = "".join(path.read_text() for path in (ROOT / "bulkseed").rglob("*.py"))
    code += "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    rows = re.search(r"^\| to add .*?(?=\n\n)", TEXTS["architecture"], re.DOTALL | re.MULTILINE)
    assert rows is not None
    named = set(re.findall(r"`([^`]+)`", rows[0]))
    paths = {name for name in named if "/" in name}
    for path in paths:
        place = Path(path).parent if "<" in path else Path(path)
        assert (ROOT / place).exists() or (ROOT / "bulkseed" / place).exists(), path
    assert len(paths) > 20
    rooms = {path.name for path in (ROOT / "bulkseed").iterdir()}
    for name in named - paths - rooms:
        assert re.search(rf"^(class {name}\b|{name}\b.*=)", code, re.MULTILINE), name


def test_every_page_is_found_from_the_readme() -> None:
    """By links, from page to page; a page that nothing leads to is read by nobody."""
    found, new = set[str](), {"README"}
    while new:
        found |= new
        links = {link for page in new for link in re.findall(r"\]\((?:\S*/)?([\w-]+)\.md\b", TEXTS[page])}
        new = links & TEXTS.keys() - found
    assert found == TEXTS.keys()


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
