"""``--only``: what a file of rejects names, found again after a correction or told as lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkseed.errors import ManifestError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.selection import Selection, read_selection
from bulkseed.model import InvalidLine


def _selected(
    folder: Path, rejects: list[dict[str, object]], names: str, known: str = ""
) -> list[str | None]:
    path = folder / "some.jsonl"
    path.write_text(
        "# a line\n" + "".join(f'{{"SecretName": "{name}", "SecretData": "x"}}\n' for name in names)
    )
    (folder / "rejects.jsonl").write_text("\n".join(map(json.dumps, rejects)))
    with open_manifest(path) as entries:
        selection = read_selection(folder / "rejects.jsonl")
        rows = {name: number for number, name in enumerate(known)}
        return [entry.name for entry in selection.of(entries, rows.get)]


def _invalid(line: int, name: str | None = None) -> dict[str, object]:
    return {"secret_name": name, "outcome": "invalid", "manifest": "some.jsonl", "line": line}


def test_a_name_is_found_wherever_it_is_now(tmp_path: Path) -> None:
    """Lines that moved make no other definition of it (A14)."""
    path = str(tmp_path / "some.jsonl")
    assert _selected(tmp_path, [{"secret_name": "c", "manifest": path, "line": 2}], "abc") == ["c"]


@pytest.mark.parametrize("reject", [_invalid(1), _invalid(3), _invalid(9), _invalid(3, "a")])
def test_an_invalid_line_is_what_the_ledger_does_not_know(tmp_path: Path, reject: dict[str, object]) -> None:
    """Whatever line and name it had: a corrected file has others. The invalid ones are taken, too (A14)."""
    assert _selected(tmp_path, [reject, {"secret_name": "b"}], "a%bcd", "abc") == [None, "b", "d"]


def test_a_double_of_what_is_settled_is_told(tmp_path: Path) -> None:
    """A corrected line may have got the name of another, which the run does not take and so does not see."""
    path = tmp_path / "some.jsonl"
    path.write_text("".join(f'{{"SecretName": "{name}", "SecretData": "x"}}\n' for name in "abad"))
    (tmp_path / "rejects.jsonl").write_text(json.dumps(_invalid(3)))
    with open_manifest(path) as entries:
        found = list(read_selection(tmp_path / "rejects.jsonl").of(entries, {"a": 1, "b": 2}.get))
    assert [(entry.name, isinstance(entry, InvalidLine)) for entry in found] == [("a", True), ("d", False)]
    assert found[0].origin.line == 3


def test_what_is_not_there_any_more_is_an_error(tmp_path: Path) -> None:
    """A name that was changed is not passed over in silence (A14)."""
    named: dict[str, object] = {"secret_name": "a"}
    gone: dict[str, object] = {"secret_name": "gone"}
    for rejects in ([named, gone], [_invalid(1), gone]):
        with pytest.raises(ManifestError, match=r"rejects\.jsonl:2: no gone.*without --only"):
            _selected(tmp_path, rejects, "abc", "abc")


def test_a_line_that_says_neither_name_nor_place_is_refused(tmp_path: Path) -> None:
    """It is none that `ledger rejects` has written."""
    with pytest.raises(ManifestError, match=r"rejects\.jsonl:1: has no secret_name"):
        _selected(tmp_path, [{"line": 1}], "abc")


def test_another_process_takes_names_only(tmp_path: Path) -> None:
    """A worker of a cluster does not see what the ledger knows."""
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text('{"secret_name": "c"}\n{"secret_name": "a"}\n')
    selection = Selection.from_json(json.loads(json.dumps(read_selection(rejects).to_json())))
    path = tmp_path / "some.jsonl"
    path.write_text("".join(f'{{"SecretName": "{name}", "SecretData": "x"}}\n' for name in "abc"))
    with open_manifest(path) as entries:
        assert [entry.name for entry in selection.of(entries, None)] == ["a", "c"]
    rejects.write_text(json.dumps(_invalid(3)))
    with pytest.raises(ManifestError, match=r"rejects\.jsonl:1: an invalid line is not found"):
        read_selection(rejects).to_json()


def test_a_file_without_a_line_break_is_given_up_early() -> None:
    """It is read in pieces of bounded size, so that anything can be named by mistake (F11)."""
    with pytest.raises(ManifestError, match="/dev/zero:1: not a line"):
        read_selection("/dev/zero")


def test_how_many_are_taken_is_foreseen_with_corrected_lines(tmp_path: Path) -> None:
    """A bar needs a total before the manifest is read: names, and a corrected line for each invalid one."""
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text(
        '{"secret_name": "a", "outcome": "rejected"}\n'
        '{"manifest": "m.jsonl", "line": 2, "outcome": "invalid"}\n'
    )
    assert (read_selection(rejects).likely, read_selection(rejects).size) == (2, None)
