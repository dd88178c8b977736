"""The manifest that newcomers start with."""

from __future__ import annotations

from pathlib import Path

from support.definitions import good_and_bad

from bulkseed.manifest import open_manifest

QUICKSTART = Path(__file__).parents[2] / "manifests" / "quickstart.jsonl"


def test_the_quickstart_manifest_has_300_definitions_of_every_kind() -> None:
    """All are good, all have their own name, and every kind that the README speaks of is there."""
    with open_manifest(QUICKSTART) as entries:
        good, bad = good_and_bad(list(entries))
    assert bad == []
    assert len(good) == len({entry.name for entry in good}) == 300
    values = [entry.data.reveal() for entry in good]
    assert {entry.data_type for entry in good} == {None, "text", "binary"}
    assert {entry.secret_type for entry in good} == {None, "Generic", "Rds", "ECS"}
    assert any("\r\n" in value for value in values)
    assert any("\x00" in value for value in values)
    assert any(value > "\U0001f000" for value in values)
    assert max(len(value.encode()) for value in values) > 4_000
    configs = [entry.extended_config or "" for entry in good if entry.enable_automatic_rotation]
    assert all(any(kind in config for config in configs) for kind in ("SingleUser", "DoubleUsers"))
    assert any(entry.policy for entry in good)
    raw = QUICKSTART.read_text(encoding="utf-8")
    assert len(raw.encode()) < 120_000
    for form in ('"Tags": "[', '"Tags": [', '"Tags": {'):
        assert form in raw
