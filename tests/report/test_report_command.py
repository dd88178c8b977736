"""``bulkseed report``: where the page is put, who may read it, and what cannot be done."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from support.command import BULKSEED, bulkseed, environment, simple, start, write_manifest
from support.ledgers import new_ledger, whole_run
from support.reports import eventful


def test_the_command_writes_the_page_and_prints_where(tmp_path: Path) -> None:
    """By default beside where it is called, else where -o says; in place of an older one."""
    path = eventful(tmp_path)
    done = bulkseed("report", path, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "prod.report.html\n", "")
    written = tmp_path / "prod.report.html"
    other = tmp_path / "other.html"
    for _ in range(2):
        assert bulkseed("report", path, "-o", other, cwd=tmp_path).returncode == 0
    assert other.read_bytes() == written.read_bytes()
    assert {child.name for child in tmp_path.iterdir() if "html" in child.name} == {written.name, other.name}


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_owner_alone_may_read_the_page(tmp_path: Path, umask: int) -> None:
    """Whatever the umask: it has all names (C3)."""
    path = eventful(tmp_path)
    subprocess.run([BULKSEED, "report", path], cwd=tmp_path, env=environment(), check=True, umask=umask)
    assert (tmp_path / "prod.report.html").stat().st_mode & 0o777 == 0o600


def test_what_is_no_page_of_ours_is_not_replaced(tmp_path: Path) -> None:
    """A manifest stays, unless --force is given; a link stays a link, and so does what it points to (C3)."""
    path = eventful(tmp_path)
    manifest = write_manifest(tmp_path / "m.jsonl", simple(2))
    before = manifest.read_bytes()
    done = bulkseed("report", path, "-o", manifest, cwd=tmp_path)
    assert (done.returncode, manifest.read_bytes()) == (2, before)
    assert "no page of bulkseed" in done.stderr
    link = tmp_path / "link.html"
    link.symlink_to(manifest)
    done = bulkseed("report", path, "-o", link, "--force", cwd=tmp_path)
    assert (done.returncode, link.is_symlink(), manifest.read_bytes()) == (2, True, before)
    assert bulkseed("report", path, "-o", manifest, "--force", cwd=tmp_path).returncode == 0
    assert manifest.read_text().startswith("<!DOCTYPE html>")


def test_a_page_goes_into_a_pipe_or_a_device(tmp_path: Path) -> None:
    """They are written into, and stay what they are (C3)."""
    path = eventful(tmp_path)
    assert bulkseed("report", path, "-o", "/dev/null", cwd=tmp_path).returncode == 0
    assert Path("/dev/null").is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start("report", path, "-o", pipe, cwd=tmp_path)
    assert pipe.read_text().startswith("<!DOCTYPE html>")
    process.communicate()
    assert process.returncode == 0
    assert pipe.is_fifo()


def test_no_value_reaches_the_page(tmp_path: Path) -> None:
    """Values are in no form in the page of a run with good and bad lines."""
    values = [f"canary/{i}+value=" for i in range(20)]
    lines = [{"SecretName": f"app/{i}", "SecretData": value} for i, value in enumerate(values)]
    lines[3]["SecretName"] = "not a good name"
    lines[5]["SecretName"] = "app/4"
    manifest = write_manifest(
        tmp_path / "m.jsonl", [*lines, '{"SecretName": "app/x", "SecretData": "canary/9']
    )
    bulkseed("apply", manifest, "--endpoint", "embedded", "--qps", 0, cwd=tmp_path)
    assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
    page = (tmp_path / "m.report.html").read_text()
    assert "app/4" in page
    for value in [*values, "canary"]:
        for form in (value, urllib.parse.quote(value, safe=""), base64.b64encode(value.encode()).decode()):
            assert form not in page


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """The ledger is never written over; a folder that is not there or a ledger that is none is an error."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, [])
    before = ledger.path.read_bytes()
    same = bulkseed("report", ledger.path, "-o", ledger.path, cwd=tmp_path)
    assert (same.returncode, ledger.path.read_bytes()) == (2, before)
    nowhere = bulkseed("report", ledger.path, "-o", "not/there.html", cwd=tmp_path)
    assert (nowhere.returncode, nowhere.stderr) == (
        2,
        "Error: cannot write not/there.html: No such file or directory\n",
    )
    assert bulkseed("report", "missing.db", cwd=tmp_path).returncode == 4
    write_manifest(tmp_path / "m.jsonl", simple(2))
    assert bulkseed("report", "m.jsonl", cwd=tmp_path).returncode == 4


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path, package: str) -> None:
    """One line and exit code 2."""
    code = f"import sys; sys.modules[{package!r}] = None; import bulkseed.__main__ as m; sys.exit(m.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "x.db"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install '.[report]'" in done.stderr
    assert done.stderr.count("\n") == 1
