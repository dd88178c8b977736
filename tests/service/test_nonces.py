"""Nonces: used once for as long as their timestamps are accepted, in little memory, also across restarts."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from support.kms import NOW, UNLIMITED, Desk

from bulkseed.errors import UsageError
from bulkseed.service.access.nonces import Nonces
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import list_secrets
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.signing.verify import CLOCK_WINDOW, SIGNATURES


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_a_restart_forgets_no_nonce(tmp_path: Path, signature: str) -> None:
    """The same request is refused by the next process, and a half-written nonce does no harm (E2)."""
    options = ServiceOptions(data_dir=tmp_path, **UNLIMITED)
    first = Desk(options)
    request = SIGNATURES[signature]("kms.test", first.credentials).sign(
        list_secrets.Request().encode(), NOW, "n"
    )
    assert first.kms.handle(request, NOW).status == 200
    first.kms.close()
    (file,) = (tmp_path / "nonces").iterdir()
    with file.open("ab") as torn:
        torn.write(b"\1\2\3")
    for _ in range(2):
        again = Desk(options)
        assert decode_fault(again.kms.handle(request, NOW)).code == "SignatureNonceUsed"
        assert again.code(list_secrets.Request()) is None
        again.kms.close()


def test_nonces_go_with_their_timestamps(tmp_path: Path) -> None:
    """Whatever could be accepted again is remembered, and nothing older stays in memory or on disk (E2)."""
    nonces = Nonces(tmp_path / "nonces", bytes(32))
    now = NOW
    for number in range(200):
        for sent_at in (now - CLOCK_WINDOW, now + CLOCK_WINDOW):
            assert nonces.first_use("key", f"{number}/{sent_at}", sent_at, now)
        now += 60
        for age in range(int(CLOCK_WINDOW // 60) - 1):
            earlier = number - age
            if earlier >= 0:
                sent_at = NOW + 60 * earlier + CLOCK_WINDOW
                assert not nonces.first_use("key", f"{earlier}/{sent_at}", sent_at, now)
        assert len(list((tmp_path / "nonces").iterdir())) <= 4
    nonces.close()


def test_a_nonce_of_any_length_takes_a_hundred_bytes() -> None:
    """In memory, however long it is (E2)."""
    nonces = Nonces(None, bytes(32))
    count = 100_000
    tracemalloc.start()
    try:
        for number in range(count):
            nonces.first_use("key", f"{number}" + "x" * 100, NOW, NOW)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / count <= 100


def test_callers_do_not_share_nonces() -> None:
    """A nonce belongs to an access key."""
    nonces = Nonces(None, bytes(32))
    assert nonces.first_use("a", "n", NOW, NOW)
    assert nonces.first_use("b", "n", NOW, NOW)
    assert not nonces.first_use("a", "n", NOW + 1, NOW)


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A file in its place is a UsageError."""
    (tmp_path / "nonces").write_text("x")
    with pytest.raises(UsageError, match="cannot use"):
        Nonces(tmp_path / "nonces", bytes(32))
