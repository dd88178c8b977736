"""Tables as spreadsheets and scripts write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import good_and_bad, read_text

from bulkseed.errors import ManifestError
from bulkseed.manifest import open_manifest
from bulkseed.model import SecretDefinition

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)


def _values(text: str | bytes, size: int = 65536) -> dict[str, str]:
    good, wrong = good_and_bad(read_text(text, "csv", size))
    assert wrong == []
    return {definition.name: definition.data.reveal() for definition in good}


@given(
    values=st.lists(CELLS, min_size=1, max_size=6),
    separator=st.sampled_from(",;\t"),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    size=st.integers(1, 200),
    named=st.booleans(),
    bom=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_cells_are_read_as_they_were_written(  # all ways of a spreadsheet at once
    values: list[str], separator: str, newline: str, size: int, *, named: bool, bom: bool
) -> None:
    """Whatever separates cells and ends rows, and also where lines break inside of cells (F5)."""
    written = io.StringIO(newline="")
    table = csv.writer(written, delimiter=separator, lineterminator=newline, quoting=csv.QUOTE_ALL)
    table.writerow(["SecretName", "SecretData"])
    table.writerows((f"a/{number}", value) for number, value in enumerate(values))
    text = f"sep={separator}{newline}" * named + written.getvalue()
    expected = {f"a/{number}": value for number, value in enumerate(values)}
    assert _values(text.encode("utf-8-sig" if bom else "utf-8"), size) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "SecretName,SecretData,Description\r\nxl/a,1,d\r\n,,\r\n,,\r\n": {"xl/a": "1"},
        "SecretName,SecretData,,\r\nxl/a,1,,\r\nxl/b,2,,\r\n": {"xl/a": "1", "xl/b": "2"},
        ",,\r\n\r\nSecretName,SecretData,\r\nxl/a,1\r\nxl/b,2,\r\n": {"xl/a": "1", "xl/b": "2"},
        'SecretName;SecretData\r\nxl/a;"1;2,3"\r\n': {"xl/a": "1;2,3"},
        "SecretName\tSecretData\r\nxl/a\t1,2\r\n": {"xl/a": "1,2"},
        "SEP=;\r\nSecretName;SecretData\r\nxl/a;1\r\n": {"xl/a": "1"},
        "SecretName,SecretData\rxl/a,1\rxl/b,2\r": {"xl/a": "1", "xl/b": "2"},
        'SecretName,SecretData\rxl/a,"1\n2"\r': {"xl/a": "1\n2"},
    }.items(),
)
def test_what_a_spreadsheet_adds_is_passed_over(text: str, expected: dict[str, str]) -> None:
    """Empty rows and columns, its own separator, a line that names it, and rows that end as on old Macs.

    (F5)
    """
    for size in (1, 65536):
        assert _values(text.encode("utf-8-sig"), size) == expected


def test_a_cell_without_a_column_is_told() -> None:
    """Only what is empty is passed over."""
    good, wrong = good_and_bad(read_text("SecretName,SecretData,\na,x,\nb,y,lost\nc,z,,lost\nd\n", "csv"))
    assert [definition.name for definition in good] == ["a"]
    assert [(line.origin.line, *line.reasons) for line in wrong] == [
        (3, "has a cell in a column that has no name in the header"),
        (4, "has 4 cells where the header has 3"),
        (5, "has 1 cells where the header has 3"),
    ]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_between_rows_makes_no_secret(tmp_path: Path, mark: str) -> None:
    """Of files that were joined, each header after the first is one invalid line, in tables of --each too.

    (B4)
    """
    header = "SecretName,SecretData"
    good, [wrong] = good_and_bad(read_text(f"{header}\na,1\n{mark}{header}\r\nb,2\n", "csv"))
    assert [definition.name for definition in good] == ["a", "b"]
    assert wrong.origin.line == 3
    assert "the header once more" in wrong.reasons[0]
    (tmp_path / "t.jsonl").write_text('{"SecretName": "{who}", "SecretData": "{what}"}\n')
    (tmp_path / "rows.csv").write_text(f"who;what\na;1\n{mark}who;what\nb;2\n")
    with open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv") as entries:
        good, [wrong] = good_and_bad(list(entries))
    assert [definition.name for definition in good] == ["a", "b"]
    assert wrong.origin == (str(tmp_path / "rows.csv"), 3)


def test_a_header_needs_its_parameters_in_no_order() -> None:
    """Columns are known by their names."""
    [entry] = read_text("Description;SecretData;SecretName\nd;x;a\n", "csv")
    assert isinstance(entry, SecretDefinition)
    assert (entry.name, entry.data.reveal(), entry.description) == ("a", "x", "d")


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("latin-1", ":1: is not valid UTF-8 "), ("utf-16", ": is UTF-16"), ("utf-16-le", ": is UTF-16")],
)
def test_a_table_in_another_encoding_is_told(tmp_path: Path, encoding: str, told: str) -> None:
    """As a spreadsheet on Windows saves it; an empty table is told as empty."""
    (tmp_path / "t.jsonl").write_text('{"SecretName": "{who}", "SecretData": "{wh\u00e4t}"}\n')
    rows = tmp_path / "rows.csv"
    for text, reason in (("who;wh\u00e4t\na;1\n", told), ("", ":1: is empty")):
        rows.write_bytes(text.encode(encoding) if text else b"")
        with pytest.raises(ManifestError) as wrong:  # noqa: SIM117
            with open_manifest(tmp_path / "t.jsonl", each=rows) as entries:
                list(entries)
        assert f"{rows}{reason}" in str(wrong.value)
