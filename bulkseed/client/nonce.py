"""Nonces: 32 random hex digits for every attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator


def nonces() -> Iterator[str]:
    """Yield nonces without end; each client has its own, as a generator belongs to one thread and process."""
    while True:  # one call of the kernel for 256 nonces: one for each costs more than a signature
        digits = os.urandom(4096).hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]
