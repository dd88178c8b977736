"""The folder of a run over many targets."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bulkseed.errors import LedgerBusyError, LedgerError, LedgerTargetError
from bulkseed.targets.run_folder import is_run_folder, make_run_folder, open_run_folder, run_folder_for
from bulkseed.targets.spec import TargetSpec

A, B = TargetSpec("a", "cn-hangzhou"), TargetSpec("b", "cn-beijing")


def test_a_run_folder_is_found_again(tmp_path: Path) -> None:
    """What was made can be opened, and nothing in it is for others to read."""
    made = make_run_folder(tmp_path / "x.run", [A, B])
    assert is_run_folder(made.path)
    assert open_run_folder(made.path) == made
    assert made.ledger("a") == made.path / "a.ledger.db"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((made.path / "run.json").stat().st_mode) == 0o600


def test_targets_may_be_added_and_none_may_go(tmp_path: Path) -> None:
    """A ledger that nobody looks at any more would be in nobody's sum."""
    make_run_folder(tmp_path / "x.run", [A])
    assert make_run_folder(tmp_path / "x.run", [B, A]).specs == (B, A)
    with pytest.raises(LedgerTargetError, match="has the target b"):
        make_run_folder(tmp_path / "x.run", [A])


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder with something else in it, a file, and a run of a later version are refused."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(LedgerError, match="not a run folder"):
        make_run_folder(tmp_path / "other", [A])
    with pytest.raises(LedgerError, match="not a run folder"):
        open_run_folder(tmp_path / "other")
    folder = make_run_folder(tmp_path / "x.run", [A])
    (folder.path / "run.json").write_text('{"version": 2, "targets": []}')
    with pytest.raises(LedgerError, match="of version 2"):
        open_run_folder(folder.path)


def test_one_process_coordinates_a_run(tmp_path: Path) -> None:
    """A second one is refused as long as the first is at work."""
    folder = make_run_folder(tmp_path / "x.run", [A])
    with folder.locked(), pytest.raises(LedgerBusyError, match="another process"), folder.locked():
        pass
    with folder.locked(), pytest.raises(LedgerBusyError, match="another process"):
        make_run_folder(folder.path, [A, B])
    assert open_run_folder(folder.path).specs == (A,)
    with folder.locked():
        pass


def test_unrouted_lines_are_those_of_the_last_pass(tmp_path: Path) -> None:
    """The file is replaced as a whole, and has no values."""
    folder = make_run_folder(tmp_path / "x.run", [A])
    assert folder.count_unrouted() == 0
    folder.write_unrouted([("m.jsonl", 3, "why"), ("m.jsonl", 4, "why")])
    assert folder.count_unrouted() == 2
    folder.write_unrouted([("m.jsonl", 3, "why")])
    assert folder.unrouted.read_text() == '{"manifest":"m.jsonl","line":3,"reason":"why"}\n'


@pytest.mark.parametrize(
    ("manifest", "folder"),
    [
        ("prod.jsonl", "prod.run"),
        ("x/prod.jsonl.gz", "prod.run"),
        ("a.b.yaml", "a.b.run"),
        ("v.toml", "v.run"),
    ],
)
def test_a_run_is_named_after_its_manifest(manifest: str, folder: str) -> None:
    """In the current folder, as ledgers are."""
    assert run_folder_for(manifest) == Path(folder)


def test_what_may_not_open_so_many_files_says_so_before_the_run() -> None:
    """A process that may have few files is told how many so many targets need; else its limit is raised."""
    code = (
        "import resource, sys\n"
        "from bulkseed.errors import UsageError\n"
        "from bulkseed.targets.apply import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 400))\n"
        "raise_file_limit(12)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "try:\n"
        "    raise_file_limit(100)\n"
        "except UsageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    raised, told = done.stdout.splitlines()
    assert int(raised) == 64 + 24 * 12
    assert told.startswith(
        "100 targets need 2,464 open files, and this process may have 400: raise the limit"
    )
