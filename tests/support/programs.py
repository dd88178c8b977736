"""Programs that are no Python packages: without one a test fails in CI and is skipped elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def program(name: str, package: str, *places: str) -> str:
    """Return the path of a program, from PATH or matching one of `places`; `package` is Debian's."""
    found = shutil.which(name) or max(
        (str(p) for pattern in places for p in Path("/").glob(pattern)), default=None
    )
    if found is None:
        missing = f"needs {name}, from Debian's package {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found
