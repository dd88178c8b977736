"""Templates: every definition once for each row of a table."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import Dribble, Parameters, as_csv, as_parameters, good_and_bad, parameters

from bulkseed.errors import ManifestError, UsageError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.formats.lines import MAX_BYTES
from bulkseed.manifest.templates.expand import MAX_CHARACTERS, MAX_LINES
from bulkseed.model import ManifestEntry

CANARY = "CanaryNoOneMaySee"
TENANTS = "tenant,team\nacme,red\nglobex,blue\n"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write a CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def escaped(text: str) -> str:
    """Write a text so that a template means just that."""
    return text.replace("{", "{{").replace("}", "}}")


def filled(folder: Path, templates: Sequence[object], rows: str, **more: Any) -> list[ManifestEntry]:
    """Read templates over a table."""
    (folder / "t.jsonl").write_text("".join(json.dumps(t) + "\n" for t in templates), encoding="utf-8")
    (folder / "rows.csv").write_bytes(rows.encode())
    with open_manifest(folder / "t.jsonl", each=folder / "rows.csv", **more) as entries:
        found = list(entries)
        assert entries.count() == len(found)
        assert {entry.origin.manifest for entry in found} <= set(entries.paths)
    return found


def reasons(folder: Path, template: object, rows: str = TENANTS) -> list[str]:
    """Return what is wrong with a template, which is told once, at its line."""
    [wrong] = good_and_bad(filled(folder, [template], rows))[1]
    assert wrong.origin == (str(folder / "t.jsonl"), 1)
    return list(wrong.reasons)


@given(definitions=st.lists(parameters, min_size=1, max_size=4), in_table=st.integers(0, 2**13 - 1))
@settings(max_examples=100)
def test_what_a_template_and_its_table_say_comes_out(definitions: list[Parameters], in_table: int) -> None:
    """Whichever parameters are columns and which are written out, the definitions are the same."""
    for definition in definitions:
        columns = [key for n, key in enumerate(definition) if in_table >> n & 1]
        template = {k: f"{{{k}}}" if k in columns else escaped(v) for k, v in definition.items()}
        rows = table([["row", *columns], ["1", *(definition[key] for key in columns)]])
        with TemporaryDirectory() as folder:
            [entry] = filled(Path(folder), [template], rows)
        assert as_parameters(entry) == definition


cells = st.text("ab{}\"',é€😀 \n", min_size=1, max_size=8)


@given(
    parts=st.lists(st.sampled_from([0, 1, 2]) | cells, min_size=1, max_size=6),
    row=st.tuples(cells, cells, cells),
)
@settings(max_examples=200)
def test_columns_are_filled_wherever_a_text_is(parts: list[int | str], row: tuple[str, str, str]) -> None:
    """In a text, in an object and in a list; what a cell has in braces is not looked at again."""
    columns = ["a", "b b", "ü.1"]
    text = "".join(escaped(part) if isinstance(part, str) else f"{{{columns[part]}}}" for part in parts)
    expected = "".join(part if isinstance(part, str) else row[part] for part in parts)
    template = {"SecretName": "n", "SecretData": {"text": text, "list": [text, 1, None, {"deep": text}]}}
    with TemporaryDirectory() as folder:
        [entry] = filled(Path(folder), [template], table([columns, row]))
    assert json.loads(as_parameters(entry)["SecretData"]) == {
        "text": expected,
        "list": [expected, 1, None, {"deep": expected}],
    }


def test_every_row_has_every_template(tmp_path: Path) -> None:
    """Row by row, and each entry is named by the lines of both."""
    templates = [
        {"SecretName": "prod/{tenant}/db", "SecretDataFrom": {"generate": {}}, "Tags": {"team": "{team}"}},
        {"SecretName": "prod/{tenant}/api", "SecretData": {"user": "{tenant}"}, "Description": "{{x}}"},
    ]
    good, bad = good_and_bad(filled(tmp_path, templates, TENANTS))
    assert bad == []
    assert [entry.name for entry in good] == [
        "prod/acme/db", "prod/acme/api", "prod/globex/db", "prod/globex/api",
    ]  # fmt: skip
    assert [entry.origin for entry in good] == [
        (f"{tmp_path}/t.jsonl:{template}@{tmp_path}/rows.csv", row) for row in (2, 3) for template in (1, 2)
    ]
    assert [as_parameters(entry)["Tags"] for entry in good[::2]] == [
        '[{"TagKey":"team","TagValue":"red"}]', '[{"TagKey":"team","TagValue":"blue"}]',
    ]  # fmt: skip
    assert good[0].data != good[2].data, "a value is generated for each"
    assert good[1].description == "{x}"


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "yaml"])
def test_templates_and_tables_come_in_any_form(tmp_path: Path, kind: str) -> None:
    """Templates in every format, either of them compressed or through a pipe, values from files of a row."""
    (tmp_path / "acme.key").write_text("fake")
    (tmp_path / "globex.key").write_text("also fake")
    wish = {"SecretName": "{tenant}", "SecretDataFrom": {"file": "{tenant}.key"}}
    in_csv = {"SecretName": "{tenant}", "SecretDataFrom": '{{"file": "{tenant}.key"}}'}
    text = {
        "jsonl": json.dumps(wish),
        "json": json.dumps([wish]),
        "csv": as_csv([in_csv]),
        "yaml": yaml.safe_dump(wish),
    }[kind]
    manifest, rows = tmp_path / f"t.{kind}", tmp_path / "rows.csv.gz"
    manifest.write_text(text)
    rows.write_bytes(gzip.compress(TENANTS.encode()))
    with open_manifest(manifest, each=rows) as entries:
        good, bad = good_and_bad(list(entries))
    assert bad == []
    assert [entry.data.reveal() for entry in good] == ["fake", "also fake"]
    with open_manifest(manifest, each="-", stdin=Dribble(TENANTS.encode(), 5)) as entries:
        assert len(good_and_bad(list(entries))[0]) == 2
        assert entries.count() is None


WRONG = {
    "prod/{tenent}": "SecretName uses {tenent}, which is not a column of {table}",
    "prod/{}": "SecretName uses {}, which is not a column of {table}",
    "prod/{tenant!r}": "SecretName uses {tenant!r}, which is not a column of {table}",
    "prod/{tenant.x}": "SecretName uses {tenant.x}, which is not a column of {table}",
    "prod/{tenant": "SecretName has a single { or }: write {{ or }}, or give JSON as an object",
    "prod/}": "SecretName has a single { or }: write {{ or }}, or give JSON as an object",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_column_that_is_not_there_is_told_once(tmp_path: Path, text: str) -> None:
    """At the line of the template, before any row, and the other templates are filled."""
    told = WRONG[text].replace("{table}", f"{tmp_path}/rows.csv")
    assert reasons(tmp_path, {"SecretName": text, "SecretData": "x"}) == [told]
    other = {"SecretName": "{tenant}", "SecretData": "x"}
    good, _ = good_and_bad(filled(tmp_path, [{"SecretName": text, "SecretData": "x"}, other], TENANTS))
    assert len(good) == 2


def test_everything_that_is_wrong_with_a_template_is_told(tmp_path: Path) -> None:
    """All reasons at once; of what stands in a value nothing is said."""
    template = {
        "SecretName": "{a}{a}{b}",
        "SecretData": {"x": f"{{{CANARY}}}", f"{{{CANARY}}}": "x"},
        f"Other{CANARY}": 1,
        "Description": f"{CANARY}{{",
    }
    told = [reason.replace(f"{tmp_path}/", "") for reason in reasons(tmp_path, template)]
    assert told == [
        "SecretName uses {a}, which is not a column of rows.csv",
        "SecretName uses {b}, which is not a column of rows.csv",
        "SecretData has braces in a key, where no column can be",
        "SecretData uses something in braces, which is not a column of rows.csv",
        "key 3 is not a parameter",
        "Description has a single { or }: write {{ or }}, or give JSON as an object",
    ]
    assert reasons(tmp_path, [1]) == ["is not an object of parameters"]


def test_lines_that_are_no_templates_are_told_once(tmp_path: Path) -> None:
    """Bad JSON and JSON too deep are no matter of the rows."""
    (tmp_path / "t.jsonl").write_text('{"SecretName"\n{"SecretData": ' + "[" * 66 + "]" * 66 + "}\n")
    (tmp_path / "rows.csv").write_text(TENANTS)
    with open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv") as entries:
        good, bad = good_and_bad(list(entries))
    assert good == []
    assert [line.reasons for line in bad] == [
        ("is not valid JSON (character 14)",),
        ("SecretData is nested too deeply",),
    ]


def test_an_empty_cell_makes_no_name_and_no_value(tmp_path: Path) -> None:
    """Where it can only be an accident it is told; a description may well be empty."""
    templates = [
        {"SecretName": "a/{tenant}", "SecretData": "{password}", "Description": "{team}"},
        {"SecretName": "b/{row}", "SecretDataFrom": {"env": "{tenant}"}},
    ]
    rows = "row,tenant,password,team\n1,,x,red\n2,acme,,red\n3,PATH,x,\n"
    good, bad = good_and_bad(filled(tmp_path, templates, rows))
    assert [(entry.name, entry.description) for entry in good] == [("a/PATH", None), ("b/3", None)]
    assert [line.reasons for line in bad] == [
        ("SecretName uses {tenant}, which is empty here",),
        ("SecretDataFrom uses {tenant}, which is empty here",),
        ("SecretData uses {password}, which is empty here",),
        ("SecretDataFrom env names a variable that is not set",),
    ]


def test_a_bad_row_is_told_and_leaves_the_others(tmp_path: Path) -> None:
    """A row with too many cells or broken quotes is one invalid line of the table."""
    template = {"SecretName": "{tenant}", "SecretData": "x"}
    rows = f'tenant,team\nacme,red\nglobex,blue,{CANARY}\n"x"y,{CANARY}\nhooli,green\n'
    good, bad = good_and_bad(filled(tmp_path, [template, template], rows))
    assert [entry.name for entry in good] == ["acme", "acme", "hooli", "hooli"]
    assert [(line.origin, line.reasons) for line in bad] == [
        ((f"{tmp_path}/rows.csv", 3), ("has 3 cells where the header has 2",)),
        (
            (f"{tmp_path}/rows.csv", 4),
            ("is not valid CSV as far as line 4: a quote is not closed or not doubled",),
        ),
    ]


def test_a_table_that_ends_too_early_is_told(tmp_path: Path) -> None:
    """What came before the damage stands."""
    (tmp_path / "t.jsonl").write_text('{"SecretName": "{n}", "SecretData": "x"}')
    numbers = gzip.compress(("n\n" + "".join(f"{n}\n" for n in range(100_000))).encode())
    (tmp_path / "rows.csv.gz").write_bytes(numbers[: len(numbers) // 2])
    with open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv.gz") as entries:
        good, [wrong] = good_and_bad(list(entries))
        assert entries.count() == len(good) + 1
    assert len(good) > 1000
    assert wrong.reasons == ("the gzip data ends too early; nothing from here on could be read",)


@pytest.mark.parametrize("header", ["", "\n", "a,b,a", "a,{b}", '"a', "\xff"])
def test_a_table_without_a_header_is_an_error(tmp_path: Path, header: str) -> None:
    """Without columns there is nothing to fill."""
    (tmp_path / "t.jsonl").write_text("{}")
    (tmp_path / "rows.csv").write_bytes(header.encode("latin-1") + b"\n1,2,3\n" * bool(header.strip()))
    with pytest.raises(ManifestError, match=r"rows\.csv:\d"):
        open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv")
    (tmp_path / "rows.csv.gz").write_bytes(b"no gzip")
    for missing in ("rows.csv.gz", "nowhere.csv", "."):
        with pytest.raises(ManifestError):
            open_manifest(tmp_path / "t.jsonl", each=tmp_path / missing)


def test_templates_are_few(tmp_path: Path) -> None:
    """A manifest that is swapped with its table, or far too long, is refused before memory fills."""
    many = [{"SecretName": f"n{number}", "SecretData": "x"} for number in range(MAX_LINES + 1)]
    with pytest.raises(UsageError, match="on at most 1,000 lines"):
        filled(tmp_path, many, TENANTS)
    assert len(filled(tmp_path, many[:MAX_LINES], TENANTS)) == 2 * MAX_LINES
    large = {"SecretName": "n", "SecretData": "x" * (MAX_BYTES - 100)}
    with pytest.raises(UsageError, match="have more than 16,777,216 characters"):
        filled(tmp_path, [large] * (MAX_CHARACTERS // MAX_BYTES + 1), TENANTS)
    with pytest.raises(UsageError, match="only once"):
        open_manifest("-", each="-")


def test_memory_stays_flat_however_long_the_table(tmp_path: Path) -> None:
    """Rows are read one by one."""
    (tmp_path / "t.jsonl").write_text('{"SecretName": "{n}", "SecretData": "{v}"}')

    def peak(rows: int) -> int:
        with (tmp_path / "rows.csv").open("w") as text:
            text.write("n,v\n")
            text.writelines(f"{n},{'x' * 200}\n" for n in range(rows))
        with open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv") as entries:
            tracemalloc.start()
            assert sum(1 for _ in entries) == rows
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

    assert peak(12_000) < peak(2_000) * 1.2 + 64 * sys.getsizeof("x" * 200)


@given(
    wounds=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 9), st.sampled_from([*'{}",:\n[]\\', ""])),
        min_size=1,
        max_size=3,
    ),
    in_table=st.booleans(),
)
@settings(max_examples=200)
def test_no_damage_makes_a_value_readable(wounds: list[tuple[int, int, str]], in_table: bool) -> None:
    """Whatever is cut out of a template or its table, nothing but known errors, and no value in any word."""
    template = json.dumps(
        {"SecretName": "{n}", "SecretData": {"p": f"{CANARY}", "q": "{v}"}, "Tags": {"t": "{n}"}}
    )
    rows = f"n,v\n1,{CANARY}\n2,x{CANARY}\n"
    for place, length, new in wounds:
        if in_table:
            place = place % (len(rows) + 1)
            rows = rows[:place] + new + rows[place + length :]
        else:
            place = place % (len(template) + 1)
            template = template[:place] + new + template[place + length :]
    with TemporaryDirectory() as folder:
        Path(folder, "t.jsonl").write_text(template)
        Path(folder, "rows.csv").write_text(rows)
        words = ""
        try:
            with open_manifest(Path(folder, "t.jsonl"), each=Path(folder, "rows.csv")) as entries:
                words = repr(good_and_bad(list(entries))[1])
        except ManifestError as error:
            words = str(error)
    assert CANARY not in words


@pytest.mark.parametrize("cell", ["../outside", "/etc/x", "a/b", "a\\b", "..", "."])
def test_a_cell_chooses_no_folder(tmp_path: Path, cell: str) -> None:
    """A table fills in a part of a file's name; which folder is read, only the template says (H6)."""
    (tmp_path / "outside").write_text("fake")
    templates = [{"SecretName": "a", "SecretDataFrom": {"file": "{tenant}"}}]
    [entry] = good_and_bad(filled(tmp_path, templates, f"tenant\n{cell}\n"))[1]
    assert "cells choose no folder" in entry.reasons[0]


def test_a_template_keeps_its_numbers(tmp_path: Path) -> None:
    """Fractions, exponents and long ones stand in each definition as they stand in the template (B2)."""
    value = '{"a":1.30,"b":1e-400,"c":1234567890123456789012.5}'
    (tmp_path / "t.jsonl").write_text(f'{{"SecretName":"{{n}}","SecretData":{value}}}\n')
    (tmp_path / "rows.csv").write_text("n\none\n")
    with open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv") as entries:
        good, wrong = good_and_bad(list(entries))
    assert wrong == []
    assert [definition.data.reveal() for definition in good] == [value]
