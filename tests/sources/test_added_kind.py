"""Kinds of source that packages of others add by an entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkseed.errors import UsageError
from bulkseed.model import Fault, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url

TOY = """
from bulkseed.sources.protocol import Content, Reference, Source

class Toy(Source):
    OPTIONS = frozenset({"colour"})

    def list_all(self):
        yield Reference(f"{self.spec.option('colour')}/ball", "v7")

    def read(self, references):
        found = [Content("fake", reference.version) for reference in references]
        return found[1:] if self.spec.option("colour") == "short" else found

nothing = "no kind"
"""
POINTS = """[bulkseed.sources]
toybox = toybox:Toy
toywreck = toybox.none:Toy
toything = toybox:nothing
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package, where installers put one."""
    (tmp_path / "toybox.py").write_text(TOY)
    info = tmp_path / "toybox-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toybox\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)


async def test_a_package_adds_a_kind() -> None:
    """It is found by its scheme, with a transport or without, and gets its own options."""
    for address in ("toybox:x?colour=red", "toybox+https://x/y?colour=red"):
        with SourceManifest([from_url(address)]) as source:
            [entry] = source
            assert isinstance(entry, SecretDefinition)
            assert isinstance(entry.data, UnreadValue)
            answer = await entry.data.read()
        assert isinstance(answer, ReadValue)
        assert (entry.name, entry.version_id, answer.data.reveal()) == ("red/ball", "v7", "fake")


async def test_a_kind_that_gives_too_few_values_gives_none() -> None:
    """Nobody knows whose each is; and nobody waits for what does not come."""
    with SourceManifest([from_url("toybox:x?colour=short")]) as source:
        [entry] = source
        assert isinstance(entry, SecretDefinition)
        assert isinstance(entry.data, UnreadValue)
        answer = await entry.data.read()
    assert isinstance(answer, Fault)
    assert answer.code == "Source.Unreadable"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("toybox:x?color=red", "did you mean colour"),
        ("toybix:x", "did you mean toybox"),
        ("toywreck:x", "the package that adds toywreck cannot be imported"),
        ("toything:x", "has no Source there"),
    ],
)
def test_what_is_wrong_with_an_added_kind_is_told(address: str, said: str) -> None:
    """In a line, as of a kind of ours."""
    with pytest.raises(UsageError, match=said):
        SourceManifest([from_url(address)])
