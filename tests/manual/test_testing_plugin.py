"""The plugin for pytest. The page of the local KMS shows it with the vendor's SDK, blocking and async."""

from __future__ import annotations

from pathlib import Path

from support.command import simple, write_manifest

from bulkseed import Outcome, open_ledger, open_manifest, seed
from bulkseed.testing import LocalKms

pytest_plugins = ["bulkseed.testing"]


async def test_it_is_a_target_for_a_run(local_kms: LocalKms, tmp_path: Path) -> None:
    """A program that provisions can be tested with it, without waiting for a quota (G19)."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(30))
    with (
        open_manifest(str(manifest)) as definitions,
        open_ledger(tmp_path / "m.ledger.db", local_kms) as ledger,
    ):
        summary = await seed(definitions, local_kms, ledger, qps=0)
    assert summary.outcomes[Outcome.CREATED] == 30
    assert summary.throttled == 0


def test_each_test_has_its_own(local_kms: LocalKms) -> None:
    """What a client needs is there as text, and the secret is in no picture of the fixture (G19)."""
    assert local_kms.endpoint == f"http://{local_kms.host}"
    assert local_kms.access_key_id
    assert local_kms.access_key_secret not in repr(local_kms)
