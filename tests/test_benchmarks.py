"""The comparison is fair: every client sends the same secrets, with the same parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed
from support.stub_kms import StubKms

from benchmarks import common
from benchmarks.common import write_manifest
from benchmarks.mutants_kept import Kept, kept_results, note, write
from benchmarks.mutations import Mutant
from benchmarks.peers import PEERS, definition

ROOT = Path(__file__).parents[1]
COUNT = 3
RPC = {"Action", "Version", "Format", "AccessKeyId", "Timestamp"}
"""What signature 1.0 adds, besides its ``Signature…``."""


def create(client: str, manifest: Path, endpoint: str) -> None:
    """Let a client create the secrets of a manifest."""
    if client == "bulkseed":
        done = bulkseed("apply", manifest, "--endpoint", endpoint, cwd=manifest.parent)
        assert done.returncode == 0, done.stderr
        return
    peer = [sys.executable, "-m", "benchmarks.peers", client, endpoint, str(manifest), str(COUNT)]
    subprocess.run(peer, cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("client", ["bulkseed", *PEERS])
def test_every_client_sends_the_same(client: str, tmp_path: Path) -> None:
    """What arrives is what the manifest says: every secret, every parameter, nothing else."""
    manifest = write_manifest(tmp_path / "m.jsonl", COUNT)
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        create(client, manifest, stub.endpoint)
    assert stub.problems == []
    for sent in stub.created.values():
        del sent["CreateTime"]  # the stub's
        for key in [key for key in sent if key in RPC or key.startswith("Signature")]:
            del sent[key]
    assert stub.created == {sent["SecretName"]: sent for sent in map(definition, range(COUNT))}


def test_a_result_names_its_commit_and_how_python_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure can be measured again: both files name the commit, the machine's line the build of Python."""
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "COMMIT", "0123abc")
    common.publish("sample", "A sample", "a table", {})
    told = json.loads((tmp_path / "results" / "sample.json").read_text())
    text = (tmp_path / "results" / "sample.md").read_text()
    assert told["commit"] == "0123abc"
    assert "commit 0123abc" in text
    assert f"({common.python_build()})" in text


def test_a_tree_without_a_repository_is_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is "unknown" outside a repository."""
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert common.commit() == "unknown"


def test_results_of_other_benchmarks_leave_a_tree_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only code that was changed makes the commit that is named the wrong one."""
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    monkeypatch.setattr(common, "RESULTS", results)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "a"], check=True)
    (results / "a.json").touch()
    (tmp_path / "README.md").touch()
    assert "dirty" not in common.commit()
    (tmp_path / "code.py").touch()
    assert common.commit().endswith("-dirty")


def test_results_of_mutants_are_kept_module_by_module(tmp_path: Path) -> None:
    """What survives is tried again alone, and what changes nothing is counted apart."""
    one, two, three = (Mutant("a.py", f"a.py: {key}", 1, "") for key in ("x", "y", "z"))
    other = Mutant("b.py", "b.py: x", 1, "")
    kept: dict[str, Kept] = {}
    note(kept, [one, two, three, other], [one, two], again=False, commit="c1")
    note(kept, [one], [], again=True, commit="c2")
    assert kept["a.py"] == {"tried": 3, "survivors": ["a.py: y"], "commit": "c2"}
    write(kept, [one, two, three, other], {"a.py: y": "the same"}, tmp_path)
    assert kept_results(tmp_path) == kept
    page = (tmp_path / "mutants.md").read_text()
    assert "| `a.py` | 3 | 1 | 2 | 2 | 100.0% | c2 |" in page
    assert "| all | 4 | 1 | 3 | 3 | 100.0% |  |" in page
    assert "- `a.py: y`: the same" in page
