"""``--only``: what a file of rejects names, found again after a correction or told as lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkseed.errors import ManifestError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.selection import read_selection


def _selected(folder: Path, rejects: list[dict[str, object]], names: str) -> list[str | None]:
    path = folder / "some.jsonl"
    path.write_text(
        "# a line\n" + "".join(f'{{"SecretName": "{name}", "SecretData": "x"}}\n' for name in names)
    )
    (folder / "rejects.jsonl").write_text("\n".join(map(json.dumps, rejects)))
    with open_manifest(path) as entries:
        return [entry.name for entry in read_selection(folder / "rejects.jsonl").of(entries)]


def test_a_name_is_found_wherever_it_is_now(tmp_path: Path) -> None:
    """Lines that moved make no other definition of it (A14)."""
    path = str(tmp_path / "some.jsonl")
    assert _selected(tmp_path, [{"secret_name": "c", "manifest": path, "line": 2}], "abc") == ["c"]


def test_a_path_may_be_spelled_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are those of the files, not of their names in one call (A14)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.jsonl").symlink_to("some.jsonl")
    for spelled in ("some.jsonl", "./some.jsonl", f"../{tmp_path.name}/some.jsonl", "link.jsonl"):
        assert _selected(tmp_path, [{"secret_name": None, "manifest": spelled, "line": 3}], "abc") == ["b"]


@pytest.mark.parametrize(
    ("reject", "told"),
    [({"secret_name": "gone"}, "no gone"), ({"line": 1}, "nothing is at"), ({"line": 9}, "nothing is at")],
)
def test_what_is_not_there_any_more_is_an_error(tmp_path: Path, reject: dict[str, object], told: str) -> None:
    """A name that was changed, or a line that is none now, is not passed over in silence (A14)."""
    reject.setdefault("manifest", str(tmp_path / "some.jsonl"))
    with pytest.raises(ManifestError, match=rf"rejects\.jsonl:2: {told}.*without --only"):
        _selected(tmp_path, [{"secret_name": "a"}, reject], "abc")


def test_a_file_without_a_line_break_is_given_up_early() -> None:
    """It is read in pieces of bounded size, so that anything can be named by mistake (F11)."""
    with pytest.raises(ManifestError, match="/dev/zero:1: not a line"):
        read_selection("/dev/zero")
