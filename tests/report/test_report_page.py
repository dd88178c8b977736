"""The page: well-formed, self-contained, deterministic, safe with any name, and written by the command."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.command import bulkseed
from support.ledgers import START, definition, new_ledger, whole_run
from support.reports import EVENTFUL, HOSTILE, eventful, pending_run

from bulkseed.ledger import AttemptRecord, Settlement, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Outcome, QuotaGroup
from bulkseed.report.attempts import Pace
from bulkseed.report.numbers import Check, read_numbers
from bulkseed.report.page import fullest_pace, render


def page_of(ledger: Path) -> str:
    """Return the page of a ledger as the command makes it."""
    with read_ledger(ledger) as reader:
        checks = [Check(found.name, found.holds, found.detail) for found in audit(reader)]
        return render(read_numbers(reader, ledger.name, checks), "1.2.3")


def parse(page: str) -> ET.Element:
    """Parse a page, which is well-formed XML too."""
    return ET.fromstring(page)  # noqa: S314  # our own page


def text_of(element: ET.Element) -> str:
    """Return an element's text as it is read, with single spaces."""
    return " ".join("".join(element.itertext()).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a ledger with everything in it."""
    return page_of(eventful(tmp_path_factory.mktemp("eventful")))


@pytest.fixture(scope="module")
def root(page: str) -> ET.Element:
    """The page, parsed."""
    return parse(page)


def test_the_page_needs_nothing_else(page: str, root: ET.Element) -> None:
    """No script, no event handler, no resource, no address but anchors within the page."""
    tags = Counter(element.tag for element in root.iter())
    assert not {"script", "link", "img", "iframe", "object", "embed", "image", "metadata"} & set(tags)
    assert tags["style"] == 1, "a plot's own style sheet would reach the whole page"
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on"), name
            assert name not in {"src", "srcset", "data", "poster", "background", "action"}
            assert name != "href" or value.startswith("#")
            assert not re.search(r"url\((?!#)", value)
    styles = "".join(text_of(style) for style in root.iter("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    assert "default-src 'none'" in page


def test_ids_are_unique_and_every_reference_finds_one(root: ET.Element) -> None:
    """Anchors, labels and the parts of plots point to what is there, once."""
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert set(ids.values()) == {1}
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "href" or "url(#" in value:
                assert re.sub(r"url\((.*)\)", r"\1", value).removeprefix("#") in ids
            if name == "aria-labelledby":
                assert set(value.split()) <= set(ids)


def test_the_page_can_be_read_without_seeing_it(root: ET.Element) -> None:
    """Headings descend one by one, tables have captions and scopes, plots words; first comes a skip link."""
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in root.iter("table"):
        assert text_of(table.find("caption"))  # type: ignore[arg-type]  # None has no text and fails too
        assert all(cell.get("scope") in {"row", "col"} for cell in table.iter("th"))
        columns = len(table.findall("thead/tr/th"))
        assert {len(row) for row in table.findall("tbody/tr")} <= {columns}
    plots = list(root.iter("svg"))
    assert len(plots) == 6
    assert all(plot.get("role") == "img" and len(plot.get("aria-label", "")) > 40 for plot in plots)
    first_link = next(root.iter("a"))
    assert first_link.get("href") == "#main"
    assert root.get("lang") == "en"


def test_names_and_codes_are_text_whatever_they_contain(page: str, root: ET.Element) -> None:
    """A name, manifest, code, message, run id or reason that looks like HTML or a template shows as it is."""
    assert "<img" not in page
    assert "<script" not in page
    everything = "".join(root.itertext())
    assert everything.count(HOSTILE) >= 8
    assert "49" not in {text_of(element) for element in root.iter("code")}


def test_the_page_says_what_the_ledger_says(root: ET.Element) -> None:
    """The identity, the audit, the failures with advice and examples, and how each run ended."""
    text = text_of(root)
    assert (
        f"{EVENTFUL + 3} definitions = 84 created + 12 adopted + 12 rejected + 12 exhausted + 3 invalid"
        in text
    )
    assert re.search(r"The ledger adds up: all \d+ checks", text)
    assert "Every run kept its limit: the fullest second held 10 create attempts, in run 1, whose" in text
    assert "limit was 10. Other limits: 1 of 450 read in run 1. See the pace" in text
    assert "12 exhausted: InternalFailure The service failed internally. What to do: run again." in text
    assert "2 invalid Duplicate: first seen on line …" in text
    assert "prod/orders/008 at prod.jsonl:8" in text
    assert "interrupted by SIGINT (exit code 130)" in text
    assert "killed; last on record" in text
    assert "12 are in doubt" in text


def test_a_quota_that_was_exceeded_and_runs_without_an_end_are_told(tmp_path: Path) -> None:
    """The worst second of any run decides; a run without an end was killed, unless it may be at work."""
    with new_ledger(tmp_path) as ledger:
        pending_run(ledger, 1, START, 0)
        pending_run(ledger, 2, START + 0.5, 0)
    text = text_of(parse(page_of(ledger.path)))
    assert (
        "A limit was exceeded: the fullest second held 2 create attempts, in run 2, whose limit was 1."
        in text
    )
    assert text.count("killed; last on record") == 1
    assert text.count("killed, or at work as process") == 1


def test_a_fast_run_is_told_in_plain_numbers(tmp_path: Path) -> None:
    """No rate is made up for a run that was over within a second; no number has an exponent."""
    ledger, now = new_ledger(tmp_path), START
    with ledger, ledger.transaction():
        for run, (count, length) in enumerate([(3, 0.01), (3_000, 2.0)]):
            ledger.begin_run(f"run-{run}", ["a.jsonl"], {QuotaGroup.CREATE: 1_500.0}, now)
            claims = ledger.admit([definition(f"{run}/{i}") for i in range(count)], now).to_send
            for number, claim in enumerate(claims):
                sent_at = now + length * number / count
                attempt = AttemptRecord(claim.row_id, QuotaGroup.CREATE, sent_at, 0.01, 200, None)
                ledger.record([Settlement(claim.row_id, Outcome.CREATED, sent_at)], [attempt])
            now += 60
    page = page_of(ledger.path)
    assert "1,001 on average, 1,500 at most; quota 1,500" in page
    assert "of 1,500</dd>" in page
    rows = re.findall(r'row">\d, create</th>(.*?)</tr>', page)
    cells = [re.sub(r"<.*?>", " ", row).split() for row in rows]
    assert cells[0][:4] == ["3", "3", "of", "1,500"]
    assert cells[1][:6] == ["3,000", "1,500.00", "a", "second", "on", "average,"]


def test_the_fullest_second_is_the_one_that_held_the_most() -> None:
    """Of runs that used their whole quota the one with the largest: what a rehearsal sent is not hidden."""
    slow = Pace("create", 1, 10, 0, 0, 10.0, 10, 0)
    fast, over = replace(slow, limit=60.0, fullest=60), replace(slow, fullest=11)
    assert fullest_pace([slow, fast, slow]) == fast
    assert fullest_pace([fast, over]) == over


def test_each_limit_is_told_with_the_fullest_second_that_it_bounded(tmp_path: Path) -> None:
    """A run at 200 a second is not hidden by one that used all of its 10; what is local is called that."""
    now = START
    with new_ledger(tmp_path) as ledger, ledger.transaction():
        for run, (count, limit) in enumerate([(10, 10.0), (196, 200.0), (9, 10.0), (12, 0.0)]):
            ledger.begin_run(f"run-{run}", ["a.jsonl"], {QuotaGroup.CREATE: limit}, now)
            claims = ledger.admit([definition(f"{run}/{i}") for i in range(count)], now).to_send
            for claim in claims:
                attempt = AttemptRecord(claim.row_id, QuotaGroup.CREATE, now, 0.01, 200, None)
                ledger.record([Settlement(claim.row_id, Outcome.CREATED, now)], [attempt])
            now += 60
    with read_ledger(ledger.path) as reader:
        numbers = read_numbers(reader, "a.db", [])
    text = text_of(parse(render(numbers, "1.2.3")))
    assert (
        "the fullest second held 196 create attempts, in run 2, whose limit was 200, above the 10 that the"
        " service allows by default. Other limits: 12 create without a limit in run 4,"
        " 10 of 10 create in run 1. See the pace" in text
    )
    assert "Fullest second196 of 200" in text
    assert "A rehearsal" not in text
    free = replace(next(pace for pace in numbers.paces if not pace.limit), fullest=250)
    unlimited = replace(numbers, paces=[*numbers.paces, free])
    text = text_of(parse(render(unlimited, "1.2.3")))
    assert "held 250 create attempts, in run 4, which had no limit, above the 10 that" in text
    for binding in ("embedded /home/me/.bulkseed", "127.0.0.1:8080", "localhost", "[::1]:80"):
        text = text_of(parse(render(replace(numbers, binding=binding), "1.2.3")))
        assert re.search("A rehearsal: .*not Alibaba Cloud", text), binding


def test_what_was_rolled_back_is_told(tmp_path: Path) -> None:
    """Secrets that a rollback deleted are not there any more, whatever created them."""
    path = eventful(tmp_path)
    assert "Rolled back" not in page_of(path)
    with new_ledger(tmp_path) as ledger:
        rows = [(1, 1, "deleted"), (2, 1, "deleted"), (3, 1, "changed"), (4, 1, "resumed"), (4, 2, None)]
        ledger.connection.executemany(
            "INSERT INTO rollbacks (definition, run, outcome, made_at, result)"
            " VALUES (?, ?, 'created', 0, ?)",
            rows,
        )
    with read_ledger(path) as reader:
        text = text_of(parse(render(read_numbers(reader, path.name, []), "1.2.3")))
    told = "Rolled back: 2 deleted, 1 not surely as they were made, so left alone, 1 not known yet."
    assert told in text


def test_a_ledger_in_which_nothing_was_sent_has_a_page(tmp_path: Path) -> None:
    """No attempt, no answer, no plot, and no error."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, [])
    text = text_of(parse(page_of(ledger.path)))
    assert "All 0 definitions are settled." in text
    assert "Nothing was sent." in text


def test_a_ledger_that_does_not_add_up_is_called_that(tmp_path: Path) -> None:
    """A row that was removed shows at the top and among the checks."""
    path = eventful(tmp_path)
    with new_ledger(tmp_path) as ledger:
        ledger.connection.execute("DELETE FROM claims WHERE id = 1")
    root = parse(page_of(path))
    assert "The ledger does not add up" in text_of(root)
    assert {text_of(row[0]): text_of(row[1]) for row in root.iter("tr")}["All rows add up"] == "no ✗"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET limits = 'nonsense'",
        "UPDATE runs SET limits = 'null'",
        "UPDATE runs SET summary = '7' WHERE summary IS NOT NULL",
        "UPDATE claims SET outcome = 'fine' WHERE id = 1",
        "UPDATE other_attempts SET run = 99",
        "UPDATE other_attempts SET sent_at = 'noon' WHERE rowid = 1",
        "UPDATE invalid_lines SET reasons = 'a word'",
        "DELETE FROM runs",
        "DELETE FROM meta",
    ],
)
def test_a_damaged_ledger_is_an_error_and_no_traceback(tmp_path: Path, damage: str) -> None:
    """What no run can have written ends the command with one line and exit code 4, or shows in the page."""
    path = eventful(tmp_path)
    with new_ledger(tmp_path) as ledger:
        ledger.connection.execute("PRAGMA foreign_keys = OFF")
        ledger.connection.execute(damage)
    done = bulkseed("report", path, cwd=tmp_path)
    assert done.stderr.count("\n") == (done.returncode == 4)
    if done.returncode == 0:
        assert "The ledger does not add up" in (tmp_path / "prod.report.html").read_text()


def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path, page: str) -> None:
    """No clock, no randomness, no name of this machine beyond the ledger's own."""
    path = eventful(tmp_path)
    first = page_of(path)
    assert first == page_of(path)
    again = [re.sub(r"begun [-0-9: ]+|process \d+ on|as process \d+", "", text) for text in (first, page)]
    assert again[0] == again[1]


def test_nothing_on_the_page_turns_its_text_around(tmp_path: Path) -> None:
    """Names of manifests may hold anything: direction marks, C1 controls and ESC are shown as escapes.

    (C5)
    """
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, [])
    odd = tmp_path / "a\u202eb\x9bc\x1bd.ledger.db"
    ledger.path.rename(odd)
    page = page_of(odd)
    assert not {"\u202e", "\x9b", "\x1b"} & set(page)
    assert "a\\u202eb\\u009bc\\u001bd" in page
