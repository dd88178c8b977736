"""``bulkseed manual``: the pages, as they ship."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from support.command import BULKSEED, bulkseed, environment
from support.pages import MANUAL, PAGES

NAMES = sorted(PAGES.keys() - {"README"})


def test_the_list_names_every_page_with_its_title(tmp_path: Path) -> None:
    """One line a page, with and without --list."""
    listed = bulkseed("manual", "--list", cwd=tmp_path)
    assert listed.returncode == 0
    assert bulkseed("manual", cwd=tmp_path).stdout == listed.stdout
    lines = [re.split(r"  +", line, maxsplit=1) for line in listed.stdout.splitlines()]
    assert [name for name, _ in lines] == NAMES
    assert all((MANUAL / f"{name}.md").read_text().startswith(f"# {title}\n") for name, title in lines)


def test_a_page_goes_into_a_pipe_as_it_is_written(tmp_path: Path) -> None:
    """It can be searched and kept."""
    shown = bulkseed("manual", "failures", cwd=tmp_path)
    page = (MANUAL / "failures.md").read_text()
    assert (shown.returncode, shown.stdout) == (0, re.sub("<!-- .* -->\n", "", page))
    first_hour = bulkseed("manual", "first-hour", cwd=tmp_path).stdout
    assert "```sh\nbulkseed plan mine.jsonl" in first_hour
    assert "<!--" not in first_hour  # marks for the tests are no text of the page
    assert bulkseed("manual", "failures.md", cwd=tmp_path).stdout == shown.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_set_at_a_terminal(name: str, tmp_path: Path) -> None:
    """With a pager, within 80 columns, and without the marks that are for the tests."""
    ours, theirs = pty.openpty()
    env = environment(TERM="xterm-256color", COLUMNS="80", PAGER="cat")
    call = [str(BULKSEED), "manual", name]
    with subprocess.Popen(call, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        parts = []
        while part := _read(ours):
            parts.append(part)
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode())
    assert "<!--" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("…") <= (MANUAL / f"{name}.md").read_text().count("…"), "nothing is cut off"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the command has ended
        return b""


def test_a_word_leads_to_the_headings_that_tell_of_it(tmp_path: Path) -> None:
    """First those that have it themselves; a word that is nowhere is said to be nowhere."""
    found = bulkseed("manual", "--search", "Rotate", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert re.match(r"values +Rotate passwords\n", found.stdout)
    told = bulkseed("manual", "--search", "STS", cwd=tmp_path).stdout
    assert "credentials" in told
    assert "outcomes" not in told, "lists, exists and hosts are other words"
    assert bulkseed("manual", "--search", "ersionid", cwd=tmp_path).returncode == 0, (
        "a part is better than nothing"
    )
    nowhere = bulkseed("manual", "--search", "zzz", cwd=tmp_path)
    assert (nowhere.returncode, nowhere.stdout) == (1, "")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("migrat", "did you mean migrate"),
        ("zzz", "bulkseed manual --list"),
        ("rotate", "the word is on: values"),
    ],
)
def test_an_unknown_page_is_one_message_with_what_to_do(asked: str, hint: str, tmp_path: Path) -> None:
    """Names that are near are named, else the way to all of them."""
    done = bulkseed("manual", asked, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr
    assert done.stderr.count("\n") == 1
